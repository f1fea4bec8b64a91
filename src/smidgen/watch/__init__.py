"""Whether the traffic of a model is still like what it was made on."""
