"""The sample shop's sales and sentences are those that their programs make, and the written test is apart from them."""

from __future__ import annotations

import csv
import json

from tests.house.conftest import ROOT
from tools.sentences import phrases, shop_changes

from smidgen.plans.solvers import stock
from tools import shop_sales

SAMPLES = ROOT / "src" / "smidgen" / "samples" / "homeware"


def test_sales_are_as_made_and_their_future_changes_no_past() -> None:
    past, future = shop_sales.made(30)
    with (SAMPLES / "sales.csv").open(encoding="utf-8", newline="") as file:
        rows = [tuple(row) for row in csv.reader(file)]
    assert rows[1:] == [tuple(map(str, row)) for row in past] and len(past) > 10_000 and len(future) > 300


def test_every_item_in_stock_is_one_of_the_shop_or_meant_not_to_be() -> None:
    with (SAMPLES / "stock.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["sku"] for row in rows} - {item.sku for item in shop_sales.ITEMS} == {"CU-099"} and len(rows) == 27


def test_sentences_fit_the_solver_and_their_values_stand_in_them() -> None:
    schema = json.loads((SAMPLES / "stock_changes_schema.json").read_text(encoding="utf-8"))
    assert set(schema["properties"]) == set(shop_changes.FIELDS) <= set(stock.part.changes["properties"])
    assert schema["properties"]["kind"]["enum"] == [*stock.part.changes["properties"]["kind"]["enum"], None]
    texts: dict[str, set[str]] = {}
    for part in ("train", "test"):
        rows = [json.loads(line) for line in (SAMPLES / f"stock_changes_{part}.jsonl").read_text(encoding="utf-8").splitlines()]
        texts[part] = {row["text"] for row in rows}
        for row in rows:
            assert set(row["change"]) == {"kind"} or row["change"]["kind"], row
            lost = [word for name, word in row["change"].items() if name in shop_changes.TEXTS and word not in row["text"]]
            assert not lost, row
    assert len(texts["test"]) == 100 and len(texts["train"]) == shop_changes.ROWS and not texts["test"] & texts["train"]
    taught = [json.loads(line) for line in (SAMPLES / "stock_changes_train.jsonl").read_text(encoding="utf-8").splitlines()]
    assert phrases.made_rows(shop_changes.SEED, 50, shop_changes.row) == taught[:50]


def test_no_item_of_the_sentences_that_test_was_taught() -> None:
    found: dict[str, set[str]] = {}
    for part in ("train", "test"):
        rows = [json.loads(line) for line in (SAMPLES / f"stock_changes_{part}.jsonl").read_text(encoding="utf-8").splitlines()]
        found[part] = {row["change"][name].casefold() for row in rows for name in ("item", "supplier") if name in row["change"]}
    assert len(found["test"]) > 40 and found["train"] & found["test"] == set()
