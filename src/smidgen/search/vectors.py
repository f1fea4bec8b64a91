"""Vectors of questions, moved towards the passages that answer them by what the user's own pairs taught."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smidgen.search.passage_search import Embed, Floats32


def with_head(embed: Embed, head: Floats32 | None) -> Embed:
    """Unit vectors of questions, moved by what was learnt of the user's own."""

    def moved(texts: Sequence[str]) -> Floats32:
        found = units(embed(texts))
        return found if head is None else units(found + found @ head)

    return moved


def units(vectors: Floats32) -> Floats32:
    """The vectors, each of length 1."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32)
