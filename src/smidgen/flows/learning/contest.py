"""The challenger against the champion, on held-out rows that neither learnt from and that certify nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from smidgen.core.parts import Graded
from smidgen.core.rows import Row
from smidgen.flows.learning.material import Taken
from smidgen.flows.live import Model
from smidgen.stats.intervals import Floats
from smidgen.stats.paired import better, not_worse
from smidgen.stats.patterns import same

_BATCH = 512


@dataclass(frozen=True)
class Contest:
    """What came of it.

    Attributes:
        n: rows.
        champion, challenger: mean grade of each, the share right where answers are right or wrong; None without rows.
        gained, lost: rows on which the challenger did better, and worse.
        p: one-sided, of "the challenger is not better".
        p_not_worse: one-sided, of "it is worse by the margin or more".
        level, margin: what was asked for.
    """

    n: int
    champion: float | None
    challenger: float | None
    gained: int
    lost: int
    p: float
    p_not_worse: float
    level: float
    margin: float

    @property
    def won(self) -> bool:
        """Whether the challenger is better."""
        return self.p <= self.level

    @property
    def held(self) -> bool:
        """Whether it is no worse than by the margin."""
        return self.p_not_worse <= self.level

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "better": self.won, "not_worse": self.held}


def fought(champion: Model, challenger: Model, rows: Sequence[Taken], *, level: float, margin: float, seed: int) -> Contest:
    """Both on the same rows."""
    if not rows:
        return Contest(0, None, None, 0, 0, 1.0, 1.0, level, margin)
    asked = [taken.row for taken in rows]
    first, second = worth(champion, asked), worth(challenger, asked)
    change = second - first
    # Betting goes row by row, and traffic has tides: an order that says nothing is drawn.
    drawn = np.random.default_rng([seed, 73]).permutation(len(change))
    return Contest(
        n=len(rows),
        champion=float(first.mean()),
        challenger=float(second.mean()),
        gained=int((change > 0).sum()),
        lost=int((change < 0).sum()),
        p=better(change[drawn], level),
        p_not_worse=not_worse(change[drawn], margin, level),
        level=level,
        margin=margin,
    )


def worth(model: Model, rows: Sequence[Row]) -> Floats:
    """(n,) the grade of each of the model's answers; 1 for right and 0 for wrong, where there are no grades."""
    replies = [
        reply for start in range(0, len(rows), _BATCH) for reply in model.predict([row.input for row in rows[start : start + _BATCH]])
    ]
    if isinstance(model.task, Graded):
        return np.asarray(model.task.grades(rows, replies, model.form), dtype=np.float64)
    return np.asarray(same([row.output for row in rows], [reply.output for reply in replies]), dtype=np.float64)
