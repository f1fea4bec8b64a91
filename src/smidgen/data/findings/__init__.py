"""Groups of findings. Each file has a `part`: a function from a survey to its findings."""
