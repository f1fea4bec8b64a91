"""Drift: test whether a model's traffic is still like the data that it was made from."""
