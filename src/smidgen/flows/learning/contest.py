"""The challenger against the champion, on held-out rows that neither learnt from and that certify nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from smidgen.core.parts import Graded
from smidgen.flows.learning.material import Taken
from smidgen.flows.live import Model
from smidgen.stats.intervals import Floats
from smidgen.stats.paired import better, not_worse
from smidgen.stats.patterns import same
from smidgen.stats.spending import share

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
        p_worse: one-sided, of "it is not worse".
        level: at which it was tested whether the challenger is better: half of what of the one that was asked for goes to this look. The
            other half is for whether it answers more under its certificate (`reach.py`): a challenger is promoted by either. That it is
            worse, which only keeps it out, is tested at both together.
        margin: as it was asked for.
        look: how many comparisons there were since the held-out rows are fresh, with this one.
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
    look: int = 1
    p_worse: float = 1.0

    @property
    def won(self) -> bool:
        """Whether the challenger is better."""
        return self.p <= self.level

    @property
    def held(self) -> bool:
        """Whether it is no worse than by the margin."""
        return self.p_not_worse <= 2 * self.level

    @property
    def behind(self) -> bool:
        """Whether it is worse, and not shown to be so by less than the margin."""
        return self.p_worse <= 2 * self.level and not self.held

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "better": self.won, "not_worse": self.held, "worse": self.behind}


def fought(champion: Model, challenger: Model, rows: Sequence[Taken], *, level: float, margin: float, seed: int, look: int = 1) -> Contest:
    """Both on the same rows, the `look`-th time that any are compared on such: all times together spend the level."""
    spent = share(level, look)
    half = spent / 2
    if not rows:
        return Contest(0, None, None, 0, 0, 1.0, 1.0, half, margin, look)
    first, second = worth(champion, rows), worth(challenger, rows)
    change = second - first
    # Betting goes row by row, and traffic has tides: an order that says nothing is drawn.
    drawn = np.random.default_rng([seed, 73]).permutation(len(change))
    return Contest(
        n=len(rows),
        champion=float(first.mean()),
        challenger=float(second.mean()),
        gained=int((change > 0).sum()),
        lost=int((change < 0).sum()),
        p=better(change[drawn], half),
        p_not_worse=not_worse(change[drawn], margin, spent),
        level=half,
        margin=margin,
        look=look,
        p_worse=better(-change[drawn], spent),
    )


def worth(model: Model, rows: Sequence[Taken]) -> Floats:
    """(n,) the grade of each of the model's answers; 1 for right and 0 for wrong where there are no grades. Of a row that was answered with
    what cannot be read every answer is wrong."""
    found = np.zeros(len(rows), dtype=np.float64)
    read = [place for place, taken in enumerate(rows) if not taken.unread]
    if not read:
        return found
    asked = [rows[place].row for place in read]
    replies = [
        reply for start in range(0, len(asked), _BATCH) for reply in model.predict([row.input for row in asked[start : start + _BATCH]])
    ]
    if isinstance(model.task, Graded):
        found[read] = model.task.grades(asked, replies, model.form)
    else:
        found[read] = same([row.output for row in asked], [reply.output for reply in replies])
    return found
