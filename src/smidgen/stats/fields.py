"""How well the fields of objects were filled in, by the pairs of a field and its value; see `filled`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from smidgen.core.metrics import Metric
from smidgen.stats import spans
from smidgen.stats.classification import ClassScore
from smidgen.stats.filled import Filled, equal, pairs, shared


def measure(gold: Sequence[Filled], got: Sequence[Filled]) -> dict[str, Metric]:
    """f1, precision and recall over the pairs of all rows, with bootstrap intervals over rows, and exact_match, the share of rows whose
    pairs are exactly the gold ones. `n` is the number of rows. A value is NaN where there is nothing to count."""
    if len(gold) != len(got):
        raise ValueError(f"{len(gold)} gold objects and {len(got)} answers")
    both = [(pairs(a), pairs(b)) for a, b in zip(gold, got, strict=True)]
    return spans.measure_counts(
        [(shared(a, b), a.total(), b.total()) for a, b in both], [equal(a, b) for a, b in zip(gold, got, strict=True)]
    )


def change(gold: Sequence[Filled], before: Sequence[Filled], after: Sequence[Filled]) -> Metric:
    """What F1 changed by from some answers to others on the same rows, with its paired bootstrap interval."""
    rows = [tuple(map(pairs, row)) for row in zip(gold, before, after, strict=True)]
    return spans.change_of_counts([(a.total(), shared(a, b), b.total(), shared(a, c), c.total()) for a, b, c in rows])


def per_field(gold: Sequence[Filled], got: Sequence[Filled], paths: Sequence[str]) -> list[ClassScore]:
    """Scores of every field over all rows, in the order of `paths`, with Wilson's intervals. `support` and `predicted` count values."""
    both = [(pairs(a), pairs(b)) for a, b in zip(gold, got, strict=True)]
    wanted, given, right = Counter[str](), Counter[str](), Counter[str]()
    for a, b in both:
        for counts, tally in ((a, wanted), (b, given), (a & b, right)):
            for (path, _), times in counts.items():
                tally[path] += times
    return [spans.score(path, right[path], wanted[path], given[path]) for path in paths]
