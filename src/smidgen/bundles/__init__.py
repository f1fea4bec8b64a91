"""Floor 2: packing and opening bundles."""
