"""How many rows a certificate still needs, and when they will be there at the pace of late."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from smidgen.flows.learning.material import Taken

MOST_ROWS = 1_000_000
"""What would take more rows than this is said to be out of reach."""
_PACE = timedelta(days=7)
_SHORTEST = timedelta(hours=1)
"""A burst of minutes says nothing of a day."""
_WEEK = timedelta(days=6)
_FAR = timedelta(days=730)


@dataclass(frozen=True)
class Outlook:
    """What is missing.

    Attributes:
        have: rows that certify, of the certificate's reference.
        needed: about how many it takes; None where no number would do.
        per_day: captured rows that certify which came a day, over the last week or the hours since the first of them.
        ready: when there are enough at that pace; None where none come, or it is years away.
    """

    have: int
    needed: int | None
    per_day: float
    ready: datetime | None

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        ready = self.ready.isoformat() if self.ready is not None else None
        return {"have": self.have, "needed": self.needed, "per_day": round(self.per_day, 2), "ready": ready}

    def said(self, now: datetime) -> str:
        """The same in a clause."""
        if self.needed is None:
            return f"{self.have:,} rows, and at this share of errors no number would do: improve the model, or allow a larger --alpha"
        rows = f"{self.have:,} of about {self.needed:,} rows"
        if self.have >= self.needed:
            return f"{rows}: the next learning may test for it"
        if self.per_day <= 0:
            return f"{rows}; none came in the last week"
        pace = f"at this pace ({self.per_day:,.3g} a day)"
        if self.ready is None:
            return f"{rows}, ready in over two years {pace}"
        day = self.ready.astimezone(UTC).date()
        if day == now.astimezone(UTC).date():
            return f"{rows}, ready today {pace}"
        return f"{rows}, ready on {f'{day:%A}' if self.ready - now <= _WEEK else f'{day.day} {day:%B %Y}'} {pace}"


def outlook(rows: Sequence[Taken], needed: int | None, now: datetime) -> Outlook:
    """What is missing of `needed` rows, where these certify."""
    came = [taken.at for taken in rows if taken.id and now - _PACE < taken.at <= now]
    stretch = max(_SHORTEST, min(_PACE, now - min(came))) if came else _PACE
    # The first of them begins the stretch: what came in it is the others.
    count = len(came) if stretch == _PACE else len(came) - 1
    per_day = count / (stretch / timedelta(days=1))
    ready = None
    if needed is not None and per_day > 0:
        away = max(0, needed - len(rows)) / per_day
        ready = now + timedelta(days=away) if away <= _FAR.days else None
    return Outlook(len(rows), needed, per_day, ready)


def fewest(likely: Callable[[int], float], wanted: float, least: int) -> int | None:
    """The fewest rows from `least` on, to a hundredth, with which a certificate is as likely as wanted; None where there is no such number.

    Args:
        likely: the chance of one on so many rows.
    """
    low, high = least - 1, max(1, least)
    while likely(high) < wanted:
        low, high = high, 2 * high
        if high > MOST_ROWS:
            return None
    while high - low > max(1, high // 100):
        middle = (low + high) // 2
        low, high = (low, middle) if likely(middle) >= wanted else (middle, high)
    return high
