"""Products: what the shop sells, and what each is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .faults import BakeryFault
from .ingredients import IngredientStore
from .money import VAT_FOOD, euros, total
from .storage import LineStore


@dataclass(frozen=True)
class Portion:
    """Some grams of an ingredient in one piece of a product."""

    ingredient: str
    weight: float


@dataclass(frozen=True)
class BakedGood:
    """A product. `price`: cents a piece. `minutes`: in the oven. `batch`: pieces that fit into the oven at once."""

    number: str
    name: str
    price: int
    minutes: int
    batch: int
    portions: tuple[Portion, ...]
    vat: int = VAT_FOOD

    @property
    def weight(self) -> float:
        """Return the weight of one piece in grams."""
        return sum(portion.weight for portion in self.portions)

    def batches(self, pieces: int) -> int:
        """Return how often the oven is filled for some pieces."""
        return -(-pieces // self.batch)

    def shown(self) -> str:
        """Write the product for a person."""
        return f"{self.name}: {euros(self.price)}"


class ProductStore:
    """All products."""

    def __init__(self, folder: Path) -> None:
        self._store = LineStore(folder / "products.jsonl", "product")

    def add(self, product: BakedGood) -> None:
        """Add a product. Raises BakeryFault if it is made of nothing."""
        if not product.portions:
            raise BakeryFault("the product is made of nothing", product.name)
        self._store.add(_row(product))

    def get(self, number: str) -> BakedGood:
        """Return a product. Raises UnknownEntry."""
        return _from_row(self._store.row(number))

    def all(self) -> list[BakedGood]:
        """Return all products by name."""
        return sorted((_from_row(row) for row in self._store.rows()), key=lambda product: product.name)

    def allergens(self, number: str, ingredients: IngredientStore) -> list[str]:
        """Return what a product holds that people may not bear."""
        product = self.get(number)
        found = {name for portion in product.portions for name in ingredients.get(portion.ingredient).allergens}
        return sorted(found)

    def cost(self, number: str, ingredients: IngredientStore) -> int:
        """Return the cost of the ingredients of one piece in cents."""
        product = self.get(number)
        return total(ingredients.get(portion.ingredient).cost_of(portion.weight) for portion in product.portions)


def _row(product: BakedGood) -> dict[str, Any]:
    return {
        "number": product.number,
        "name": product.name,
        "price": product.price,
        "minutes": product.minutes,
        "batch": product.batch,
        "portions": [{"ingredient": portion.ingredient, "weight": portion.weight} for portion in product.portions],
        "vat": product.vat,
    }


def _from_row(row: dict[str, Any]) -> BakedGood:
    return BakedGood(
        number=row["number"],
        name=row["name"],
        price=row["price"],
        minutes=row["minutes"],
        batch=row["batch"],
        portions=tuple(Portion(portion["ingredient"], portion["weight"]) for portion in row["portions"]),
        vat=row["vat"],
    )
