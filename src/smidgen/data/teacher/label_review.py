"""Review a teacher's labels by the other rows: likely wrong ones are corrected where the right one is clear, else left out.

Confident learning (`data/label_errors.py`) over the user's own rows and the taught ones together; the user's own are never doubted
here. On BANKING77 with 10 rows of each label and 7,200 labels by a teacher that is wrong at random in 8.7 of 100, 1.7 of 100 are wrong
afterwards; where it takes one of the three likeliest wrong labels, 2.8 (docs/log.md).
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace

import numpy as np

from smidgen.core.rows import Row, joined
from smidgen.data import label_errors
from smidgen.data.findings.mislabels import CLEAR, LEAST_AGREEMENT, LEAST_ROWS
from smidgen.data.teacher.prompts import Embed

_CELLS = 50_000_000
"""Rows times labels that are held at once, as 4-byte numbers."""


def review_labels(own: Sequence[Row], taught: Sequence[Row], unknown: Set[str], embed: Embed | None) -> tuple[list[Row | None], str]:
    """The taught rows after judgement: as they were, with another label, or None; and why there was no judgement, where there was none.

    Args:
        own: the user's rows, each with one label.
        taught: rows that a teacher labelled.
        unknown: labels for "none of these"; texts under them have nothing in common, so they cannot be judged.
        embed: makes vectors of texts; without it the words must do.
    """
    kept: list[Row | None] = list(taught)
    places = [place for place, row in enumerate(taught) if row.output not in unknown]
    known = [row for row in own if row.output not in unknown]
    rows = [*known, *(taught[place] for place in places)]
    names = sorted({str(row.output) for row in rows})
    if len(names) < 2 or len(rows) < LEAST_ROWS:
        return kept, "there are too few rows to judge by"
    if len(rows) * len(names) > _CELLS:
        return kept, f"{len(rows):,} rows of {len(names):,} labels are more than are judged"
    index = {name: number for number, name in enumerate(names)}
    given = np.array([index[str(row.output)] for row in rows], dtype=np.int64)
    texts = [joined(row.input) for row in rows]
    judgement = label_errors.judge_labels(texts, given, len(names), None if embed is None else embed(texts))
    agreement = judgement.agreement(given)
    if agreement < LEAST_AGREEMENT:
        return kept, f"the judges would give only {agreement:.0%} of the labels again"
    for doubt in judgement.doubts(given):
        number = doubt.place - len(known)
        if number < 0:
            continue
        place = places[number]
        clear = doubt.proposed_chance >= CLEAR and doubt.given_chance <= 1 - CLEAR
        kept[place] = replace(taught[place], output=names[doubt.proposed], shares=()) if clear else None
    return kept, ""
