"""The cache of answers: what may be kept, for whom it may be given again, and which other text is near enough."""
