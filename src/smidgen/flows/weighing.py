"""On which rows the forms of a student are weighed against its trained weights, before one of them is chosen."""

from __future__ import annotations

from collections.abc import Sequence

from smidgen.core.rows import Row, evenly
from smidgen.flows.training import Variant

MOST = 96
"""Rows of a writer, where it is quick."""
LEAST = 48
"""Rows of a slow one, where so many were held out: every form writes them."""
SECONDS = 30.0
"""How long writing them may take."""


def weighed(held: Sequence[Row], learnt: Sequence[Row], whole: Variant) -> Sequence[Row]:
    """The held-out rows; of a student that writes, up to `MOST` or as many as it writes in `SECONDS`: where fewer were held out, with rows
    that it learnt from beside them; where more were, some of them, but `LEAST` at least; both spread evenly.

    A writer has few held-out rows, and one word that falls otherwise moves a mean of twenty texts by more than its forms differ. Rows that
    were learnt flatter the trained weights and the small ones alike, and it is the difference that is asked for. 130 long
    rows took each form six minutes and more to write, after ten of teaching.

    Args:
        whole: the student as it was trained, in its engine's files, timed.
    """
    if not whole.writes:
        return held
    most = min(MOST, int(1e3 * SECONDS / max(1.0, whole.timing.p50)))
    return [*held, *evenly(learnt, most - len(held))] if most > len(held) else evenly(held, max(LEAST, most))
