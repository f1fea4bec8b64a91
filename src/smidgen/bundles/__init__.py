"""Floor 2: pack and open bundles."""
