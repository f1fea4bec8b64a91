"""A desk at work: opened from its bundle, and asked by channels."""
