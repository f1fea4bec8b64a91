"""Training of decoders: the model, adapters, examples, the loop, pruning, files."""
