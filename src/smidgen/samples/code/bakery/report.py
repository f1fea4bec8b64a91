"""The report of a day: what was baked, sold and paid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from .ingredients import IngredientStore
from .money import euros
from .orders import DELIVERED, OrderStore
from .products import ProductStore
from .staff import ShiftStore
from .till import SaleStore


@dataclass(frozen=True)
class DayReport:
    """Takings and costs of a day, in cents."""

    day: date
    takings: int
    delivered: int
    wages: int
    ingredients: int
    low: tuple[str, ...]

    @property
    def left(self) -> int:
        """Return what is left of the day."""
        return self.takings - self.wages - self.ingredients

    def lines(self) -> list[str]:
        """Write the report for a person."""
        found = [
            f"Day: {self.day.isoformat()}",
            f"Takings: {euros(self.takings)}",
            f"Orders delivered: {self.delivered}",
            f"Wages: {euros(self.wages)}",
            f"Ingredients: {euros(self.ingredients)}",
        ]
        if self.low:
            found.append(f"Buy again: {', '.join(self.low)}")
        return found


def day_report(
    day: date,
    orders: OrderStore,
    products: ProductStore,
    ingredients: IngredientStore,
    sales: SaleStore,
    shifts: ShiftStore,
) -> DayReport:
    """Return the report of a day."""
    sold = sales.of_day(day)
    return DayReport(
        day=day,
        takings=sales.takings(day).whole,
        delivered=sum(order.state == DELIVERED for order in orders.of_day(day)),
        wages=shifts.pay(day),
        ingredients=sum(products.cost(sale.product, ingredients) * sale.pieces for sale in sold),
        low=tuple(ingredient.name for ingredient in ingredients.low()),
    )
