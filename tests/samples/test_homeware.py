"""The sample shop's files keep what they promise."""

from __future__ import annotations

import csv
import importlib.resources
import re
from collections import Counter
from typing import Any

from tests.conftest import UNKNOWN, shop


def table(name: str) -> list[dict[str, str]]:
    file = importlib.resources.files("smidgen") / "samples" / "homeware" / name
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def shingles(text: str) -> frozenset[Any]:
    words = re.findall(r"\w+", text.lower())
    return frozenset(zip(words, words[1:], words[2:], strict=False)) or frozenset(words)


def near(one: frozenset[Any], two: frozenset[Any]) -> bool:
    return bool(one) and len(one & two) / len(one | two) > 0.7


def test_intents_and_messages() -> None:
    train, test = shop("support_train"), shop("support_test")
    counts = Counter(label for _, label in train)
    assert len(counts) - 1 >= 30
    assert len(train) - counts[UNKNOWN] >= 1500
    assert min(counts.values()) >= 40
    assert sum(label == UNKNOWN for _, label in train + test) >= 200
    assert set(counts) == {label for _, label in test}
    lengths = sorted(len(text.split()) for text, _ in train)
    assert lengths[0] <= 2
    assert lengths[-1] >= 50


def test_near_duplicates_are_under_one_percent_and_none_leaks() -> None:
    train, test = shop("support_train"), shop("support_test")
    table_of = [shingles(text) for text, _ in train + test]
    index: dict[Any, list[int]] = {}
    for number, grams in enumerate(table_of):
        for gram in grams:
            index.setdefault(gram, []).append(number)
    pairs = {
        (one, two)
        for members in index.values()
        if len(members) < 200
        for place, one in enumerate(members)
        for two in members[place + 1 :]
        if near(table_of[one], table_of[two])
    }
    assert len({number for pair in pairs for number in pair}) < 0.01 * len(table_of)
    assert not any(one < len(train) <= two for one, two in pairs)


def test_the_shop_beside_its_inbox() -> None:
    faq, products, orders = table("faq.csv"), table("products.csv"), table("orders.csv")
    assert (len(faq), len(products), len(orders)) == (60, 120, 200)
    prices = {row["sku"]: float(row["price_gbp"]) for row in products}
    wrong = []
    for order in orders:
        items = [item.split(":") for item in order["items"].split(";")]
        total = sum(prices[sku] * int(count) for sku, count in items) + float(order["shipping_gbp"])
        if abs(total - float(order["total_gbp"])) > 0.005:
            wrong.append(order["order_id"])
    assert not wrong
    policies = (importlib.resources.files("smidgen") / "samples" / "homeware" / "policies.md").read_text(encoding="utf-8")
    assert policies.count("\n## ") >= 8
