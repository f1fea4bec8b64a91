"""Orders: what somebody wants, and for which day."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from .customers import PatronStore
from .faults import BakeryFault
from .money import share_of, total
from .products import ProductStore
from .storage import LineStore

OPEN, BAKED, DELIVERED = "open", "baked", "delivered"
STATES = (OPEN, BAKED, DELIVERED)


@dataclass(frozen=True)
class OrderLine:
    """Some pieces of a product."""

    product: str
    pieces: int


@dataclass(frozen=True)
class BakeryOrder:
    """An order of a customer for a day."""

    number: str
    patron: str
    day: date
    lines: tuple[OrderLine, ...]
    state: str = OPEN

    @property
    def pieces(self) -> int:
        """Return the number of pieces in all."""
        return sum(line.pieces for line in self.lines)


class OrderStore:
    """All orders."""

    def __init__(self, folder: Path) -> None:
        self._store = LineStore(folder / "orders.jsonl", "order")

    def add(self, order: BakeryOrder) -> None:
        """Add an order. Raises BakeryFault for one of nothing."""
        if not order.lines or any(line.pieces < 1 for line in order.lines):
            raise BakeryFault("the order is of nothing", order.number)
        self._store.add(_row(order))

    def get(self, number: str) -> BakeryOrder:
        """Return an order. Raises UnknownEntry."""
        return _from_row(self._store.row(number))

    def all(self) -> list[BakeryOrder]:
        """Return all orders by day."""
        return sorted((_from_row(row) for row in self._store.rows()), key=lambda order: order.day)

    def of_day(self, day: date) -> list[BakeryOrder]:
        """Return the orders for a day."""
        return [order for order in self.all() if order.day == day]

    def moved_on(self, number: str) -> BakeryOrder:
        """Give an order its next state. Raises BakeryFault if it has the last."""
        order = self.get(number)
        place = STATES.index(order.state)
        if place + 1 == len(STATES):
            raise BakeryFault("the order is delivered", number)
        order = replace(order, state=STATES[place + 1])
        self._store.change(_row(order))
        return order

    def price(self, number: str, products: ProductStore, patrons: PatronStore) -> int:
        """Return the price of an order in cents, with the customer's discount."""
        order = self.get(number)
        whole = total(products.get(line.product).price * line.pieces for line in order.lines)
        return whole - share_of(whole, patrons.get(order.patron).discount)


def _row(order: BakeryOrder) -> dict[str, Any]:
    return {
        "number": order.number,
        "patron": order.patron,
        "day": order.day.isoformat(),
        "lines": [{"product": line.product, "pieces": line.pieces} for line in order.lines],
        "state": order.state,
    }


def _from_row(row: dict[str, Any]) -> BakeryOrder:
    return BakeryOrder(
        number=row["number"],
        patron=row["patron"],
        day=date.fromisoformat(row["day"]),
        lines=tuple(OrderLine(line["product"], line["pieces"]) for line in row["lines"]),
        state=row["state"],
    )
