"""The targets that a bundle can be exported to: one file a target, found by its name."""
