"""How many tokens of a text are read: as many as the texts to learn from need, within what an encoder can read at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from smidgen.core.rows import Text
from smidgen.students.bert import FastBert

LEAST, MOST = 128, 512
_STEP = 64
_WHOLE = 0.95
"""The share of the texts that are read whole; the few longest ones do not set the time that all take."""
_AT_ONCE = 512
"""Texts that are encoded together: what is known of their tokens is held only so long, their lengths alone are kept."""
_CHARACTERS = 16
"""A text is looked at up to so many characters for each token that could be read of it."""


def positions(folder: Path) -> int:
    """Tokens that the encoder in a folder can read at once. Some tables begin with rows that are never read: two are left free."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    most = int(config.get("max_position_embeddings", MOST))
    return most if FastBert.covers(config) else max(16, most - 2)


def length_of(tokenizer_file: Path, texts: Sequence[Text], most: int = MOST) -> int:
    """The least number of tokens from 128 to `most`, by 64s, that 95 of 100 texts fit into, special tokens counted."""
    from tokenizers import Tokenizer

    if not texts:
        return min(LEAST, most)
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    cut = most * _CHARACTERS
    short: list[Text] = [text[:cut] if isinstance(text, str) else (text[0][:cut], text[1][:cut]) for text in texts]
    batches = (short[start : start + _AT_ONCE] for start in range(0, len(short), _AT_ONCE))
    lengths = [len(encoding.ids) for batch in batches for encoding in tokenizer.encode_batch(batch)]
    needed = float(np.quantile(lengths, _WHOLE, method="higher"))
    return min(most, max(LEAST, _STEP * int(np.ceil(needed / _STEP))))
