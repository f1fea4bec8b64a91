"""Floor 2: find and fetch pretrained weights."""
