"""What a bundle can be turned into for other programs: one file a target, found by its name."""
