"""Columns of strangers' tables."""

from __future__ import annotations

import datetime

import pytest
from tests.plans.stock.tables import table

from smidgen.core.errors import DataError
from smidgen.plans.stock.columns import column, read_dates, read_marks, read_numbers


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("Artikel-Nr.", "item"), ("Lineitem sku", "item"), ("SKU", "item"), ("Datum", "date"), ("Created at", "date"),
        ("Menge", "quantity"), ("Stück", "quantity"), ("Lieferzeit (Tage)", "lead_time"), ("Lagerbestand", "stock"), ("VE", "pack"),
        ("Aktion", "promotion"), ("product name", "item"), ("Artikelbezeichnung", "item"),
    ],
)  # fmt: skip
def test_columns_are_found_by_name(name: str, role: str) -> None:
    assert column(table(f"x|{name}", "1|2"), role, None) == name


def test_names_tell_the_items_only_where_no_ids_do() -> None:
    assert column(table("Bezeichnung|Unsere Artikelnummer", "Mug|7"), "item", None) == "Unsere Artikelnummer"
    for head in ("Name|Total", "Customer name|Total", "Title|Total"):
        with pytest.raises(DataError, match="named like the item"):
            column(table(head, "#1001|2"), "item", None)


def test_a_column_that_is_not_there_is_said() -> None:
    with pytest.raises(DataError, match=r"named like the quantity.*stock\.quantity"):
        column(table("date|sku|revenue", "1|2|3"), "quantity", None)
    with pytest.raises(DataError, match=r"no such column.*date, sku"):
        column(table("date|sku", "1|2"), "quantity", "pieces")


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (["3", " 4 ", "1.250", "2,5"], "decimal"),  # 2,5 shows the mark, and so 1.250 is a thousand
        (["1,250.5", "2,000"], [1250.5, 2000]),
        (["12 Stk", "3 pcs"], [12, 3]),
        (["-2", "−3"], [-2, -3]),
        (["1.250"], "two ways"),
        (["two"], "no number"),
        ([""], "no number"),
        (["n/a"], "no number"),
    ],
)
def test_numbers(cells: list[str], found: list[float] | str) -> None:
    given = table("q", *cells)
    if found == "decimal":
        assert read_numbers(given, "q") == [3, 4, 1250, 2.5]
    elif isinstance(found, str):
        with pytest.raises(DataError, match=found):
            read_numbers(given, "q")
    else:
        assert read_numbers(given, "q") == found


def test_numbers_with_two_marks_are_refused() -> None:
    with pytest.raises(DataError, match=r"row 2.*decimal points and decimal commas"):
        read_numbers(table("q", "1.5", "2,5"), "q")


@pytest.mark.parametrize(
    ("cells", "day"),
    [
        (["2026-03-04"], 4), (["04.03.2026"], 4), (["04.03.26 14:05"], 4), (["2026-03-04T09:00:00+01:00"], 4), (["4 March 2026"], 4),
        (["04/03/2026", "25/03/2026"], 4), (["03/04/2026", "03/25/2026"], 4), (["2026-W10"], 2), (["4. März 2026"], 4),
    ],
)  # fmt: skip
def test_dates(cells: list[str], day: int) -> None:
    assert read_dates(table("d", *cells), "d")[0] == datetime.date(2026, 3, day)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["03/04/2026"], "two ways"),
        (["25/03/2026", "03/25/2026"], "day comes first in some"),
        (["soon"], "no date"),
        (["2026-W60"], "no date"),
    ],
)
def test_dates_that_cannot_be_read(cells: list[str], said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_dates(table("d", *cells), "d")


def test_marks() -> None:
    assert read_marks(table("p", "x", "", "nein", "Ja", "Sommeraktion", "0"), "p") == [True, False, False, True, True, False]
