"""Staff: who works when, and for how much."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from .faults import BakeryFault
from .money import total
from .storage import LineStore

NIGHT_ENDS = 6
NIGHT_EXTRA = 25


@dataclass(frozen=True)
class Shift:
    """The work of one person on a day. `wage`: cents an hour."""

    number: str
    person: str
    begins: datetime
    ends: datetime
    wage: int

    @property
    def hours(self) -> float:
        """Return the length in hours."""
        return (self.ends - self.begins) / timedelta(hours=1)

    @property
    def night_hours(self) -> float:
        """Return the hours before six in the morning."""
        dawn = self.begins.replace(hour=NIGHT_ENDS, minute=0)
        return max(0.0, (min(self.ends, dawn) - self.begins) / timedelta(hours=1))

    @property
    def pay(self) -> int:
        """Return the pay in cents, with the extra for the night."""
        return round(self.wage * (self.hours + self.night_hours * NIGHT_EXTRA / 100))

    def shown(self) -> str:
        """Write the shift for a person."""
        return f"{self.person}: {self.begins:%H:%M} to {self.ends:%H:%M}"


class ShiftStore:
    """All shifts."""

    def __init__(self, folder: Path) -> None:
        self._store = LineStore(folder / "shifts.jsonl", "shift")

    def add(self, shift: Shift) -> None:
        """Add a shift. Raises BakeryFault if it ends before it begins."""
        if shift.ends <= shift.begins:
            raise BakeryFault("the shift ends before it begins", shift.number)
        self._store.add(_row(shift))

    def get(self, number: str) -> Shift:
        """Return a shift. Raises UnknownEntry."""
        return _from_row(self._store.row(number))

    def of_day(self, day: date) -> list[Shift]:
        """Return the shifts of a day by their beginning."""
        return sorted((shift for shift in map(_from_row, self._store.rows()) if shift.begins.date() == day), key=lambda shift: shift.begins)

    def pay(self, day: date) -> int:
        """Return the pay of a day in cents."""
        return total(shift.pay for shift in self.of_day(day))


def _row(shift: Shift) -> dict[str, Any]:
    return {
        "number": shift.number,
        "person": shift.person,
        "begins": shift.begins.isoformat(),
        "ends": shift.ends.isoformat(),
        "wage": shift.wage,
    }


def _from_row(row: dict[str, Any]) -> Shift:
    return Shift(
        number=row["number"],
        person=row["person"],
        begins=datetime.fromisoformat(row["begins"]),
        ends=datetime.fromisoformat(row["ends"]),
        wage=row["wage"],
    )
