"""Floor 1: GGUF files of decoders: header, architecture, tokenizer, weights, quantisation."""
