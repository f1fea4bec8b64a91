"""Customers: cafés and families that order ahead."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .faults import BakeryFault
from .storage import LineStore


@dataclass(frozen=True)
class Patron:
    """A customer. `discount`: percent off every order."""

    number: str
    name: str
    street: str
    town: str
    phone: str = ""
    discount: int = 0

    @property
    def address(self) -> str:
        """Return the address on one line."""
        return f"{self.street}, {self.town}"

    def shown(self) -> str:
        """Write the customer for a person."""
        return f"{self.name}, {self.address}"


class PatronStore:
    """All customers."""

    def __init__(self, folder: Path) -> None:
        self._store = LineStore(folder / "customers.jsonl", "customer")

    def add(self, patron: Patron) -> None:
        """Add a customer. Raises BakeryFault for a discount that is none."""
        if not 0 <= patron.discount <= 50:
            raise BakeryFault("the discount is out of range", patron.discount)
        self._store.add(_row(patron))

    def get(self, number: str) -> Patron:
        """Return a customer. Raises UnknownEntry."""
        return _from_row(self._store.row(number))

    def all(self) -> list[Patron]:
        """Return all customers by name."""
        return sorted((_from_row(row) for row in self._store.rows()), key=lambda patron: patron.name)

    def moved(self, number: str, street: str, town: str) -> Patron:
        """Change the address of a customer."""
        patron = replace(self.get(number), street=street, town=town)
        self._store.change(_row(patron))
        return patron

    def find(self, words: str) -> list[Patron]:
        """Return the customers whose name holds some words."""
        wanted = words.casefold().split()
        return [patron for patron in self.all() if all(word in patron.name.casefold() for word in wanted)]


def _row(patron: Patron) -> dict[str, Any]:
    return {
        "number": patron.number,
        "name": patron.name,
        "street": patron.street,
        "town": patron.town,
        "phone": patron.phone,
        "discount": patron.discount,
    }


def _from_row(row: dict[str, Any]) -> Patron:
    return Patron(
        number=row["number"],
        name=row["name"],
        street=row["street"],
        town=row["town"],
        phone=row["phone"],
        discount=row["discount"],
    )
