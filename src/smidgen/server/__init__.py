"""Floor 4: the HTTP faces."""
