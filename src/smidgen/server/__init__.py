"""Floor 4: the HTTP server and its faces."""
