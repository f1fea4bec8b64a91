"""Sales as series, with what was left out and taken for granted."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import numpy as np
import pytest
from tests.plans.stock.tables import FIRST, daily, table

from smidgen.core.errors import DataError
from smidgen.plans.stock.sales import MONTH, SalesColumns, read_sales


def test_rows_are_added_by_day_and_a_day_without_a_row_is_zero() -> None:
    history = read_sales(table("date|sku|qty", "2026-01-05|A|2", "2026-01-05|A|3", "2026-01-08|A|1", "2026-01-06|B|1"))
    assert history.days == 1 and history.last == datetime.date(2026, 1, 8)
    assert history.items["A"].sold.tolist() == [5, 0, 0, 1] and history.items["B"].first == datetime.date(2026, 1, 6)


def test_returns_are_left_out_and_said() -> None:
    history = read_sales(table("date|sku|qty", "2026-01-05|A|2", "2026-01-06|A|-1", "2026-01-07|A|4"))
    assert history.items["A"].sold.tolist() == [2, 0, 4]
    assert any("1 row is below zero (1 pieces; A)" in remark for remark in history.remarks)


def test_a_day_on_which_the_shop_has_no_row_is_missing() -> None:
    values: list[float | None] = [3.0] * 70
    values[30:32] = [None, None]
    history = read_sales(daily(A=values, B=values))
    assert np.flatnonzero(np.isnan(history.items["A"].sold)).tolist() == [30, 31]
    assert any("2 days (4 February 2026, 5 February 2026) are without any row" in remark for remark in history.remarks)


def test_a_closed_weekday_is_zero() -> None:
    values = [None if place % 7 == 6 else 2.0 for place in range(70)]
    sold = read_sales(daily(A=values)).items["A"].sold
    assert not np.isnan(sold).any() and sold[6] == 0


def test_where_the_file_writes_zeros_a_missing_row_is_missing() -> None:
    values: list[float | None] = [float(place % 3) for place in range(60)]
    values[20] = None
    history = read_sales(daily(A=values, B=[1.0] * 60))
    assert np.isnan(history.items["A"].sold[20])
    assert any("writes zeros for A" in remark for remark in history.remarks)


def test_weekly_sales() -> None:
    rows = [f"{FIRST + datetime.timedelta(days=7 * place)}|A|{place + 1}" for place in range(12) if place != 4]
    history = read_sales(table("week|sku|sales", *rows))
    assert history.days == 7 and len(history.items["A"].sold) == 12 and history.last == FIRST + datetime.timedelta(days=83)


def test_orders_with_several_items_in_a_cell() -> None:
    history = read_sales(table("date|items", "2026-01-05|A:2;B:1", "2026-01-06|A"), SalesColumns())
    assert history.items["A"].sold.tolist() == [2, 1] and history.items["B"].sold.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "no rows"),
        (["2026-01-05|A|-2"], "no sales"),
        (["2026-01", "2026-02-01", "2026-03-01"], "some dates are months, and others days: '2026-01, 2026-02-01'"),
        (["2026-01-05", "2026-02-02", "2026-03-02", "2026-03-30"], "the sales are by 28 days"),
        (["2026-01-05|A|1", "2036-01-06|A|1"], "more than half a year: '5 January 2026 to 6 January 2036'"),
        ([f"{2000 + place // 12}-{place % 12 + 1:02d}-{1 + place % 2:02d}|A|1" for place in range(260)], "20 years"),
        (["2026-01-05|A|many"], "row 1, column 'qty': the cell is no number: 'many'"),
    ],
)
def test_bad_tables(rows: list[str], said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_sales(table("date|sku|qty", *(row if "|" in row else f"{row}|A|1" for row in rows)))


MONTHS = [(2025 + place // 12, place % 12 + 1) for place in range(14)]


@pytest.mark.parametrize(
    "written",
    [
        lambda year, month: f"{year}-{month:02d}",
        lambda year, month: f"{month:02d}/{year}",
        lambda year, month: datetime.date(year, month, 1).strftime("%B %Y"),
        lambda year, month: datetime.date(year, month, 1).strftime("%b-%y"),
        lambda year, month: f"{year}-{month:02d}-01",
        lambda year, month: str(datetime.date(year + month // 12, month % 12 + 1, 1) - datetime.timedelta(days=1)),
    ],
)
def test_sales_by_month(written: Callable[[int, int], str]) -> None:
    rows = [f"{written(*month)}|A|{place + 1}" for place, month in enumerate(MONTHS) if place != 4]
    history = read_sales(table("month|sku|qty", *rows, *(f"{written(*month)}|B|1" for month in MONTHS)))
    assert history.days == MONTH and history.last == datetime.date(2026, 2, 28)
    sold = history.items["A"]
    assert sold.sold.tolist() == [1, 2, 3, 4, 0, *range(6, 15)] and history.day(sold, 13) == datetime.date(2026, 2, 1)
    assert (
        "Sales by month: the last one ends on 28 February 2026 and counts as complete. Within a month they are taken as even."
        in history.remarks
    )


def test_rare_sales_by_month_have_months_without_a_row() -> None:
    history = read_sales(table("month|sku|qty", "2025-01|A|1", "2025-06|A|2", "2025-08|A|1"))
    assert history.days == MONTH and history.items["A"].sold.tolist() == [1, 0, 0, 0, 0, 2, 0, 1]


def test_names_are_those_of_items_not_of_orders() -> None:
    history = read_sales(
        table(
            "Name|Belegdatum|Lineitem quantity|Lineitem name|Lineitem sku",
            "#1000|2026-01-05|2|Blue Mug|M", "#1001|2026-01-06|1|Blue Mug|M", "#1002|2026-01-06|1|Red Mug|R",
        )
    )  # fmt: skip
    assert [sales.name for sales in history.items.values()] == ["Blue Mug", "Red Mug"]


def test_rows_without_an_item_are_said() -> None:
    history = read_sales(table("date|item|quantity", "2026-01-05|A|2", "2026-01-05||2"))
    assert history.remarks == ("1 row names no item: left out.",)


def test_of_two_columns_that_fit_the_plan_says_which_it_took() -> None:
    history = read_sales(table("date|sku|qty|quantity", "2026-01-05|A|9|2"))
    assert history.items["A"].sold.tolist() == [2]
    assert history.remarks == ("Columns found in sales.csv: item: sku.", "sales.csv has columns that are not used: qty.")
