"""Spans as tags, one a unit of text (a word, mostly), and how likely each span is under a chain of tags (Lafferty et al. 2001).

Tags are those of BIOES: tag 0 is outside; kind k has four, `1 + 4k` where a span of several units begins, then inside, its end, and a
span of a single unit. A span is one path through the tags, so its probability is exact: what the paths before it and after it weigh.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smidgen.stats.intervals import Floats

BEGIN, INSIDE, END, SINGLE = range(4)
"""The four tags of a kind."""

LEAST = 0.05
"""Spans less likely than this are not looked at."""

_DEEPEST = 60.0  # a tag cannot be more than e^60 times less likely than the best of its unit

UnitSpan = tuple[int, int, int]
"""First unit, last unit, number of the kind."""

LikelySpan = tuple[int, int, int, float]
"""The same, and its probability."""


def count(kinds: int) -> int:
    """How many tags so many kinds have."""
    return 1 + 4 * kinds


def allowed(kinds: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Which tags may follow which, (tags, tags); which may stand first, (tags,); which last, (tags,)."""
    tags = np.arange(count(kinds))
    part = np.where(tags == 0, SINGLE, (tags - 1) % 4)
    kind = np.where(tags == 0, -1, (tags - 1) // 4)
    opens, closes = np.isin(part, (BEGIN, SINGLE)), np.isin(part, (END, SINGLE))
    goes_on = np.isin(part, (BEGIN, INSIDE))[:, None] & np.isin(part, (INSIDE, END))[None, :] & (kind[:, None] == kind[None, :])
    return (closes[:, None] & opens[None, :]) | goes_on, opens, closes


def tags(spans: Sequence[UnitSpan], units: int) -> NDArray[np.int64]:
    """The tag of each of so many units. Spans must not overlap."""
    found = np.zeros(units, dtype=np.int64)
    for first, last, kind in spans:
        base = 1 + 4 * kind
        if first == last:
            found[first] = base + SINGLE
        else:
            found[first], found[first + 1 : last], found[last] = base + BEGIN, base + INSIDE, base + END
    return found


class Chain:
    """Weights between tags, ready to read texts with."""

    def __init__(self, transitions: ArrayLike) -> None:
        """`transitions` are log weights (tags, tags), from the row's tag to the column's; pairs that cannot be are left out whatever
        they weigh. Raises ValueError where the shape is of no number of kinds."""
        table = np.asarray(transitions, dtype=np.float64)
        size = len(table)
        if table.shape != (size, size) or size < 5 or (size - 1) % 4:
            raise ValueError(f"transitions must be (1 + 4 kinds) squared, not {table.shape}")
        self.tags = size
        may, self._opens, self._closes = (mask.astype(np.float64) for mask in allowed((size - 1) // 4))
        self._between = may * np.exp(np.clip(table, -_DEEPEST, _DEEPEST))

    def spans(self, emissions: ArrayLike, least: float = LEAST) -> list[LikelySpan]:
        """All spans at least so likely, in the order of their first units, of a text whose units have log weights (units, tags)."""
        weights = np.asarray(emissions, dtype=np.float64)
        if not len(weights):
            return []
        weights = np.exp(np.maximum(weights - weights.max(axis=1, keepdims=True), -_DEEPEST))
        before, after, scales = self._passes(weights)
        found: list[LikelySpan] = []
        likely = before * after
        for place, tag in np.argwhere(likely[:, 1:] >= least).tolist():
            kind, part = divmod(tag, 4)
            if part == SINGLE:
                found.append((place, place, kind, min(1.0, float(likely[place, tag + 1]))))
            elif part == BEGIN:
                found += self._longer(place, kind, weights, before, after, scales, least)
        return sorted(found)

    def _passes(self, weights: Floats) -> tuple[Floats, Floats, Floats]:
        """What the paths up to each tag weigh, and those after it, each scaled so that their product is the tag's probability; and the
        scale of each unit."""
        units = len(weights)
        before, after, scales = np.empty_like(weights), np.empty_like(weights), np.empty(units)
        step = self._opens
        for place in range(units):
            row = step * weights[place]
            scales[place] = row.sum()
            before[place] = row = row / scales[place]
            step = row @ self._between
        after[-1] = self._closes / (before[-1] @ self._closes)
        for place in range(units - 2, -1, -1):
            after[place] = self._between @ (weights[place + 1] * after[place + 1]) / scales[place + 1]
        return before, after, scales

    def _longer(
        self, first: int, kind: int, weights: Floats, before: Floats, after: Floats, scales: Floats, least: float
    ) -> list[LikelySpan]:
        """The spans of several units that begin at `first`."""
        base = 1 + 4 * kind
        inside, end = base + INSIDE, base + END
        found: list[LikelySpan] = []
        mass, at = float(before[first, base + BEGIN]), base + BEGIN
        for place in range(first + 1, len(weights)):
            ended = mass * self._between[at, end] * weights[place, end] / scales[place] * after[place, end]
            if ended >= least:
                found.append((first, place, kind, min(1.0, float(ended))))
            mass, at = mass * self._between[at, inside] * weights[place, inside] / scales[place], inside
            if mass * after[place, inside] < least:
                break
        return found
