"""Texts to token numbers, and token numbers to features, with a trained or a fresh encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from smidgen.core.rows import Text
from smidgen.students.packing import chunks, pack

if TYPE_CHECKING:
    from smidgen.students.any_encoder import AnyEncoder
    from smidgen.students.bert import FastBert
    from smidgen.students.workers import Workers


def tokenize(tokenizer_file: Path, texts: Sequence[Text], max_length: int, vocabulary: int) -> list[list[int]]:
    """Token numbers of each text with the model's own tokenizer, special tokens added, cut to `max_length`, unpadded.

    A token of a pair's second text has `vocabulary` added to its number: one list then carries both number and type.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    encodings = tokenizer.encode_batch(list(texts))
    pairs = any(not isinstance(text, str) for text in texts)
    return [[number + vocabulary * kind for number, kind in zip(e.ids, e.type_ids, strict=True)] if pairs else e.ids for e in encodings]


def encode(
    model: FastBert | AnyEncoder, ids: Sequence[Sequence[int]], rows: np.ndarray, workers: Workers | None = None, batch_tokens: int = 4096
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
