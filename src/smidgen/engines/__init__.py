"""Floor 2: engines, which run bundles, one file each. Never imports torch. docs/how-to/add-a-part.md shows how to add one.

An engine loads the files that a manifest names and turns texts into raw outputs: `logits`, and `embedding` if the model has one; a
decoder gives `texts`. A task decides what the numbers mean. An unknown option is refused: a model must be served as it was measured.

A batch holds at most 256 tokens, and no text in it changes another text's answer, except in `llama`, whose rounding depends on the batch.
A text is cut to `max_length` tokens, and to 100 characters a token before that, so no text takes more than a moment. `onnx` gives each
session one thread and runs batches side by side, because threads inside a session would wait for each other at each small operator.

`llama` runs llama.cpp in a separate process, because a fault in it ends the process: its requests fail and the next one starts another.
Prompts are token ids made by `tokenizer.json`, so special tokens in a text are plain characters. Models with equal weights share a
process, each with its adapter. llama.cpp ignores a schema that it cannot enforce, so a new schema is tried once and refused if it has no
effect.
"""
