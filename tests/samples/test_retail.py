"""The sample shop's sales and sentences are those that their programs make, and the written test is apart from them."""

from __future__ import annotations

import csv
import json
import re

from tests.house.conftest import ROOT

from smidgen.apps.solvers import stock
from tools import shop_changes, shop_sales

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
    assert schema["properties"]["kind"]["enum"] == stock.part.changes["properties"]["kind"]["enum"]
    texts: dict[str, set[str]] = {}
    for part in ("train", "test"):
        rows = [json.loads(line) for line in (SAMPLES / f"stock_changes_{part}.jsonl").read_text(encoding="utf-8").splitlines()]
        texts[part] = {row["text"] for row in rows}
        for row in rows:
            values = {name: value for name, value in row["change"].items() if value is not None and name != "kind"}
            lost = [value for value in values.values() if not re.search(rf"(?<!\w){re.escape(str(value))}", row["text"])]
            assert not lost and values, row
    assert len(texts["test"]) == 100 and len(texts["train"]) == shop_changes.ROWS and not texts["test"] & texts["train"]


def test_no_item_of_the_sentences_that_teach_is_in_those_that_test() -> None:
    taught = {item.removeprefix("the ").casefold() for item in shop_changes.ITEMS}
    text = (SAMPLES / "stock_changes_test.jsonl").read_text(encoding="utf-8").casefold()
    assert [item for item in taught if item in text] == [] and len(taught) > 30
