"""The pieces of a look at a model's traffic."""
