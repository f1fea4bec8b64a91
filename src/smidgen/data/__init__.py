"""Floor 2: read, inspect, clean and split data."""
