"""How well labels were predicted: accuracy, F1, per class and per pair, each with its interval."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.metrics import Metric
from smidgen.stats.intervals import Change, Floats, bootstrap, wilson
from smidgen.stats.patterns import Patterns, label_set, patterns, same


def share(right: NDArray[np.bool_]) -> Metric:
    """A share of rows with Wilson's interval. Without rows the value is NaN and the interval (0, 1)."""
    n = len(right)
    successes = int(np.count_nonzero(right))
    low, high = wilson(successes, n)
    return Metric(successes / n if n else math.nan, low, high, n)


def accuracy(gold: Sequence[Any], predicted: Sequence[Any]) -> Metric:
    """Share of rows whose prediction is the gold value; for lists of labels, whose set of labels is exactly the gold set."""
    return share(same(gold, predicted))


def macro_f1(gold: Sequence[Any], predicted: Sequence[Any], labels: Sequence[str], seed: int = 0) -> Metric:
    """Mean over labels of F1, with a bias-corrected bootstrap interval.

    Averages over those of `labels` that are gold or predicted in some row. Values may be labels, lists of labels, or None.
    """
    grouped = patterns(gold, predicted, labels)
    return _resampled(grouped, grouped.macro_f1, len(gold), seed)


def micro_f1(gold: Sequence[Any], predicted: Sequence[Any], labels: Sequence[str], seed: int = 0) -> Metric:
    """F1 over all labels of all rows pooled, for lists of labels, with a bias-corrected bootstrap interval over rows."""
    grouped = patterns(gold, predicted, labels)
    return _resampled(grouped, grouped.micro_f1, len(gold), seed)


def _resampled(grouped: Patterns, statistic: Any, n: int, seed: int) -> Metric:
    if n == 0:
        return Metric(math.nan, 0.0, 1.0, 0)
    value = float(statistic(grouped.counts[None, :].astype(np.float64))[0])
    low, high = bootstrap(grouped.counts, statistic, seed=seed)
    if value >= 1.0 or value <= 0.0:
        # No resample of rows that are all right (or all wrong) differs; what n rows can show at most is Wilson's bound.
        low, high = wilson(n if value >= 1.0 else 0, n)
    if math.isnan(value):
        low, high = 0.0, 1.0
    return Metric(value, low, high, n)


def macro_f1_change(gold: Sequence[Any], before: Sequence[Any], after: Sequence[Any], labels: Sequence[str], seed: int = 0) -> Change:
    """The change in macro-F1 between two models on the same rows, with a paired bootstrap interval (rows are resampled once for both)."""
    if not len(gold) == len(before) == len(after):
        raise ValueError(f"{len(gold)} gold values, {len(before)} and {len(after)} predictions")
    triples = Counter(zip(map(_key, gold), map(_key, before), map(_key, after), strict=True))
    truth, first, second = ([triple[at] for triple in triples] for at in range(3))
    counts = np.fromiter(triples.values(), dtype=np.int64, count=len(triples))
    one, two = _ungrouped(truth, first, labels), _ungrouped(truth, second, labels)

    def change(drawn: Floats) -> Floats:
        return two.macro_f1(drawn) - one.macro_f1(drawn)

    right_before, right_after = same(gold, before), same(gold, after)
    gained = int(np.count_nonzero(~right_before & right_after))
    lost = int(np.count_nonzero(right_before & ~right_after))
    if not len(gold):
        return Change(0.0, -1.0, 1.0, 0)
    low, high = bootstrap(counts, change, seed=seed)
    value = float(change(counts[None, :].astype(np.float64))[0])
    return Change(value, low, high, len(gold), None, gained, lost)


def _key(value: Any) -> Any:
    return label_set(value) if isinstance(value, list | tuple | set | frozenset) else value


def _ungrouped(gold: Sequence[Any], predicted: Sequence[Any], labels: Sequence[str]) -> Patterns:
    """Patterns with one row per pair given, in the order given, so that two models share their resamples."""
    index = {label: number for number, label in enumerate(labels)}
    of_gold, of_predicted = np.zeros((len(gold), len(labels))), np.zeros((len(gold), len(labels)))
    for row, (a, b) in enumerate(zip(gold, predicted, strict=True)):
        of_gold[row, [index[value] for value in label_set(a) if value in index]] = 1
        of_predicted[row, [index[value] for value in label_set(b) if value in index]] = 1
    return Patterns(np.ones(len(gold), dtype=np.int64), of_gold * of_predicted, of_gold, of_predicted)


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One label's scores. `support` is how many rows have it as gold, `predicted` how many were given it."""

    label: str
    precision: Metric
    recall: Metric
    f1: Metric
    support: int
    predicted: int


def per_class(gold: Sequence[Any], predicted: Sequence[Any], labels: Sequence[str]) -> list[ClassScore]:
    """Scores of every label, in the order of `labels`. A score without rows is NaN with the interval (0, 1)."""
    grouped = patterns(gold, predicted, labels)
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
    """F1 = 2J/(1+J), where J is the share of right rows among those where the label is gold or predicted. J is a binomial share and F1
    grows with it, so Wilson's interval of J, carried through, is F1's: closed, and never without width."""
    union = support + given - right
    low, high = wilson(right, union)
    value = right / union if union else math.nan
    return Metric(2 * value / (1 + value), 2 * low / (1 + low), 2 * high / (1 + high), union)


@dataclass(frozen=True, slots=True)
class Confusion:
    """Rows whose gold label is `gold` and that were given `predicted`; `share` is of the gold label's rows."""

    gold: str
    predicted: str
    count: int
    share: float


def confusion(gold: Sequence[Any], predicted: Sequence[Any], labels: Sequence[str]) -> NDArray[np.int64]:
    """(labels, labels) counts for single-label rows: gold down, predicted across. Values not in `labels` are left out."""
    index = {label: number for number, label in enumerate(labels)}
    table = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for (a, b), count in Counter(zip(gold, predicted, strict=True)).items():
        if a in index and b in index:
            table[index[a], index[b]] += count
    return table


def confusion_pairs(gold: Sequence[Any], predicted: Sequence[Any], limit: int = 20) -> list[Confusion]:
    """The wrong pairs seen most, most first; ties by name. For lists of labels: each missing label against each wrongly added one."""
    of_gold: Counter[str] = Counter()
    wrong: Counter[tuple[str, str]] = Counter()
    for a, b in zip(map(label_set, gold), map(label_set, predicted), strict=True):
        of_gold.update(str(label) for label in a)
        wrong.update((str(missing), str(added)) for missing in a - b for added in b - a)
    ranked = sorted(wrong.items(), key=lambda item: (-item[1], item[0]))[:limit]
    return [Confusion(a, b, count, count / of_gold[a]) for (a, b), count in ranked]


def oos_recall(gold: Sequence[Any], predicted: Sequence[Any], unknown: Any) -> Metric:
    """Share of the out-of-scope rows (gold is `unknown`) that were answered with `unknown`."""
    return share(np.array([b == unknown for a, b in zip(gold, predicted, strict=True) if a == unknown], dtype=np.bool_))


def in_scope_accuracy(gold: Sequence[Any], predicted: Sequence[Any], unknown: Any) -> Metric:
    """Share of the in-scope rows (gold is not `unknown`) that were answered right; `unknown` is a wrong answer to them."""
    kept = [(a, b) for a, b in zip(gold, predicted, strict=True) if a != unknown]
    return accuracy([a for a, _ in kept], [b for _, b in kept])
