"""Floor 1: finds parts by name, and reads recipes."""
