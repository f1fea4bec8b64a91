"""Source code: which files of a repository are read, and the gaps in them that a model learns to fill."""
