"""Outputs for every row by a student that learnt from the others, in five parts: they measure and calibrate more surely than a few rows
that are held out.

The parts are drawn without strata. A label of four rows, spread evenly, would leave one row out and learn from three, while other labels
lose a fifth: each row would be answered as if the model had learnt from every row, and by a model that favours its label. The result was
2.4 points too high with 300 rows of 77 labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from smidgen.core.parts import Raw
from smidgen.core.rows import Row, joined
from smidgen.data.splits import split_rows
from smidgen.flows.build import training
from smidgen.flows.build.work import BuildContext, Work
from smidgen.text import near_duplicates

FOLDS = 5
QUICK = 60.0
"""A build cross-fits by itself if five more times of learning and answering take at most this many seconds."""
LEAST_ROWS = 2 * FOLDS


@dataclass(frozen=True)
class CrossFitted:
    """Rows in parts, and each part's outputs by the student that learnt from the other parts. `seconds` is the time that all took."""

    parts: tuple[tuple[Sequence[Row], Raw], ...]
    seconds: float

    @property
    def rows(self) -> list[Row]:
        """The rows, part after part."""
        return [row for rows, _ in self.parts for row in rows]

    @property
    def raw(self) -> Raw:
        """The outputs of `rows`, without embeddings: those of different models have nothing in common, not even their width."""
        raws = [raw for _, raw in self.parts]
        every = {name: [raw[name] for raw in raws] for name in raws[0] if name != "embedding"}
        return {name: np.concatenate(some) if isinstance(some[0], np.ndarray) else list(chain(*some)) for name, some in every.items()}


def can_cross_fit(work: Work, rows: Sequence[Row]) -> bool:
    """Whether parts of the rows can be left out in training. A model that consists of others learns nothing from these rows."""
    task = work.task
    return not (task.writes or task.examples is not None or work.members or work.teacher is not None or len(rows) < LEAST_ROWS)


def is_quick(part_seconds: float) -> bool:
    """Whether to learn and to answer as many times more as there are parts takes seconds."""
    return FOLDS * part_seconds <= QUICK


def cross_fit(work: Work, context: BuildContext, name: str, rows: Sequence[Row]) -> CrossFitted | None:
    """Train a student once for each part of the rows, on the other parts, and ask it for that part. None if all rows outside a part have
    one label: nothing can be learnt from them."""
    kinds = dict(zip((id(row) for row in rows), work.task.strata(rows), strict=True))
    divided = [(fold, _without(rows, fold)) for fold in folds(rows, work.recipe.seed)]
    if any(len({kinds[id(row)] for row in rest}) < min(2, len({*kinds.values()})) for _, rest in divided):
        return None
    parts, seconds = [], 0.0
    for number, (fold, rest) in enumerate(divided, 1):
        fitted = training.fit(work, context, name, rest, (), f"cross-validate {name}, part {number} of {FOLDS}", spare=True)
        found, answering = training.timed_raw(work, context, fitted, [row.input for row in fold])
        seconds += fitted.seconds + answering
        parts.append((fold, found))
    return CrossFitted(tuple(parts), seconds)


def folds(rows: Sequence[Row], seed: int) -> list[list[Row]]:
    """The rows in parts of about equal size, near-duplicates together, drawn without strata."""
    groups = dict(zip((id(row) for row in rows), near_duplicates.near_groups([joined(row.input) for row in rows]), strict=True))
    left, made = list(rows), []
    for count in range(FOLDS, 1, -1):
        kept, held = split_rows(left, [""] * len(left), 1 / count, seed + 7, [groups[id(row)] for row in left], minimum_per_stratum=0)
        made.append(held)
        left = kept
    return [fold for fold in (*made, left) if fold]


def _without(rows: Sequence[Row], fold: Sequence[Row]) -> list[Row]:
    away = {id(row) for row in fold}
    return [row for row in rows if id(row) not in away]
