"""Gold and predicted labels of many rows as counts of distinct patterns: what F1 scores and their resamples are computed from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.stats.filled import equal
from smidgen.stats.intervals import Floats


@dataclass(frozen=True, slots=True)
class Patterns:
    """Rows grouped by what F1 sees of them.

    Attributes:
        counts: (patterns,) rows that show each pattern.
        right: (patterns, labels) 1 where a label is both gold and predicted.
        gold: (patterns, labels) 1 where it is gold.
        predicted: (patterns, labels) 1 where it is predicted.
    """

    counts: NDArray[np.int64]
    right: Floats
    gold: Floats
    predicted: Floats

    def tally(self, counts: Floats) -> tuple[Floats, Floats]:
        """For (resamples, patterns) counts: rows right per label, and rows gold plus rows predicted, each (resamples, labels)."""
        return counts @ self.right, counts @ (self.gold + self.predicted)

    def macro_f1(self, counts: Floats) -> Floats:
        """(resamples,) mean F1 over the labels that are gold or predicted somewhere; NaN where none is."""
        right, both = self.tally(counts)
        seen = both > 0
        f1 = np.divide(2 * right, both, out=np.zeros_like(both), where=seen)
        number = seen.sum(axis=1)
        mean: Floats = np.divide(f1.sum(axis=1), number, out=np.full(len(counts), np.nan), where=number > 0)
        return mean

    def micro_f1(self, counts: Floats) -> Floats:
        """(resamples,) F1 over all labels pooled; NaN where nothing is gold or predicted."""
        right, both = self.tally(counts)
        total = both.sum(axis=1)
        pooled: Floats = np.divide(2 * right.sum(axis=1), total, out=np.full(len(counts), np.nan), where=total > 0)
        return pooled


def label_set(value: Any) -> frozenset[Hashable]:
    """A row's labels as a set: of one for a single label, of none for None."""
    if value is None:
        return frozenset()
    return frozenset(value) if isinstance(value, list | tuple | set | frozenset) else frozenset((value,))


def same(gold: Sequence[Any], predicted: Sequence[Any]) -> NDArray[np.bool_]:
    """(n,) whether each prediction is the gold value; label lists are compared as sets, objects by the values of their fields.

    Raises ValueError where the lengths differ."""
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold values and {len(predicted)} predictions")
    return np.fromiter((_equal(a, b) for a, b in zip(gold, predicted, strict=True)), dtype=np.bool_, count=len(gold))


def _equal(gold: Any, predicted: Any) -> bool:
    if isinstance(gold, Mapping) and isinstance(predicted, Mapping):
        return equal(gold, predicted)
    if gold == predicted:
        return True
    both = isinstance(gold, list | tuple | set | frozenset) and isinstance(predicted, list | tuple | set | frozenset)
    # Spans and objects cannot stand in a set: for them order counts.
    if both and all(isinstance(item, Hashable) for item in (*gold, *predicted)):
        return label_set(gold) == label_set(predicted)
    return False


def patterns(gold: Sequence[Any], predicted: Sequence[Any], labels: Sequence[str]) -> Patterns:
    """Group rows by pattern. A value that is not among `labels` (the answer `unknown`, say) counts as a miss and is no label itself."""
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold values and {len(predicted)} predictions")
    index = {label: number for number, label in enumerate(labels)}
    seen = Counter((_known(a, index), _known(b, index)) for a, b in zip(gold, predicted, strict=True))
    shape = (len(seen), len(labels))
    counts = np.fromiter(seen.values(), dtype=np.int64, count=len(seen))
    of_gold, of_predicted = np.zeros(shape), np.zeros(shape)
    for row, (a, b) in enumerate(seen):
        of_gold[row, list(a)] = 1
        of_predicted[row, list(b)] = 1
    return Patterns(counts, of_gold * of_predicted, of_gold, of_predicted)


def _known(value: Any, index: dict[str, int]) -> tuple[int, ...]:
    return tuple(sorted(_numbers(label_set(value), index)))


def _numbers(values: Iterable[Any], index: dict[str, int]) -> Iterable[int]:
    return (index[value] for value in values if value in index)
