"""Groups of findings. The `part` of each file is a function from a survey to its findings."""
