"""Floor 2: reading, inspecting, cleaning and splitting data."""
