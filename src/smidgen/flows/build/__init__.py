"""Build a bundle from a recipe. `pipeline` holds the order of steps."""
