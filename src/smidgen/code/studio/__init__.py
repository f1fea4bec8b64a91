"""The pages of source code in the Studio: the repository that a model learns from, and help with its errors."""
