"""Floor 2: families of small model, one file each. The architecture page shows how to add one.

A student learns from rows and writes what it learnt in the files of an engine. Everything that torch needs is imported inside
functions.

Encoders and taggers train in bf16 where the processor is faster with it, on batches laid end to end by length, with frozen token
embeddings, and one worker thread a core. The decoder's passes are written by hand and tested against transformers; norms are folded
into the matrices behind them, what all examples begin with is computed once, and logits are computed only where an answer stands.

The same seed, data and thread count give the same weights on one machine. Each epoch leaves a checkpoint, from which a stopped build
goes on to the same weights. Settings that are not set follow the number of rows.
"""
