"""Shelf life: what must be sold today, and what comes off its price."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from .faults import BakeryFault
from .money import share_of
from .products import ProductStore
from .storage import LineStore

REDUCED = 30


@dataclass(frozen=True)
class Tray:
    """Pieces of one product that were baked on one day. `days`: how long they keep."""

    number: str
    product: str
    pieces: int
    baked: date
    days: int

    @property
    def last_day(self) -> date:
        """Return the last day on which it is sold."""
        return self.baked + timedelta(days=self.days)

    def is_over(self, today: date) -> bool:
        """Return True if it is sold no more."""
        return today > self.last_day

    def shown(self) -> str:
        """Write the tray for a person."""
        return f"{self.pieces} {self.product} until {self.last_day.isoformat()}"


class TrayStore:
    """All trays."""

    def __init__(self, folder: Path) -> None:
        self._store = LineStore(folder / "trays.jsonl", "tray")

    def add(self, tray: Tray) -> None:
        """Add a tray. Raises BakeryFault for an empty one."""
        if tray.pieces < 1:
            raise BakeryFault("the tray is empty", tray.number)
        self._store.add(_row(tray))

    def get(self, number: str) -> Tray:
        """Return a tray. Raises UnknownEntry."""
        return _from_row(self._store.row(number))

    def all(self) -> list[Tray]:
        """Return all trays by their last day."""
        return sorted((_from_row(row) for row in self._store.rows()), key=lambda tray: tray.last_day)

    def over(self, today: date) -> list[Tray]:
        """Return the trays that are sold no more."""
        return [tray for tray in self.all() if tray.is_over(today)]

    def price(self, number: str, today: date, products: ProductStore) -> int:
        """Return the price of a piece in cents; less on the last day."""
        tray = self.get(number)
        whole = products.get(tray.product).price
        return whole - share_of(whole, REDUCED) if today == tray.last_day else whole


def _row(tray: Tray) -> dict[str, Any]:
    return {
        "number": tray.number,
        "product": tray.product,
        "pieces": tray.pieces,
        "baked": tray.baked.isoformat(),
        "days": tray.days,
    }


def _from_row(row: dict[str, Any]) -> Tray:
    return Tray(
        number=row["number"],
        product=row["product"],
        pieces=row["pieces"],
        baked=date.fromisoformat(row["baked"]),
        days=row["days"],
    )
