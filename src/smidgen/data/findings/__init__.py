"""One file per kind of finding. Each has a `part`: a function from a survey to the findings of its kind."""
