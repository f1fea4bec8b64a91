"""Whether the challenger would answer more of the requests than the champion, each under its own certificate: the same promise, kept more
often. It asks for no right answers, only for scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np

from smidgen.flows.calibration_sample import BY_LABEL
from smidgen.flows.learning.material import Taken
from smidgen.flows.live import Model
from smidgen.gateway.standing import Decision, Standing
from smidgen.stats.intervals import Floats
from smidgen.stats.paired import sign_test

_BATCH = 512


@dataclass(frozen=True)
class Reach:
    """What came of it.

    Attributes:
        n: rows.
        champion, challenger: the share of them that each would answer.
        gained, lost: rows that only the challenger, and only the champion, would answer.
        p: one-sided, of "the challenger answers no more" (the exact sign test on the rows where they differ).
        level: at which it was tested: half of what goes to this look, see `contest.py`.
    """

    n: int
    champion: float
    challenger: float
    gained: int
    lost: int
    p: float
    level: float

    @property
    def more(self) -> bool:
        """Whether the challenger answers more."""
        return self.p <= self.level

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "more": self.more}


@dataclass(frozen=True)
class Certified:
    """A model, how its certificate stands, and the time; None for the clock's."""

    model: Model
    standing: Standing
    now: datetime | None = None

    def answered(self, rows: Sequence[Taken]) -> Floats:
        """(n,) 1 for a row that it would answer, 0 for one that escalates."""
        found = np.zeros(len(rows), dtype=np.float64)
        by = self.standing.certificate.by if self.standing.certificate is not None else ""
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            for place, reply in enumerate(self.model.predict([taken.row.input for taken in part]), start):
                segment = str(reply.output) if by == BY_LABEL else None
                found[place] = self.standing.decide(reply.score, segment, self.now) is Decision.ANSWER
        return found

    def share(self, rows: Sequence[Taken]) -> float:
        """Of the rows, what it would answer; 1 without any, for then nothing is known of what more could be."""
        return float(self.answered(rows).mean()) if rows else 1.0


def compared(first: Floats, second: Floats, level: float) -> Reach:
    """Of the same rows what the champion answers, and what the challenger."""
    gained, lost = int((second > first).sum()), int((second < first).sum())
    share = [float(values.mean()) if len(values) else 0.0 for values in (first, second)]
    return Reach(len(first), share[0], share[1], gained, lost, sign_test(gained, lost), level)
