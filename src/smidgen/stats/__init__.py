"""Floor 1: intervals and scores that every room may use."""
