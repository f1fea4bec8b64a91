"""The till: sales over the counter, and what a day brought."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from .faults import BakeryFault
from .money import euros, tax_in, total
from .products import ProductStore
from .storage import LineStore

CASH, CARD = "cash", "card"


@dataclass(frozen=True)
class CounterSale:
    """A sale over the counter. `amount`: cents."""

    number: str
    product: str
    pieces: int
    amount: int
    paid: str
    moment: datetime


@dataclass(frozen=True)
class DayTakings:
    """The takings of a day, in cents."""

    day: date
    cash: int
    card: int
    tax: int

    @property
    def whole(self) -> int:
        """Return the takings in all."""
        return self.cash + self.card

    def shown(self) -> str:
        """Write the takings for a person."""
        return f"{self.day.isoformat()}: {euros(self.whole)}, of which {euros(self.tax)} tax"


class SaleStore:
    """All sales over the counter."""

    def __init__(self, folder: Path, products: ProductStore) -> None:
        self._store = LineStore(folder / "sales.jsonl", "sale")
        self._products = products

    def sell(self, number: str, product: str, pieces: int, paid: str, moment: datetime) -> CounterSale:
        """Record a sale. Raises BakeryFault for no pieces, or another way to pay."""
        if pieces < 1:
            raise BakeryFault("the sale is of nothing", number)
        if paid not in (CASH, CARD):
            raise BakeryFault("nobody pays like this here", paid)
        sale = CounterSale(number, product, pieces, self._products.get(product).price * pieces, paid, moment)
        self._store.add(_row(sale))
        return sale

    def of_day(self, day: date) -> list[CounterSale]:
        """Return the sales of a day."""
        return [sale for sale in map(_from_row, self._store.rows()) if sale.moment.date() == day]

    def takings(self, day: date) -> DayTakings:
        """Return what a day brought."""
        sales = self.of_day(day)
        cash = total(sale.amount for sale in sales if sale.paid == CASH)
        card = total(sale.amount for sale in sales if sale.paid == CARD)
        tax = total(tax_in(sale.amount, self._products.get(sale.product).vat) for sale in sales)
        return DayTakings(day, cash, card, tax)


def _row(sale: CounterSale) -> dict[str, Any]:
    return {
        "number": sale.number,
        "product": sale.product,
        "pieces": sale.pieces,
        "amount": sale.amount,
        "paid": sale.paid,
        "moment": sale.moment.isoformat(),
    }


def _from_row(row: dict[str, Any]) -> CounterSale:
    return CounterSale(
        number=row["number"],
        product=row["product"],
        pieces=row["pieces"],
        amount=row["amount"],
        paid=row["paid"],
        moment=datetime.fromisoformat(row["moment"]),
    )
