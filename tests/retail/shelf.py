"""A small shop for tests: goods, orders, and a ranking of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smidgen.retail.goods import Product
from smidgen.retail.ranking import GoodsRanking, ItemTables, RankingWeights

GOODS = [
    Product("mug", "Kelp Mug", {"category": "ceramics", "material": "stoneware"}, "Kelp Mug. ceramics. dark green stoneware", "£16.00", 5),
    Product(
        "bowl", "Kelp Bowl", {"category": "ceramics", "material": "stoneware"}, "Kelp Bowl. ceramics. dark green stoneware", "£18.00", 0
    ),
    Product("lamp", "Alder Lamp", {"category": "lamps", "material": "ash wood"}, "Alder Lamp. lamps. ash wood", "£69.00", 2),
    Product("rug", "Jute Rug", {"category": "rugs", "material": "jute"}, "Jute Rug. rugs. jute", "£88.00", None),
    Product("old", "Old Vase", {"category": "ceramics"}, "Old Vase. ceramics"),
]
NAMES = [product.id for product in GOODS]


def shelf(near: float = 0.0, language: str = "en", pairs: Sequence[tuple[str, str, float, int]] | None = None) -> GoodsRanking:
    """The ranking of these goods; `old` is not sold any more. `pairs`: item, other item, weight, and how many customers bought both."""
    given = (("mug", "lamp", 0.5, 4), ("mug", "bowl", 0.2, 1)) if pairs is None else pairs
    places = {name: place for place, name in enumerate(NAMES)}
    rows = [sorted((places[other], weight, count) for item, other, weight, count in given if item == name) for name in NAMES]
    starts = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    flat = [entry for row in rows for entry in row]
    vectors = np.array([[1, 0, 0], [0.9, 0.4358899, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]], np.float16).astype(np.float32)
    tables = ItemTables(
        buyers=np.array([9, 2, 6, 3, 20], np.float32),
        listed=np.array([True, True, True, True, False]),
        starts=starts,
        items=np.array([entry[0] for entry in flat], np.int32),
        weights=np.array([entry[1] for entry in flat], np.float32),
        counts=np.array([entry[2] for entry in flat], np.int32),
        vectors=vectors if near else None,
    )
    return GoodsRanking(GOODS, [product.text for product in GOODS], tables, RankingWeights(near=near), language)
