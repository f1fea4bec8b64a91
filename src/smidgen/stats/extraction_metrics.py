"""Metrics of extraction: precision, recall and F1 of spans, and of the fields of objects."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from smidgen.core.metrics import Metric
from smidgen.stats.classification_metrics import ClassScore, share
from smidgen.stats.field_values import Filled, count_shared, equal_fields, field_pairs
from smidgen.stats.intervals import Floats, bootstrap, wilson

# How well spans were found. A span is right where its start, its end and its label all are (strict matching, as in CoNLL's evaluation).

Spans = Sequence[Mapping[str, Any]]
"""The spans of one text, each with `start`, `end` and `label`."""

Likely = Sequence[Sequence[float]]
"""Of one text: for each span that may be one its start, its end, the number of its kind and its probability."""


def decide_spans(found: Likely, threshold: float) -> tuple[list[Sequence[float]], list[Sequence[float]]]:
    """The spans to give, likeliest first, and those that could have been given: no two overlap, and none is less likely than the
    threshold. What overlaps a span that is given is decided with it."""
    kept: list[Sequence[float]] = []
    rest: list[Sequence[float]] = []
    taken = bytearray(int(max((entry[1] for entry in found), default=0)))  # characters of spans that are given
    for entry in sorted(found, key=lambda entry: (-entry[3], entry[0], entry[1], entry[2])):
        start, end = int(entry[0]), int(entry[1])
        if any(taken[start:end]):
            continue
        if entry[3] >= threshold:
            kept.append(entry)
            taken[start:end] = b"\x01" * (end - start)
        else:
            rest.append(entry)
    return kept, rest


def span_keys(spans: Spans, label: str | None = None) -> frozenset[Hashable]:
    """Spans as a set of (start, end, label); only those of one label where it is given."""
    return frozenset((span["start"], span["end"], span["label"]) for span in spans if label is None or span["label"] == label)


def measure_spans(gold: Sequence[Spans], got: Sequence[Spans]) -> dict[str, Metric]:
    """f1, precision and recall over the spans of all rows, with bootstrap intervals over rows, and exact_match, the share of rows whose
    spans are exactly the gold ones. `n` is the number of rows. A value is NaN where there is nothing to count."""
    if len(gold) != len(got):
        raise ValueError(f"{len(gold)} gold lists of spans and {len(got)} answers")
    pairs = [(span_keys(a), span_keys(b)) for a, b in zip(gold, got, strict=True)]
    return measure_counts([(len(a & b), len(a), len(b)) for a, b in pairs], [a == b for a, b in pairs])


def measure_counts(rows: Sequence[tuple[int, int, int]], exact: Sequence[bool]) -> dict[str, Metric]:
    """The same from counts: for each row how many things are right, wanted and given, and whether it is right as a whole."""
    seen = Counter(rows)
    table = np.array(list(seen), dtype=np.float64).reshape(-1, 3)
    counts = np.fromiter(seen.values(), dtype=np.int64, count=len(seen))
    right, wanted, given = table.T
    return {
        "f1": _resampled(counts, 2 * right, wanted + given),
        "precision": _resampled(counts, right, given),
        "recall": _resampled(counts, right, wanted),
        "exact_match": share(np.array(exact, dtype=np.bool_)),
    }


def count_exact(gold: Sequence[Spans], got: Sequence[Spans]) -> float:
    """F1 alone, without an interval; 0 where there is nothing to count."""
    pairs = [(span_keys(a), span_keys(b)) for a, b in zip(gold, got, strict=True)]
    both = sum(len(a) + len(b) for a, b in pairs)
    return 2 * sum(len(a & b) for a, b in pairs) / both if both else 0.0


def _resampled(counts: Any, above: Floats, below: Floats) -> Metric:
    """A ratio of sums over rows: `above` and `below` are what a row of each pattern adds."""
    n = int(counts.sum())
    total, whole = float(counts @ above), float(counts @ below)
    if not whole:
        return Metric(math.nan, 0.0, 1.0, n)
    value = total / whole
    if value in (0.0, 1.0):
        # No resample of rows that are all right (or all wrong) differs; what so many spans can show at most is Wilson's bound.
        low, high = wilson(round(value * whole), round(whole))
    else:
        low, high = bootstrap(counts, lambda drawn: _ratio(drawn @ above, drawn @ below))
    return Metric(value, low, high, n)


def span_change(gold: Sequence[Spans], before: Sequence[Spans], after: Sequence[Spans]) -> Metric:
    """What F1 changed by from some answers to others on the same rows, with its paired bootstrap interval: rows are drawn once for both."""
    return change_of_counts(
        [
            (len(a), len(a & b), len(b), len(a & c), len(c))
            for a, b, c in (map(span_keys, row) for row in zip(gold, before, after, strict=True))
        ]
    )


def change_of_counts(rows: Sequence[tuple[int, int, int, int, int]]) -> Metric:
    """The same from counts: for each row how many things are wanted, then right and given before, right and given after."""
    seen = Counter(rows)
    table = np.array(list(seen), dtype=np.float64).reshape(-1, 5)
    counts = np.fromiter(seen.values(), dtype=np.int64, count=len(seen))

    def moved(drawn: Floats) -> Floats:
        wanted, first, given, second, given_then = (drawn @ table).T
        return _ratio(2 * second, wanted + given_then) - _ratio(2 * first, wanted + given)

    value = float(moved(counts[None, :].astype(np.float64))[0]) if len(counts) else math.nan
    if math.isnan(value):
        return Metric(0.0, -1.0, 1.0, len(rows))
    low, high = bootstrap(counts, moved)
    if low == high:
        # No resample differs: what so many rows can show at most is a row more or less.
        low, high = max(-1.0, value - 2 / (len(rows) + 2)), min(1.0, value + 2 / (len(rows) + 2))
    return Metric(value, low, high, len(rows))


def _ratio(above: Floats, below: Floats) -> Floats:
    ratio: Floats = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return ratio


def per_label(gold: Sequence[Spans], got: Sequence[Spans], labels: Sequence[str]) -> list[ClassScore]:
    """Scores of every label over the spans of all rows, in the order of `labels`, with Wilson's intervals. `support` and `predicted`
    count spans."""
    found = []
    for label in labels:
        pairs = [(span_keys(a, label), span_keys(b, label)) for a, b in zip(gold, got, strict=True)]
        right, wanted, given = sum(len(a & b) for a, b in pairs), sum(len(a) for a, _ in pairs), sum(len(b) for _, b in pairs)
        found.append(score_of_counts(label, right, wanted, given))
    return found


def score_of_counts(label: str, right: int, wanted: int, given: int) -> ClassScore:
    """The scores of a label of which so many things are right, wanted and given."""
    return ClassScore(label, _share(right, given), _share(right, wanted), _f1(right, wanted + given - right), wanted, given)


def _share(right: int, n: int) -> Metric:
    return share(np.arange(n) < right)


def _f1(right: int, union: int) -> Metric:
    """F1 = 2J / (1 + J) of the share J of right spans among those that are gold or given; see `classification.per_class`."""
    met = _share(right, union)
    value, low, high = (2 * j / (1 + j) for j in (met.value, met.low, met.high))
    return Metric(value, low, high, union)


# How well the fields of objects were filled in, by the pairs of a field and its value; see `filled`.


def measure_fields(gold: Sequence[Filled], got: Sequence[Filled]) -> dict[str, Metric]:
    """f1, precision and recall over the pairs of all rows, with bootstrap intervals over rows, and exact_match, the share of rows whose
    pairs are exactly the gold ones. `n` is the number of rows. A value is NaN where there is nothing to count."""
    if len(gold) != len(got):
        raise ValueError(f"{len(gold)} gold objects and {len(got)} answers")
    both = [(field_pairs(a), field_pairs(b)) for a, b in zip(gold, got, strict=True)]
    return measure_counts(
        [(count_shared(a, b), a.total(), b.total()) for a, b in both], [equal_fields(a, b) for a, b in zip(gold, got, strict=True)]
    )


def field_change(gold: Sequence[Filled], before: Sequence[Filled], after: Sequence[Filled]) -> Metric:
    """What F1 changed by from some answers to others on the same rows, with its paired bootstrap interval."""
    rows = [tuple(map(field_pairs, row)) for row in zip(gold, before, after, strict=True)]
    return change_of_counts([(a.total(), count_shared(a, b), b.total(), count_shared(a, c), c.total()) for a, b, c in rows])


def per_field(gold: Sequence[Filled], got: Sequence[Filled], paths: Sequence[str]) -> list[ClassScore]:
    """Scores of every field over all rows, in the order of `paths`, with Wilson's intervals. `support` and `predicted` count values."""
    both = [(field_pairs(a), field_pairs(b)) for a, b in zip(gold, got, strict=True)]
    wanted, given, right = Counter[str](), Counter[str](), Counter[str]()
    for a, b in both:
        for counts, tally in ((a, wanted), (b, given), (a & b, right)):
            for (path, _), times in counts.items():
                tally[path] += times
    return [score_of_counts(path, right[path], wanted[path], given[path]) for path in paths]
