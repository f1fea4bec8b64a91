"""Metrics of predicted labels: accuracy, F1, per class and per pair, each with its interval."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.forms import Form
from smidgen.core.parts import Task, own_grades
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.stats.field_values import equal_fields
from smidgen.stats.intervals import Floats, bootstrap, wilson


def rare_share(counts: Iterable[int]) -> float:
    """Estimate the share of later rows whose label none of these rows has, or one alone (Good 1953; Turing's estimate). `counts`: rows of
    each label."""
    found = Counter(counts)
    rows = sum(count * labels for count, labels in found.items())
    return min(1.0, (found[1] + 2 * found[2]) / rows) if rows else 0.0


@dataclass(frozen=True, slots=True)
class LabelPatterns:
    """Rows grouped by the information that F1 uses.

    Attributes:
        counts: (patterns,) rows with each pattern.
        right: (patterns, labels) 1 if a label is both gold and predicted.
        gold: (patterns, labels) 1 if it is gold.
        predicted: (patterns, labels) 1 if it is predicted.
    """

    counts: NDArray[np.int64]
    right: Floats
    gold: Floats
    predicted: Floats

    def tally(self, counts: Floats) -> tuple[Floats, Floats]:
        """Return, for (resamples, patterns) counts, the right rows per label, and gold plus predicted rows, each (resamples, labels)."""
        return counts @ self.right, counts @ (self.gold + self.predicted)

    def macro_f1(self, counts: Floats) -> Floats:
        """Return the mean F1 over the labels that are gold or predicted somewhere, (resamples,); NaN if there are none."""
        right, both = self.tally(counts)
        seen = both > 0
        f1 = np.divide(2 * right, both, out=np.zeros_like(both), where=seen)
        number = seen.sum(axis=1)
        mean: Floats = np.divide(f1.sum(axis=1), number, out=np.full(len(counts), np.nan), where=number > 0)
        return mean

    def micro_f1(self, counts: Floats) -> Floats:
        """Return F1 over all labels pooled, (resamples,); NaN if nothing is gold or predicted."""
        right, both = self.tally(counts)
        total = both.sum(axis=1)
        pooled: Floats = np.divide(2 * right.sum(axis=1), total, out=np.full(len(counts), np.nan), where=total > 0)
        return pooled


def label_set(value: Any) -> frozenset[Hashable]:
    """Return a row's labels as a set: one element for a single label, empty for None."""
    if value is None:
        return frozenset()
    return frozenset(value) if isinstance(value, list | tuple | set | frozenset) else frozenset((value,))


def same_labels(gold: Sequence[Any], predicted: Sequence[Any]) -> NDArray[np.bool_]:
    """Return whether each prediction equals the gold value, (n,). Lists of labels compare as sets, objects by the values of their fields.

    Raises ValueError if the lengths differ.
    """
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold values and {len(predicted)} predictions")
    return np.fromiter((_equal(a, b) for a, b in zip(gold, predicted, strict=True)), dtype=np.bool_, count=len(gold))


def reply_grades(task: Task, rows: Sequence[Row], replies: Sequence[Reply], form: Form) -> list[float]:
    """Return a grade in 0..1 for each reply; 1 for right and 0 for wrong if the task has no measure of its own."""
    found = own_grades(task, rows, replies, form)
    return same_labels([row.output for row in rows], [reply.output for reply in replies]).astype(float).tolist() if found is None else found


def _equal(gold: Any, predicted: Any) -> bool:
    if isinstance(gold, Mapping) and isinstance(predicted, Mapping):
        return equal_fields(gold, predicted)
    if gold == predicted:
        return True
    both = isinstance(gold, list | tuple | set | frozenset) and isinstance(predicted, list | tuple | set | frozenset)
    # Spans and objects are not hashable. For them the order counts.
    if both and all(isinstance(item, Hashable) for item in (*gold, *predicted)):
        return label_set(gold) == label_set(predicted)
    return False


def label_patterns(gold: Sequence[Any], predicted: Sequence[Any], labels: Sequence[str]) -> LabelPatterns:
    """Group rows by pattern. A value that is not in `labels` (such as the answer `unknown`) counts as a miss, not as a label."""
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold values and {len(predicted)} predictions")
    index = {label: number for number, label in enumerate(labels)}
    seen = Counter((_label_numbers(a, index), _label_numbers(b, index)) for a, b in zip(gold, predicted, strict=True))
    shape = (len(seen), len(labels))
    counts = np.fromiter(seen.values(), dtype=np.int64, count=len(seen))
    of_gold, of_predicted = np.zeros(shape), np.zeros(shape)
    for row, (a, b) in enumerate(seen):
        of_gold[row, list(a)] = 1
        of_predicted[row, list(b)] = 1
    return LabelPatterns(counts, of_gold * of_predicted, of_gold, of_predicted)


def _label_numbers(value: Any, index: dict[str, int]) -> tuple[int, ...]:
    return tuple(sorted(_numbers(label_set(value), index)))


def _numbers(values: Iterable[Any], index: dict[str, int]) -> Iterable[int]:
    return (index[value] for value in values if value in index)


def share(right: NDArray[np.bool_]) -> Metric:
    """Return a share of rows with Wilson's interval. Without rows, NaN with the interval (0, 1)."""
    n = len(right)
    successes = int(np.count_nonzero(right))
    low, high = wilson(successes, n)
    return Metric(successes / n if n else math.nan, low, high, n)


def accuracy(gold: Sequence[Any], predicted: Sequence[Any]) -> Metric:
    """Return the share of rows whose prediction equals the gold value. Lists of labels must match as sets."""
    return share(same_labels(gold, predicted))


def macro_f1(gold: Sequence[Any], predicted: Sequence[Any], labels: Sequence[str], seed: int = 0) -> Metric:
    """Return the mean F1 over labels, with a bias-corrected bootstrap interval.

    Only those of `labels` count that are gold or predicted in some row. Values may be labels, lists of labels, or None.
    """
    grouped = label_patterns(gold, predicted, labels)
    return _resampled(grouped, grouped.macro_f1, len(gold), seed)


def micro_f1(gold: Sequence[Any], predicted: Sequence[Any], labels: Sequence[str], seed: int = 0) -> Metric:
    """Return F1 over all labels of all rows pooled, for lists of labels, with a bias-corrected bootstrap interval over rows."""
    grouped = label_patterns(gold, predicted, labels)
    return _resampled(grouped, grouped.micro_f1, len(gold), seed)


def _resampled(grouped: LabelPatterns, statistic: Any, n: int, seed: int) -> Metric:
    if n == 0:
        return Metric(math.nan, 0.0, 1.0, 0)
    value = float(statistic(grouped.counts[None, :].astype(np.float64))[0])
    low, high = bootstrap(grouped.counts, statistic, seed=seed)
    if value >= 1.0 or value <= 0.0:
        # If all rows are right (or all wrong), every resample is the same. Wilson's bound then gives the width.
        low, high = wilson(n if value >= 1.0 else 0, n)
    if math.isnan(value):
        low, high = 0.0, 1.0
    return Metric(value, low, high, n)


def _key(value: Any) -> Any:
    return label_set(value) if isinstance(value, list | tuple | set | frozenset) else value


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Scores of one label. `support`: number of rows with this gold label. `predicted`: number of rows that were given it."""

    label: str
    precision: Metric
    recall: Metric
    f1: Metric
    support: int
    predicted: int


def per_class(gold: Sequence[Any], predicted: Sequence[Any], labels: Sequence[str]) -> list[ClassScore]:
    """Return the scores of every label, in the order of `labels`. A score without rows is NaN with the interval (0, 1)."""
    grouped = label_patterns(gold, predicted, labels)
    weights = grouped.counts.astype(np.float64)
    right = np.rint(weights @ grouped.right).astype(int)
    of_gold = np.rint(weights @ grouped.gold).astype(int)
    of_predicted = np.rint(weights @ grouped.predicted).astype(int)
    return [
        ClassScore(label, _ratio(tp, given), _ratio(tp, support), _f1(tp, support, given), support, given)
        for label, tp, support, given in zip(labels, right.tolist(), of_gold.tolist(), of_predicted.tolist(), strict=True)
    ]


def _ratio(successes: int, n: int) -> Metric:
    low, high = wilson(successes, n)
    return Metric(successes / n if n else math.nan, low, high, n)


def _f1(right: int, support: int, given: int) -> Metric:
    """Return F1 with its interval.

    F1 = 2J/(1+J), where J is the share of right rows among those in which the label is gold or predicted. J is a binomial share and F1
    grows with it, so Wilson's interval of J maps to an interval of F1 that always has a width.
    """
    union = support + given - right
    low, high = wilson(right, union)
    value = right / union if union else math.nan
    return Metric(2 * value / (1 + value), 2 * low / (1 + low), 2 * high / (1 + high), union)


@dataclass(frozen=True, slots=True)
class ConfusedPair:
    """Rows with gold label `gold` that were given `predicted`. `share` is of the gold label's rows."""

    gold: str
    predicted: str
    count: int
    share: float


def confusion(gold: Sequence[Any], predicted: Sequence[Any], labels: Sequence[str]) -> NDArray[np.int64]:
    """Count single-label rows, (labels, labels): gold down, predicted across. Values not in `labels` are left out."""
    index = {label: number for number, label in enumerate(labels)}
    table = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for (a, b), count in Counter(zip(gold, predicted, strict=True)).items():
        if a in index and b in index:
            table[index[a], index[b]] += count
    return table


def confusion_pairs(gold: Sequence[Any], predicted: Sequence[Any], limit: int = 20) -> list[ConfusedPair]:
    """Return the most frequent wrong pairs, ties by name. For lists of labels: each missing label with each wrongly added one."""
    of_gold: Counter[str] = Counter()
    wrong: Counter[tuple[str, str]] = Counter()
    for a, b in zip(map(label_set, gold), map(label_set, predicted), strict=True):
        of_gold.update(str(label) for label in a)
        wrong.update((str(missing), str(added)) for missing in a - b for added in b - a)
    ranked = sorted(wrong.items(), key=lambda item: (-item[1], item[0]))[:limit]
    return [ConfusedPair(a, b, count, count / of_gold[a]) for (a, b), count in ranked]


def oos_recall(gold: Sequence[Any], predicted: Sequence[Any], unknown: Any) -> Metric:
    """Return the share of the out-of-scope rows (gold is `unknown`) that were answered with `unknown`."""
    return share(np.array([b == unknown for a, b in zip(gold, predicted, strict=True) if a == unknown], dtype=np.bool_))


def in_scope_accuracy(gold: Sequence[Any], predicted: Sequence[Any], unknown: Any) -> Metric:
    """Return the share of the in-scope rows (gold is not `unknown`) that were answered right. For them `unknown` is wrong."""
    kept = [(a, b) for a, b in zip(gold, predicted, strict=True) if a != unknown]
    return accuracy([a for a, _ in kept], [b for _, b in kept])
