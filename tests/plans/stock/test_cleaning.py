"""What usually sells, and what is said of the rest."""

from __future__ import annotations

import numpy as np
import pytest
from tests.plans.stock.tables import daily, table

from smidgen.plans.stock.cleaning import clean_sales, shop_uplift
from smidgen.plans.stock.sales import read_sales


def steady(days: int = 120, seed: int = 0, mean: float = 6.0) -> list[float]:
    return np.random.default_rng(seed).poisson(mean, days).astype(float).tolist()


def test_two_rows_are_refused_by_name() -> None:
    history = read_sales(daily(A=steady(), B=[None] * 118 + [3.0, 2.0]))
    refused = clean_sales(history.items["B"], history).refused
    assert refused == "2 days of sales, 2 of them with a sale: at least 8 weeks and 3 sales are needed"
    assert not clean_sales(history.items["A"], history).refused


def test_one_large_day_is_taken_down_and_said() -> None:
    values = steady()
    values[60] = 90.0
    history = read_sales(daily(A=values))
    clean = clean_sales(history.items["A"], history)
    assert clean.usual[60] < 12 and clean.changed.sum() == 1
    assert clean.remarks == ("A: 90 on 6 March 2026: far more than usual, taken down to it. If it comes again, plan a promotion.",)


def test_chance_and_the_season_are_no_outliers() -> None:
    season = 5 + 60 * np.exp(-((np.arange(730) % 365 - 350) ** 2) / 400)
    values = np.random.default_rng(1).poisson(season).astype(float).tolist()
    history = read_sales(daily(A=values, B=steady(730, 2, 0.3)))
    found = {item: clean_sales(sales, history) for item, sales in history.items.items()}
    assert not found["A"].changed.any() and not found["B"].changed.any(), [one.remarks for one in found.values()]


def test_large_sales_that_come_often_are_how_the_item_sells() -> None:
    random = np.random.default_rng(4)
    values = (random.random(364) < 0.4) * random.choice([1, 1, 2, 2, 3, 24, 48], 364).astype(float)
    history = read_sales(daily(A=values.tolist(), B=[*steady(200), 90.0, *steady(163, 1)]))
    packs, other = (clean_sales(sales, history) for sales in history.items.values())
    assert packs.remarks == () and packs.usual.sum() == values.sum()
    assert "90 on" in other.remarks[0]


def test_a_marked_promotion_is_taken_down_and_measured() -> None:
    values = steady()
    days = daily(A=[value * (3 if 50 <= place < 55 else 1) for place, value in enumerate(values)])
    marked = [(number, {**row, "promotion": "x" if 50 <= number - 1 < 55 else ""}) for number, row in days.rows]
    history = read_sales(type(days)(days.file, (*days.columns, "promotion"), marked))
    clean = clean_sales(history.items["A"], history)
    assert clean.uplift == pytest.approx(3, rel=0.4) and clean.usual[50:55].mean() < 12
    assert "5 days of promotions" in clean.remarks[0] and shop_uplift([clean]) == clean.uplift


def test_a_time_out_of_stock_is_no_lack_of_demand() -> None:
    values = steady()
    values[50:60] = [0.0] * 10
    history = read_sales(daily(A=values, B=steady(120, 1)))
    clean = clean_sales(history.items["A"], history)
    assert clean.usual[50:60].mean() > 3 and "taken as out of stock" in clean.remarks[0]


def test_an_item_that_sells_no_more_is_refused_unless_none_is_there() -> None:
    values = [*steady(100), *[0.0] * 20]
    history = read_sales(daily(A=values, B=steady()))
    assert "say whether it is discontinued" in clean_sales(history.items["A"], history).refused
    gone = clean_sales(history.items["A"], history, sold_out=True)
    assert not gone.refused and gone.usual[-20:].mean() > 3


def test_a_missing_day_gets_what_its_weekday_usually_has() -> None:
    values: list[float | None] = [20.0 if place % 7 == 5 else 5.0 for place in range(84)]
    values[40] = None  # a Saturday
    history = read_sales(daily(A=values))
    assert clean_sales(history.items["A"], history).usual[40] == 20


def test_a_table_of_weeks() -> None:
    rows = [f"2026-01-{5 + 7 * place:02d}|A|{5 + place}" for place in range(3)]
    rows += [f"2026-02-{2 + 7 * place:02d}|A|{6 + place % 2}" for place in range(4)]
    rows += [f"2026-03-{2 + 7 * place:02d}|A|{6 + place % 2}" for place in range(5)]
    history = read_sales(table("week|sku|sales", *rows))
    assert not clean_sales(history.items["A"], history).refused
