"""The baking plan of a day: which product when, and what it takes out of the stock."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from .faults import BakeryFault
from .ingredients import IngredientStore
from .orders import OPEN, OrderStore
from .products import ProductStore

FIRST_BATCH = time(2, 30)
CLEANING = timedelta(minutes=5)


@dataclass(frozen=True)
class OvenBatch:
    """One filling of the oven."""

    product: str
    pieces: int
    begins: datetime
    ends: datetime

    def shown(self) -> str:
        """Write the batch for a person."""
        return f"{self.begins:%H:%M} to {self.ends:%H:%M}: {self.pieces} {self.product}"


def wanted_pieces(day: date, orders: OrderStore) -> Counter[str]:
    """Return the pieces of each product that are ordered for a day."""
    found: Counter[str] = Counter()
    for order in orders.of_day(day):
        if order.state == OPEN:
            for line in order.lines:
                found[line.product] += line.pieces
    return found


def oven_plan(day: date, orders: OrderStore, products: ProductStore) -> list[OvenBatch]:
    """Return the fillings of the oven for a day, the longest first."""
    wanted = wanted_pieces(day, orders)
    if not wanted:
        raise BakeryFault("nothing is ordered for this day", day.isoformat())
    batches: list[OvenBatch] = []
    now = datetime.combine(day, FIRST_BATCH)
    for number in sorted(wanted, key=lambda number: -products.get(number).minutes):
        product, left = products.get(number), wanted[number]
        while left > 0:
            pieces = min(left, product.batch)
            ends = now + timedelta(minutes=product.minutes)
            batches.append(OvenBatch(product.name, pieces, now, ends))
            now, left = ends + CLEANING, left - pieces
    return batches


def needed_weights(day: date, orders: OrderStore, products: ProductStore) -> dict[str, float]:
    """Return the grams of each ingredient that a day needs."""
    found: dict[str, float] = {}
    for number, pieces in wanted_pieces(day, orders).items():
        for portion in products.get(number).portions:
            found[portion.ingredient] = found.get(portion.ingredient, 0.0) + portion.weight * pieces
    return found


def missing_weights(day: date, orders: OrderStore, products: ProductStore, ingredients: IngredientStore) -> dict[str, float]:
    """Return the grams of each ingredient that a day needs beyond the stock."""
    found: dict[str, float] = {}
    for number, weight in needed_weights(day, orders, products).items():
        stock = ingredients.get(number).stock
        if weight > stock:
            found[number] = weight - stock
    return found
