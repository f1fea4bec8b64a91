"""Suppliers: who brings which ingredient, how fast and at which price."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from .faults import BakeryFault
from .ingredients import Ingredient
from .storage import LineStore


@dataclass(frozen=True)
class Miller:
    """A supplier. `days`: from the order to the delivery. `least`: grams of the smallest order."""

    number: str
    name: str
    ingredients: tuple[str, ...]
    days: int
    least: float

    def arrival(self, ordered: date) -> date:
        """Return the day on which an order arrives; nobody drives on Sundays."""
        day = ordered + timedelta(days=self.days)
        return day + timedelta(days=1) if day.weekday() == 6 else day

    def shown(self) -> str:
        """Write the supplier for a person."""
        return f"{self.name}: {self.days} days"


class SupplierStore:
    """All suppliers."""

    def __init__(self, folder: Path) -> None:
        self._store = LineStore(folder / "suppliers.jsonl", "supplier")

    def add(self, miller: Miller) -> None:
        """Add a supplier. Raises BakeryFault for a delivery before its order."""
        if miller.days < 0:
            raise BakeryFault("the delivery is before the order", miller.days)
        self._store.add(_row(miller))

    def get(self, number: str) -> Miller:
        """Return a supplier. Raises UnknownEntry."""
        return _from_row(self._store.row(number))

    def all(self) -> list[Miller]:
        """Return all suppliers by name."""
        return sorted((_from_row(row) for row in self._store.rows()), key=lambda miller: miller.name)

    def of(self, ingredient: str) -> list[Miller]:
        """Return the suppliers of an ingredient, the fastest first."""
        return sorted((miller for miller in self.all() if ingredient in miller.ingredients), key=lambda miller: miller.days)


def order_weight(ingredient: Ingredient, miller: Miller) -> float:
    """Return the grams to order: what fills the stock to twice its least, and no less than the supplier brings."""
    return max(miller.least, 2 * ingredient.least - ingredient.stock)


def _row(miller: Miller) -> dict[str, Any]:
    return {
        "number": miller.number,
        "name": miller.name,
        "ingredients": list(miller.ingredients),
        "days": miller.days,
        "least": miller.least,
    }


def _from_row(row: dict[str, Any]) -> Miller:
    return Miller(
        number=row["number"],
        name=row["name"],
        ingredients=tuple(row["ingredients"]),
        days=row["days"],
        least=row["least"],
    )
