"""Labels for the shelf: name, price, weight, and what people may not bear."""

from __future__ import annotations

from .ingredients import IngredientStore
from .money import euros
from .products import ProductStore
from .units import shown_weight

WIDTH = 32


def shelf_label(number: str, products: ProductStore, ingredients: IngredientStore) -> list[str]:
    """Return the lines of a product's label."""
    product = products.get(number)
    found = [product.name.center(WIDTH), euros(product.price).center(WIDTH), shown_weight(product.weight).center(WIDTH)]
    allergens = products.allergens(number, ingredients)
    if allergens:
        found.append(f"Contains: {', '.join(allergens)}"[:WIDTH])
    return [line.rstrip() for line in found]


def all_labels(products: ProductStore, ingredients: IngredientStore) -> list[list[str]]:
    """Return the labels of all products by name."""
    return [shelf_label(product.number, products, ingredients) for product in products.all()]
