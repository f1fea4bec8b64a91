"""Building: from a recipe to a bundle. `pipeline` tells the order."""
