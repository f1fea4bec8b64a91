"""A small decoder for the llama engine's tests: SmolLM2 with the tokenizer that its own file describes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BEFORE = [1, 4093, 198]  # <|im_start|>user\n
AFTER = [2, 198, 1, 520, 9531, 198]  # <|im_end|>\n<|im_start|>assistant\n
STOP = [2]
SPECIAL = 3
"""The kind of special tokens in a GGUF file."""


def options(**more: Any) -> dict[str, Any]:
    """Engine options for few and short answers."""
    return {"before": BEFORE, "after": AFTER, "stop": STOP, "max_tokens": 12, "context": 512, "slots": 4, **more}


def write_tokenizer(gguf: Path, file: Path) -> None:
    """The byte-level BPE of a GGUF file as a `tokenizer.json`."""
    from gguf import GGUFReader
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    fields = GGUFReader(gguf).fields
    words, kinds, merges = (fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "token_type", "merges"))
    tokenizer = Tokenizer(models.BPE({word: at for at, word in enumerate(words)}, [tuple(merge.split(" ", 1)) for merge in merges]))
    splits = [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(splits)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(word, special=True, normalized=False) for word, kind in zip(words, kinds, strict=True) if kind == SPECIAL]
    )
    tokenizer.save(str(file))
