"""From texts to token numbers, and from these to features, with a trained or a fresh encoder; and the number of tokens to read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from smidgen.core.rows import Text
from smidgen.students.encoder_training.batches import chunks, pack
from smidgen.students.encoder_training.bert import FastBert

if TYPE_CHECKING:
    from smidgen.students.encoder_training.bert import FastBert
    from smidgen.students.encoder_training.transformers_encoder import TransformersEncoder
    from smidgen.students.processor import Workers


def tokenize(tokenizer_file: Path, texts: Sequence[Text], max_length: int, vocabulary: int) -> list[list[int]]:
    """Token numbers of each text with the model's own tokenizer, special tokens added, cut to `max_length`, unpadded.

    A token of a pair's second text has `vocabulary` added to its number, so one list carries both number and type.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    encodings = tokenizer.encode_batch(list(texts))
    pairs = any(not isinstance(text, str) for text in texts)
    return [[number + vocabulary * kind for number, kind in zip(e.ids, e.type_ids, strict=True)] if pairs else e.ids for e in encodings]


def encode(
    model: FastBert | TransformersEncoder,
    ids: Sequence[Sequence[int]],
    rows: np.ndarray,
    workers: Workers | None = None,
    batch_tokens: int = 4096,
) -> Tensor:
    """Pooled features [rows, hidden] of the given rows, in their order; batches are sorted by length and dealt out to the workers."""
    out = torch.empty(len(rows), model.hidden)
    where = {int(r): i for i, r in enumerate(rows)}
    parts = list(chunks(ids, rows, batch_tokens))

    def work(share: int) -> None:
        count = workers.count if workers else 1
        for part in parts[share::count]:
            batch = pack(ids, part)
            out[[where[int(r)] for r in batch.rows]] = model.forward(batch)

    if workers is None:
        work(0)
    else:
        workers.map(work)
    return out


LEAST, MOST = 128, 512
_STEP = 64
_WHOLE = 0.95
"""The share of the texts to read in full; the longest few must not slow down all."""
_AT_ONCE = 512
"""Texts to tokenise at once, to bound memory."""
_CHARACTERS = 16
"""Most characters to read of a text, per token of the limit."""


def positions(folder: Path) -> int:
    """The most tokens that the encoder in a folder can read at once. Some tables begin with unused rows: two are left free."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    most = int(config.get("max_position_embeddings", MOST))
    return most if FastBert.covers(config) else max(16, most - 2)


def tokens_to_read(tokenizer_file: Path, texts: Sequence[Text], most: int = MOST) -> int:
    """The least number of tokens from 128 to `most`, in steps of 64, into which 95 of 100 texts fit, special tokens included."""
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
