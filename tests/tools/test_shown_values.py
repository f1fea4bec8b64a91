"""Names, dates and amounts of a result are written in the customer's language, and nothing else is changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from smidgen.core.errors import RecipeError
from smidgen.tools.definition import dump_tools, load_tools
from smidgen.tools.results import ToolResult, answer_text
from smidgen.tools.shown_values import ShownColumn, shown_date, shown_money, titled_row
from smidgen.tools.tool_file import read_tools

FILE = """
database = "sqlite:///shop.db"
[tools.order]
description = "Look up an order"
words = "Look up {order}"
changes = false
sql = "SELECT day, total FROM orders WHERE id = :order"
answer = { en = "It came on {day} for {total}.", de = "Sie kam am {day} für {total}." }
[tools.order.columns]
day = { name = { en = "day", de = "Tag" }, kind = "date" }
total = { name = "total", kind = "money", currency = "GBP" }
[tools.order.arguments]
order = { type = "string", title = { en = "order number", de = "Bestellnummer" } }
place = { type = "string", title = "place", required = false }
"""


@pytest.mark.parametrize(
    ("value", "german", "english"),
    [
        ("2026-11-12", "12.11.2026", "12 November 2026"),
        ("2026-02-03 00:00:00", "03.02.2026", "3 February 2026"),
        ("2026-02-30", "2026-02-30", "2026-02-30"),
        ("soon", "soon", "soon"),
        ("2026-11-12 10:30", "2026-11-12 10:30", "2026-11-12 10:30"),
    ],
)
def test_dates(value: str, german: str, english: str) -> None:
    assert (shown_date(value, "de"), shown_date(value, "en")) == (german, english)


@pytest.mark.parametrize(
    ("value", "currency", "german", "english"),
    [
        (3.95, "GBP", "3,95 £", "£3.95"),
        (1234.5, "EUR", "1.234,50 €", "€1,234.50"),
        ("19", "CHF", "19,00 CHF", "CHF 19.00"),
        (-2, "GBP", "-2,00 £", "-£2.00"),
        ("from 3", "GBP", "from 3", "from 3"),
    ],
)
def test_amounts(value: float | str, currency: str, german: str, english: str) -> None:
    assert (shown_money(value, currency, "de"), shown_money(value, currency, "en")) == (german, english)


def test_a_row_keeps_what_nobody_named_and_two_columns_never_become_one() -> None:
    columns = {
        "a": ShownColumn({"de": "b"}),
        "price": ShownColumn({"de": "Preis"}, "money", "GBP"),
        "c": ShownColumn({"de": "Tag"}, "date"),
    }
    row = {"a": 1, "b": 2, "price": 3.5, "c": "2026-11-12", "d": "2026-11-12"}
    assert titled_row(row, columns, "de") == {"a": 1, "b": 2, "price": "3,50 £", "Tag": "12.11.2026", "d": "2026-11-12"}


def test_a_tool_file_names_arguments_and_columns_by_language(tmp_path: Path) -> None:
    (tmp_path / "tools.toml").write_text(FILE, encoding="utf-8")
    (tool,) = read_tools(tmp_path / "tools.toml")
    assert tool.properties["order"]["title"] == "order number"
    assert [tool.title("order", language) for language in ("en", "de", "fr")] == ["order number", "Bestellnummer", "order number"]
    assert tool.title("place", "de") == "place"
    result = ToolResult("ok", ({"day": "2026-11-12", "total": 3.95},))
    (packed,) = load_tools(dump_tools([tool]))
    for one in (tool, packed):
        assert answer_text(one, {}, result, "de") == "Sie kam am 12.11.2026 für 3,95 £."
        assert answer_text(one, {}, result, "en") == "It came on 12 November 2026 for £3.95."
    assert packed.titles == tool.titles and packed.columns == tool.columns


@pytest.mark.parametrize("title", ['{ german = "x" }', "{ de = 1 }", '{ de = " " }'])
def test_a_mistaken_name_is_told(tmp_path: Path, title: str) -> None:
    (tmp_path / "tools.toml").write_text(FILE.replace('{ en = "order number", de = "Bestellnummer" }', title), encoding="utf-8")
    with pytest.raises(RecipeError, match="mistakes"):
        read_tools(tmp_path / "tools.toml")
