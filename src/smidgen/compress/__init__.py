"""Floor 2: one file per way to make a model smaller."""
