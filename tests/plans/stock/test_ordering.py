"""Demand over a lead time, and what to order when."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from tests.plans.stock.tables import daily, table
from tests.studio.api.test_german import has_german

from smidgen.core.errors import DataError
from smidgen.plans.stock.cleaning import clean_sales
from smidgen.plans.stock.demand import Demand, beginning, forecast_demands, promoted, without
from smidgen.plans.stock.ordering import StockedItem, lead_time_remarks, plan_order, read_stock
from smidgen.plans.stock.sales import read_sales

FIRST = datetime.date(2026, 12, 1)


def demand(a_day: float = 12.0, safety: float = 10.0, days: int = 40) -> Demand:
    expected = a_day * np.arange(days + 1)
    return Demand(FIRST, expected, np.concatenate([[0.0], expected[1:] + safety]), "told", 52)


@pytest.mark.parametrize(
    ("stocked", "pieces", "by", "late"),
    [
        (StockedItem("A", "A", 94, 5), 84, 2, False),  # 12 a day, 7 days until 94: two days are left; 166 until day 13
        (StockedItem("A", "A", 30, 5), 124, 0, True),
        (StockedItem("A", "A", 94, 5, pack=10), 90, 2, False),
        (StockedItem("A", "A", 94, 5, least=100, pack=24), 120, 2, False),
        (StockedItem("A", "A", 30, 5, coming=((None, 64.0),)), 84, 2, False),
        (StockedItem("A", "A", 30, 5, coming=((FIRST + datetime.timedelta(days=9), 200.0),)), 0, None, True),
        (StockedItem("A", "A", 400, 5), 0, None, False),
        (StockedItem("A", "A", 0, 0), 94, 0, False),
    ],
)
def test_an_order(stocked: StockedItem, pieces: float, by: int | None, late: bool) -> None:
    order = plan_order(stocked, demand(), 7)
    assert (order.pieces, order.late) == (pieces, late)
    assert order.by == (None if by is None else FIRST + datetime.timedelta(days=by))
    assert order.up_to == int(12 * (7 + (stocked.lead_days or 0)) + 10)


def test_when_stock_runs_out() -> None:
    assert plan_order(StockedItem("A", "A", 30, 5), demand(), 7).runs_out == datetime.date(2026, 12, 3)
    assert plan_order(StockedItem("A", "A", 3000, 5), demand(), 7).runs_out is None


def test_changes_of_demand() -> None:
    plain = demand(10, 0, 20)
    more = promoted(plain, [(FIRST + datetime.timedelta(days=2), FIRST + datetime.timedelta(days=3), 3.0)])
    assert more.expected[:6].tolist() == [0, 10, 20, 50, 80, 90]
    assert without(plain, FIRST + datetime.timedelta(days=4)).expected[-1] == 50
    later = beginning(demand(10, 5, 20), FIRST + datetime.timedelta(days=3))
    assert later.first == FIRST + datetime.timedelta(days=3) and later.expected[1] == 10 and later.enough[1] == 15
    assert plain.a_day == 10


def test_what_suffices_does() -> None:
    pytest.importorskip("statsforecast")
    rng, inside = np.random.default_rng(3), []
    values = {f"item{number}": rng.poisson(mean, 280).astype(float).tolist() for number, mean in enumerate((0.2, 1, 4, 9, 15, 0.4))}
    history = read_sales(daily(**{name: own[:250] for name, own in values.items()}))
    clean = [clean_sales(sales, history) for sales in history.items.values()]
    found = forecast_demands([(one, 28) for one in clean], history, 0.95)
    for one, made in zip(clean, found, strict=True):
        came = np.cumsum(values[one.sales.item][250 : 250 + 28])
        inside.append(float((came <= made.enough[1:29]).mean()))
        assert (np.diff(made.enough) >= 0).all() and made.expected[28] / 28 == pytest.approx(np.mean(one.usual), rel=0.5)
    assert len(inside) == 6 and np.mean(inside) > 0.85


def test_a_new_item_gets_the_sums_of_drawn_days() -> None:
    pytest.importorskip("statsforecast")
    values = np.random.default_rng(0).poisson(5, 60).astype(float).tolist()
    history = read_sales(daily(A=values))
    (made,) = forecast_demands([(clean_sales(history.items["A"], history), 28)], history, 0.95)
    assert made.origins < 4 and 140 < made.enough[28] < 200


def test_the_table_of_stock() -> None:
    found = read_stock(
        table("SKU|Bezeichnung|Bestand|Lieferzeit (Tage)|VE|Bestellt|Lieferant", "A|Becher|30|5|6|12|Nord", "B||0||||"), usual_lead=9
    )
    assert found["A"] == StockedItem("A", "Becher", 30, 5, 6, 0, ((None, 12.0),), "Nord") and found["A"].on_order == 12
    assert found["B"] == StockedItem("B", "B", 0, 9)


@pytest.mark.parametrize(("written", "days"), [("2 Wochen", 14), ("10 days", 10), ("14 Tg.", 14), ("two weeks", 14), ("10 Werktage", 14)])
def test_a_lead_time_with_a_unit_is_that_long(written: str, days: int) -> None:
    assert read_stock(table("item|stock|lead_time", f"A|1|{written}", "B|1|5"))["A"].lead_days == days


def test_how_lead_times_are_read_is_said() -> None:
    stock = table("item|stock|lead_time", "A|1|5", "B|1|3 working days", "C|1|2 bis 3 Wochen", "D|1|5-10 Werktage", "E|1|7–9")
    said = [
        "Of a lead time such as 2 bis 3 Wochen the longer counts.",
        "Lead times in working days are read as five a week: 3 working days are 5 days.",
    ]
    assert lead_time_remarks(stock) == said and all(map(has_german, said))
    assert [one.lead_days for one in read_stock(stock).values()] == [5, 5, 21, 14, 9]
    assert lead_time_remarks(table("item|stock", "A|1")) == []


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("A|3|1 Monat", "no number of days: '1 Monat'"),
        ("A|3|36 hours", "no number of days: '36 hours'"),
        ("A|3|30-5", "no number"),
        ("A|3|9 working days or so", "no number of days: '9 working days or so'"),
        ("A|3|2 weeks or so", "no number of days: '2 weeks or so'"),
        ("A|-3|5", "below zero"),
        ("A|3|2.5", "no number of days"),
        ("A|3|400", "no number of days"),
        ("|3|5", "names no item"),
        ("B|3|5", "twice"),
    ],
)
def test_bad_stock(row: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_stock(table("item|stock|lead_time", "B|1|1", row))


def test_a_new_item_that_sells_more_and_more_is_not_planned_as_it_began() -> None:
    """Too few weeks to try a forecast at earlier dates: days are drawn, as many as lately, at least."""
    pytest.importorskip("statsforecast")
    random = np.random.default_rng(0)
    rising, even = (random.poisson(np.linspace(low, 12, 70)).astype(float).tolist() for low in (2, 12))
    history = read_sales(daily(A=rising, B=even))
    items = [(clean_sales(sales, history), 28) for sales in history.items.values()]
    up, flat = forecast_demands(items, history, 0.95)
    assert up.origins < 4 and up.enough[28] > 28 * 11
    assert 14 * 12 < flat.enough[14] < 14 * 12 * 1.25
