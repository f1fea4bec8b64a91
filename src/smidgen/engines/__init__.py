"""Floor 2: what runs a bundle. Never imports torch."""
