"""Floor 2: the students (families of small models), one file each. docs/how-to/add-a-part.md shows how to add one.

A student learns from rows and writes the trained model as the files of an engine. Imports that need torch are inside functions.

Encoders and taggers train in bf16 if the processor is faster with it, on packed batches sorted by length, with frozen token embeddings,
and one worker thread per core. The decoder's forward and backward passes are written by hand and tested against transformers; norms are
folded into the matrices behind them, the prefix shared by all examples is computed once, and logits are computed only at answer tokens.

Equal seed, data and thread count give equal weights on one machine. Each epoch writes a checkpoint, from which a stopped build goes on to
identical weights. Settings that are not set follow the number of rows.
"""
