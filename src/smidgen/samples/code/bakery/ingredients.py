"""Ingredients: what is in stock, and when it must be bought again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .faults import BakeryFault, OutOfStock
from .storage import LineStore
from .units import shown_weight


@dataclass(frozen=True)
class Ingredient:
    """An ingredient. `stock`, `least`: grams. `price`: cents a kilogram."""

    number: str
    name: str
    stock: float
    least: float
    price: int
    allergens: tuple[str, ...] = ()

    @property
    def is_low(self) -> bool:
        """Return True if it must be bought again."""
        return self.stock < self.least

    def cost_of(self, weight: float) -> int:
        """Return the cost of some grams in cents."""
        return round(self.price * weight / 1000)

    def shown(self) -> str:
        """Write the ingredient for a person."""
        return f"{self.name}: {shown_weight(self.stock)}"


class IngredientStore:
    """All ingredients."""

    def __init__(self, folder: Path) -> None:
        self._store = LineStore(folder / "ingredients.jsonl", "ingredient")

    def add(self, ingredient: Ingredient) -> None:
        """Add an ingredient."""
        self._store.add(_row(ingredient))

    def get(self, number: str) -> Ingredient:
        """Return an ingredient. Raises UnknownEntry."""
        return _from_row(self._store.row(number))

    def all(self) -> list[Ingredient]:
        """Return all ingredients by name."""
        return sorted((_from_row(row) for row in self._store.rows()), key=lambda ingredient: ingredient.name)

    def low(self) -> list[Ingredient]:
        """Return the ingredients that must be bought again."""
        return [ingredient for ingredient in self.all() if ingredient.is_low]

    def take(self, number: str, weight: float) -> Ingredient:
        """Take some grams out of the stock. Raises OutOfStock."""
        ingredient = self.get(number)
        if weight > ingredient.stock:
            raise OutOfStock(ingredient.name, weight, ingredient.stock)
        return self._changed(replace(ingredient, stock=ingredient.stock - weight))

    def put(self, number: str, weight: float) -> Ingredient:
        """Put some grams into the stock."""
        if weight <= 0:
            raise BakeryFault("the weight is not positive", weight)
        ingredient = self.get(number)
        return self._changed(replace(ingredient, stock=ingredient.stock + weight))

    def _changed(self, ingredient: Ingredient) -> Ingredient:
        self._store.change(_row(ingredient))
        return ingredient


def _row(ingredient: Ingredient) -> dict[str, Any]:
    return {
        "number": ingredient.number,
        "name": ingredient.name,
        "stock": ingredient.stock,
        "least": ingredient.least,
        "price": ingredient.price,
        "allergens": list(ingredient.allergens),
    }


def _from_row(row: dict[str, Any]) -> Ingredient:
    return Ingredient(
        number=row["number"],
        name=row["name"],
        stock=row["stock"],
        least=row["least"],
        price=row["price"],
        allergens=tuple(row["allergens"]),
    )
