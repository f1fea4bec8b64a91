"""Documents of a business, read into plain text and cut into passages that know their place."""
