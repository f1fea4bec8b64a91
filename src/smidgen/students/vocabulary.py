"""What a static student has vectors for: the tokens that occur in the training texts, and the pairs of tokens that occur often enough.

Pairs stand in a table of those seen in training, not in hashed buckets: a pair never seen adds nothing instead of another pair's noise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Vocabulary:
    """Which tokens and pairs have a row.

    Attributes:
        token_ids: tokenizer number of each token row, (tokens,).
        token_rows: row of each tokenizer number, -1 for none, (vocabulary,).
        pair_keys: `row * tokens + next row` of each pair, ascending, (pairs,).
        frequencies: share of each token row among the tokens of the texts, (tokens,).
    """

    token_ids: Ints
    token_rows: NDArray[np.int32]
    pair_keys: Ints
    frequencies: Floats

    def rows(self, ids: Sequence[int]) -> Ints:
        """Rows of the vector table that a text's token numbers add up: its tokens, then its pairs."""
        found = self.token_rows[np.asarray(ids, dtype=np.int64)].astype(np.int64)
        found = found[found >= 0]
        if len(found) < 2 or not len(self.pair_keys):
            return found
        tokens = len(self.token_ids)
        keys = found[:-1] * tokens + found[1:]
        at = self.pair_keys.searchsorted(keys)
        at[at == len(self.pair_keys)] = 0
        return np.concatenate((found, at[self.pair_keys[at] == keys] + tokens))


def build(ids: Sequence[Sequence[int]], size: int, least: int, most: int) -> Vocabulary:
    """The vocabulary of texts given as token numbers.

    Args:
        ids: token numbers of each text.
        size: of the tokenizer's vocabulary.
        least: in how many texts a pair must occur.
        most: how many pairs are kept, the most frequent ones.
    """
    counts = Counter(number for row in ids for number in row)
    token_ids = np.array(sorted(counts), dtype=np.int64)
    rows = np.full(size, -1, dtype=np.int32)
    rows[token_ids] = np.arange(len(token_ids), dtype=np.int32)
    pairs: Counter[int] = Counter()
    for row in ids:
        own = rows[np.asarray(row, dtype=np.int64)].astype(np.int64)
        pairs.update(set((own[:-1] * len(token_ids) + own[1:]).tolist()))
    kept = sorted((key for key, count in pairs.items() if count >= least), key=lambda key: (-pairs[key], key))[:most]
    total = max(1, sum(counts.values()))
    shares = np.array([counts[int(number)] / total for number in token_ids], dtype=np.float32)
    return Vocabulary(token_ids, rows, np.array(sorted(kept), dtype=np.int64), shares)


def start_vectors(features: Floats, frequencies: Floats, dims: int, zipf: float) -> Floats:
    """Model2Vec's start (Tulkens & van Dongen 2024): unit features of each token alone, principal components, SIF weights
    a / (a + p(token)) (Arora et al. 2017). (tokens, width) in, (tokens, dims) out."""
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)
    centred = unit - unit.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    weights = zipf / (zipf + frequencies)
    return np.asarray(centred @ axes[:dims].T * weights[:, None], dtype=np.float32)


def quantise_rows(vectors: Floats) -> tuple[NDArray[np.int8], Floats]:
    """int8 rows and an f32 scale for each: vectors are rows times scale."""
    scales = np.maximum(np.abs(vectors).max(1), 1e-12).astype(np.float32) / 127
    return np.rint(vectors / scales[:, None]).astype(np.int8), scales
