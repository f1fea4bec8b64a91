"""Metrics of extraction: precision, recall and F1 of spans, and of the fields of objects."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from smidgen.core.quantities import Metric
from smidgen.stats.classification_metrics import ClassScore, share
from smidgen.stats.field_values import Filled, count_shared, equal_fields, field_pairs
from smidgen.stats.intervals import Floats, bootstrap, wilson

Spans = Sequence[Mapping[str, Any]]
"""Spans of one text, each with `start`, `end` and `label`."""

Likely = Sequence[Sequence[float]]
"""Candidate spans of one text: start, end, number of the kind, and probability of each."""


def decide_spans(found: Likely, threshold: float) -> tuple[list[Sequence[float]], list[Sequence[float]]]:
    """Select spans without overlap, likeliest first. Returns those at or above the threshold, and the rejected ones below it.

    A candidate that overlaps a selected span is in neither list.
    """
    kept: list[Sequence[float]] = []
    rest: list[Sequence[float]] = []
    taken = bytearray(int(max((entry[1] for entry in found), default=0)))  # characters of selected spans
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
    """Return spans as a set of (start, end, label); with `label`, only those of this label."""
    return frozenset((span["start"], span["end"], span["label"]) for span in spans if label is None or span["label"] == label)


def measure_spans(gold: Sequence[Spans], got: Sequence[Spans]) -> dict[str, Metric]:
    """Return f1, precision and recall over the spans of all rows, and exact_match, the share of rows with exactly the gold spans.

    Intervals are bootstrapped over rows. `n` is the number of rows. A value is NaN if there is nothing to count.
    """
    if len(gold) != len(got):
        raise ValueError(f"{len(gold)} gold lists of spans and {len(got)} answers")
    pairs = [(span_keys(a), span_keys(b)) for a, b in zip(gold, got, strict=True)]
    return measure_counts([(len(a & b), len(a), len(b)) for a, b in pairs], [a == b for a, b in pairs])


def measure_counts(rows: Sequence[tuple[int, int, int]], exact: Sequence[bool]) -> dict[str, Metric]:
    """Measure from counts: for each row, the number of right, wanted and given items, and whether the whole row is right."""
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
    """Return F1 without an interval; 0 if there is nothing to count."""
    pairs = [(span_keys(a), span_keys(b)) for a, b in zip(gold, got, strict=True)]
    both = sum(len(a) + len(b) for a, b in pairs)
    return 2 * sum(len(a & b) for a, b in pairs) / both if both else 0.0


def _resampled(counts: Any, above: Floats, below: Floats) -> Metric:
    """Return a ratio of sums over rows: `above` and `below` are the contributions of a row of each pattern."""
    n = int(counts.sum())
    total, whole = float(counts @ above), float(counts @ below)
    if not whole:
        return Metric(math.nan, 0.0, 1.0, n)
    value = total / whole
    if value in (0.0, 1.0):
        # If all rows are right (or all wrong), every resample is the same. Wilson's bound then gives the width.
        low, high = wilson(round(value * whole), round(whole))
    else:
        low, high = bootstrap(counts, lambda drawn: _ratio(drawn @ above, drawn @ below))
    return Metric(value, low, high, n)


def span_change(gold: Sequence[Spans], before: Sequence[Spans], after: Sequence[Spans]) -> Metric:
    """Return the change in F1 between two models on the same rows, with a paired bootstrap interval: rows are drawn once for both."""
    return change_of_counts(
        [
            (len(a), len(a & b), len(b), len(a & c), len(c))
            for a, b, c in (map(span_keys, row) for row in zip(gold, before, after, strict=True))
        ]
    )


def change_of_counts(rows: Sequence[tuple[int, int, int, int, int]]) -> Metric:
    """Return the change in F1 from counts: for each row, items wanted, right and given before, right and given after."""
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
        # If every resample is the same, allow for a change of one row in either direction.
        low, high = max(-1.0, value - 2 / (len(rows) + 2)), min(1.0, value + 2 / (len(rows) + 2))
    return Metric(value, low, high, len(rows))


def _ratio(above: Floats, below: Floats) -> Floats:
    ratio: Floats = np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)
    return ratio


def per_label(gold: Sequence[Spans], got: Sequence[Spans], labels: Sequence[str]) -> list[ClassScore]:
    """Return the scores of every label over the spans of all rows, in the order of `labels`, with Wilson's intervals.

    `support` and `predicted` count spans.
    """
    found = []
    for label in labels:
        pairs = [(span_keys(a, label), span_keys(b, label)) for a, b in zip(gold, got, strict=True)]
        right, wanted, given = sum(len(a & b) for a, b in pairs), sum(len(a) for a, _ in pairs), sum(len(b) for _, b in pairs)
        found.append(score_of_counts(label, right, wanted, given))
    return found


def score_of_counts(label: str, right: int, wanted: int, given: int) -> ClassScore:
    """Return the scores of a label from its numbers of right, wanted and given items."""
    return ClassScore(label, _share(right, given), _share(right, wanted), _f1(right, wanted + given - right), wanted, given)


def _share(right: int, n: int) -> Metric:
    return share(np.arange(n) < right)


def _f1(right: int, union: int) -> Metric:
    """Return F1 = 2J / (1 + J), where J is the share of right spans among those gold or given; see `classification_metrics.per_class`."""
    met = _share(right, union)
    value, low, high = (2 * j / (1 + j) for j in (met.value, met.low, met.high))
    return Metric(value, low, high, union)


def measure_fields(gold: Sequence[Filled], got: Sequence[Filled]) -> dict[str, Metric]:
    """Return f1, precision and recall over the field-value pairs of all rows, and exact_match.

    exact_match is the share of rows with exactly the gold pairs.

    Intervals are bootstrapped over rows. `n` is the number of rows. A value is NaN if there is nothing to count.
    """
    if len(gold) != len(got):
        raise ValueError(f"{len(gold)} gold objects and {len(got)} answers")
    both = [(field_pairs(a), field_pairs(b)) for a, b in zip(gold, got, strict=True)]
    return measure_counts(
        [(count_shared(a, b), a.total(), b.total()) for a, b in both], [equal_fields(a, b) for a, b in zip(gold, got, strict=True)]
    )


def field_change(gold: Sequence[Filled], before: Sequence[Filled], after: Sequence[Filled]) -> Metric:
    """Return the change in F1 between two models on the same rows, with a paired bootstrap interval."""
    rows = [tuple(map(field_pairs, row)) for row in zip(gold, before, after, strict=True)]
    return change_of_counts([(a.total(), count_shared(a, b), b.total(), count_shared(a, c), c.total()) for a, b, c in rows])


def per_field(gold: Sequence[Filled], got: Sequence[Filled], paths: Sequence[str]) -> list[ClassScore]:
    """Return the scores of every field over all rows, in the order of `paths`, with Wilson's intervals.

    `support` and `predicted` count values.
    """
    both = [(field_pairs(a), field_pairs(b)) for a, b in zip(gold, got, strict=True)]
    wanted, given, right = Counter[str](), Counter[str](), Counter[str]()
    for a, b in both:
        for counts, tally in ((a, wanted), (b, given), (a & b, right)):
            for (path, _), times in counts.items():
                tally[path] += times
    return [score_of_counts(path, right[path], wanted[path], given[path]) for path in paths]


def lookup_spans(texts: Sequence[str], found: Sequence[Sequence[Mapping[str, Any]]]) -> list[list[dict[str, Any]]]:
    """Find in each text the words that are a span in another text, as a baseline.

    They must be whole words in this text. Each gets the kind that it has most often in the other texts. Longer ones come first; none
    overlap.
    """
    known: dict[str, Counter[str]] = defaultdict(Counter)
    own = [[(text[span["start"] : span["end"]], str(span["label"])) for span in mine] for text, mine in zip(texts, found, strict=True)]
    for entries in own:
        for words, kind in entries:
            known[words][kind] += 1
    answers = []
    for text, entries in zip(texts, own, strict=True):
        mine: dict[str, Counter[str]] = defaultdict(Counter)
        for words, kind in entries:
            mine[words][kind] += 1
        given: list[dict[str, Any]] = []
        for words in sorted((words for words in known if words in text), key=lambda words: (-len(words), words)):
            others = known[words] - mine[words]
            if not others:
                continue
            kind = min(others, key=lambda kind: (-others[kind], kind))
            for match in re.finditer(rf"(?<!\w){re.escape(words)}(?!\w)", text):
                if not any(match.start() < span["end"] and span["start"] < match.end() for span in given):
                    given.append({"start": match.start(), "end": match.end(), "label": kind})
        answers.append(sorted(given, key=lambda span: int(span["start"])))
    return answers


def lookup_fields(filled: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Predict for each object the most frequent value of each field in the other objects; among equals, the earlier one."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    values: dict[str, Any] = {}
    for one in filled:
        for name, value in one.items():
            values.setdefault(_key(value), value)
            counts[name][_key(value)] += 1
    answers = []
    for one in filled:
        made = {}
        for name, found in counts.items():
            others = found - Counter([_key(one[name])] if name in one else [])
            if others:
                made[name] = values[max(others, key=lambda key: others[key])]
        answers.append(made)
    return answers


def _key(value: Any) -> str:
    return repr(value)
