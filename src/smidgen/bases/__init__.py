"""Floor 2: where pretrained weights come from."""
