"""Floor 2: one file per family of small model."""
