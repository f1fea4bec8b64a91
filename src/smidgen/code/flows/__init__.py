"""Help with the user's own code: explain an error, write tests, find a bug. What a model writes is shown only if it was run and held."""
