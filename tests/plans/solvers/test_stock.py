"""The plan of a shop: what to order, by when and why; and what changes it."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.plans.stock.tables import daily, table

from smidgen.core.errors import DataError, InputError
from smidgen.plans.changes import reading, valid_change
from smidgen.plans.numbers import strange_numbers
from smidgen.plans.solvers import stock
from smidgen.plans.solving import ProblemTable
from smidgen.plans.statements import checked

pytest.importorskip("statsforecast")
SOLVER = stock.part


@pytest.fixture(scope="module")
def problem() -> Any:
    """A shop with mugs, candles, stools, a new lamp, and rugs without stock."""
    rng = np.random.default_rng(0)
    mugs = rng.poisson(12, 90).astype(float).tolist()
    tables = {
        "sales": daily(
            M1=mugs, C1=rng.poisson(4, 90).astype(float).tolist(), S1=rng.poisson(0.3, 90).astype(float).tolist(),
            L1=[None] * 88 + [3.0, 2.0], R1=rng.poisson(2, 90).astype(float).tolist(),
        ),
        "stock": table(
            "sku|name|stock|lead_time|pack|supplier", "M1|Hearth Mug|30|5|1|Stoke Pottery", "C1|Fig Candle|500|5|12|Chandlery",
            "S1|Oak Stool|4|14|1|Joinery", "L1|Moon Lamp|3|5|1|Chandlery", "X1|Harvest Mug|9|5|1|Stoke Pottery",
        ),
    }  # fmt: skip
    return SOLVER.read(stock.StockSettings(sales="sales.csv", stock="stock.csv"), tables)


def solved(problem: Any) -> Any:
    return checked(SOLVER.solve(problem, 1.0))


def orders(solution: Any) -> dict[str, Any]:
    return {one["item"]: one for one in solution.result["items"]}


def test_a_plan_says_what_to_order_and_why(problem: Any) -> None:
    plan = solved(problem)
    said = [one.text for one in plan.statements]
    mug = orders(plan)["M1"]
    why = f"about {mug['a_day']} a day are sold, 30 lie in stock and the supplier takes 5 days."
    order = f"Order {mug['order']} of Hearth Mug today, because {why}"
    assert said[0] == f"{order} It may run out before they come."
    assert "1 item needs no order before the next look at the stock on 12 April 2026." in said
    assert any(text.startswith("Moon Lamp is not planned: 2 days of sales") for text in said)
    assert "R1 is not planned: no stock is given for it." in said
    assert plan.status == "partly" and "Harvest Mug has stock and no sales in the file: not planned." in plan.remarks
    assert 80 < mug["order"] < 160 and orders(plan)["C1"]["order"] == 0
    assert plan.tables["orders"].rows[0][0] == "M1" and plan.tables["forecasts"].rows
    assert "<script" not in plan.pictures["Hearth_Mug"] and plan.pictures["Hearth_Mug"].startswith("<svg")


@pytest.mark.parametrize(
    ("change", "words", "item", "fact"),
    [
        ({"kind": "lead_time", "supplier": "stoke", "days": 12}, "stoke (2 items): lead time 12 days, was 5", "M1", ("lead_days", 12)),
        ({"kind": "lead_time", "item": "oak stools", "days": 30}, "Oak Stool: lead time 30 days, was 14", "S1", ("lead_days", 30)),
        (
            {"kind": "lead_time", "supplier": "joinery", "takes": "three weeks"},
            "joinery: lead time 21 days, was 14", "S1", ("lead_days", 21),
        ),
        (
            {"kind": "delivery", "item": "the stools", "quantity": 6, "day": "next Friday"},
            "Oak Stool: 6 pieces arrive on 10 April 2026", "S1", ("on_order", 6),
        ),
        ({"kind": "stock", "item": "C1", "quantity": 3}, "Fig Candle: 3 pieces in stock, were 500", "C1", ("stock", 3)),
        (
            {"kind": "delivery", "item": "hearth mug", "quantity": 40, "day": "2026-04-07"},
            "Hearth Mug: 40 pieces arrive on 7 April 2026", "M1", ("on_order", 40),
        ),
        (
            {"kind": "promotion", "item": "candle", "first": "2026-04-08", "last": "2026-04-09", "percent": 900},
            "Fig Candle: promotion from 8 April 2026 to 9 April 2026, 10.0 times as much is sold", "C1", ("order", 0),
        ),
        (
            {"kind": "discontinued", "item": "Hearth Mug"},
            "Hearth Mug: discontinued, last sold on 4 April 2026", "M1", ("why", "it is discontinued"),
        ),
    ],
)  # fmt: skip
def test_a_change(problem: Any, change: dict[str, Any], words: str, item: str, fact: tuple[str, Any]) -> None:
    valid = valid_change(SOLVER, {**change, "last": change.get("last")})
    assert SOLVER.shown_change(problem, valid) == words
    before, after = orders(solved(problem))[item], orders(solved(SOLVER.changed(problem, valid)))[item]
    assert after[fact[0]] == fact[1]
    if change["kind"] in ("lead_time", "stock"):
        assert after["order"] > before["order"]
    if change["kind"] == "promotion":
        assert after["a_day"] > before["a_day"]


PROMOTIONS = {
    ("9", "12 April"): "9 April 2026 to 12 April 2026",
    ("the 9th", "the 12th of April"): "9 April 2026 to 12 April 2026",
    ("April 9", "12"): "9 April 2026 to 12 April 2026",
    ("Thursday", "Monday"): "9 April 2026 to 13 April 2026",
    ("Sat", "Sun"): "11 April 2026 to 12 April 2026",
    ("tomorrow", "in two weeks"): "6 April 2026 to 19 April 2026",
}


@pytest.mark.parametrize("days", PROMOTIONS, ids=" ".join)
def test_two_days_tell_each_other_their_month_and_week(problem: Any, days: tuple[str, str]) -> None:
    change = {"kind": "promotion", "item": "candle", "first": days[0], "last": days[1], "percent": 50}
    assert f"promotion from {PROMOTIONS[days]}, 1.5 times" in SOLVER.shown_change(problem, change)


LEAD_TIMES = {
    "a fortnight": 14,
    "a couple of weeks": 14,
    "10 working days": 14,
    "2 to 3 weeks": 21,
    "two and a half weeks": None,
    "a month": None,
}


@pytest.mark.parametrize("words", LEAD_TIMES)
def test_lead_times_in_words(problem: Any, words: str) -> None:
    change = {"kind": "lead_time", "item": "S1", "takes": words}
    if LEAD_TIMES[words] is None:
        with pytest.raises(InputError, match="no number of days"):
            SOLVER.changed(problem, change)
    else:
        assert f"lead time {LEAD_TIMES[words]} days" in SOLVER.shown_change(problem, change)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "stock", "item": "sofa", "quantity": 3}, "no item of the tables"),
        ({"kind": "stock", "item": "mug", "quantity": 3}, "several items"),
        ({"kind": "stock", "quantity": 3}, "names no item"),
        ({"kind": "stock", "item": "R1", "quantity": 3}, "no stock is known"),
        ({"kind": "stock", "item": "C1"}, "does not say how many pieces there are"),
        ({"kind": "lead_time", "supplier": "Nobody", "days": 3}, "no supplier"),
        ({"kind": "lead_time", "item": "C1", "takes": "longer"}, "no number of days"),
        ({"kind": "lead_time", "item": "C1"}, "how many days it takes"),
        ({"kind": "delivery", "item": "C1", "quantity": 3, "day": "soon"}, "no date"),
        ({"kind": "delivery", "item": "C1", "quantity": 3, "day": "2020-01-01"}, "before the day of the plan"),
        ({"kind": "promotion", "item": "C1", "first": "2026-04-08", "last": "2026-04-09"}, "no promotion is in the sales"),
        ({"kind": "promotion", "item": "C1", "first": "2026-04-09", "last": "2026-04-08", "percent": 5}, "ends before it begins"),
        (
            {"kind": "promotion", "item": "C1", "first": "2026-03-01", "last": "2026-03-08", "percent": 5},
            r"the promotion is over: '2026-03-01 to 2026-03-08'. The plan begins on 2026-04-05: say a day from then on",
        ),
    ],
)
def test_nothing_is_guessed(problem: Any, change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        SOLVER.changed(problem, valid_change(SOLVER, change))


NAMES = {"1": "Linen Cushion 45", "2": "Linen Cushion 50", "3": "Linen Cushion 50 x 30", "4": "Oak Stool", "5": "Jug", "6": "Jug"}


@pytest.mark.parametrize(
    ("said", "item"),
    [
        ("Linen Cushion 50", "2"), ("the linen cushions 50", "2"), ("Linen Cushion 50 x 30", "3"), ("the Oak Stool in green", "4"),
        ("50 x 30", "3"), ("Linen Cushion 45 cm", "1"), ("stools", "4"), ("4", "4"),
    ],
)  # fmt: skip
def test_an_exact_name_or_the_longest_full_one_is_meant(said: str, item: str) -> None:
    assert stock._named_item(said, NAMES) == item


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("linen cushion", "Linen Cushion 45, Linen Cushion 50, Linen Cushion 50 x 30"), ("jug", r"Jug \(5\), Jug \(6\)"),
        ("Oak Stool and Jug", "several items.*Oak Stool|no item"), ("Linen Cushion 50 x 45", "no item"), ("Linen Cushion 5", "no item"),
    ],
)  # fmt: skip
def test_a_name_of_several_items_is_refused_with_all_of_them(said: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        stock._named_item(said, NAMES)


def test_a_number_in_a_name_is_not_read_as_a_quantity(problem: Any) -> None:
    """The model never sees the name, so it cannot take its number for pieces."""

    def predict(texts: list[str]) -> list[tuple[float, Any]]:
        assert texts == ["40 lantern arrive on 4 December 2026."]
        return [(0.9, {"kind": "delivery", "item": "lantern", "quantity": 40, "day": "4 December 2026"})]

    read = reading(predict, SOLVER, {"item": list(NAMES.values()), "supplier": []})
    ((_, change),) = read(["40 Linen Cushion 50 arrive on 4 December 2026."])
    assert change["item"] == "Linen Cushion 50" and change["quantity"] == 40


def test_names_that_differ_in_the_case_of_letters_are_one_item() -> None:
    sales = daily(Vase=[2.0] * 60, Lamp=[3.0] * 60, lamp=[1.0] * 60)
    held = table("item|stock|lead_time", "vase|9|5", "LAMP|4|5", "jug|1|1")
    read = SOLVER.read(stock.StockSettings(sales="sales.csv", stock="stock.csv"), {"sales": sales, "stock": held})
    assert set(read.stocked) == {"Vase", "LAMP", "jug"} and read.stocked["Vase"].item == read.stocked["Vase"].name == "Vase"
    assert "Taken as one item, though the case of its letters differs: Vase." in read.remarks
    both = table("item|stock|lead_time", "vase|9|5", "Vase|4|5")
    twice = SOLVER.read(stock.StockSettings(sales="sales.csv", stock="stock.csv"), {"sales": sales, "stock": both})
    assert {id: entry.stock for id, entry in twice.stocked.items()} == {"vase": 9, "Vase": 4}


def test_a_day_that_the_next_year_lacks_is_refused(problem: Any) -> None:
    late = replace(problem, today=datetime.date(2028, 12, 30))
    with pytest.raises(InputError, match="the day is no date: '29 February'"):
        SOLVER.changed(late, {"kind": "delivery", "item": "C1", "quantity": 3, "day": "29 February"})
    assert "5 January 2029" in SOLVER.shown_change(late, {"kind": "delivery", "item": "C1", "quantity": 3, "day": "5 January"})


def test_without_stock_sales_are_forecast() -> None:
    tables = {"sales": daily(A=np.random.default_rng(0).poisson(5, 70).astype(float).tolist())}
    plan = solved(SOLVER.read(stock.StockSettings(sales="sales.csv"), tables))
    assert plan.status == "solved" and "orders" not in plan.tables
    a_day = orders(plan)["A"]["a_day"]
    assert [one.text for one in plan.statements] == [f"About {a_day} a day of A will be sold."]


def test_sales_by_month_are_planned_by_day() -> None:
    rng = np.random.default_rng(0)
    rows = [
        f"{2024 + place // 12}-{place % 12 + 1:02d}|{sku}|{rng.poisson(rate)}" for place in range(24) for sku, rate in (("A", 60), ("B", 1))
    ]
    tables = {"sales": table("month|sku|qty", *rows), "stock": table("sku|stock|lead_time", "A|10|5", "B|9|5")}
    read = SOLVER.read(stock.StockSettings(sales="s.csv", stock="t.csv"), tables)
    plan = solved(read)
    assert read.today == datetime.date(2026, 1, 1) and plan.status == "solved" and plan.pictures
    mug, slow = orders(plan)["A"], orders(plan)["B"]
    assert 1.4 < mug["a_day"] < 2.6 and slow["method"] == "the plain mean" and 0.4 < 28 * slow["a_day"] < 1.7
    assert mug["order"] and "60" not in plan.statements[0].text


def test_a_file_with_two_rows_is_not_solved() -> None:
    plan = solved(SOLVER.read(stock.StockSettings(sales="sales.csv"), {"sales": daily(A=[3.0, 4.0])}))
    assert plan.status == "infeasible" and plan.statements[0].text.startswith("A is not planned: 2 days of sales")


def test_the_day_of_the_plan() -> None:
    sales = daily(A=np.random.default_rng(0).poisson(5, 70).astype(float).tolist())

    def read(today: str | None, tables: dict[str, ProblemTable] | None = None) -> Any:
        return SOLVER.read(stock.StockSettings(sales="s.csv", today=today), tables or {"sales": sales})

    assert read("20.03.2026").today == datetime.date(2026, 3, 20)
    for today, said in (("2026-03-01", "go on after"), ("2026-06-01", "end long before"), ("soon", "no date")):
        with pytest.raises(DataError, match=said):
            read(today)
    with pytest.raises(DataError, match="no item of the sales"):
        read(None, {"sales": sales, "stock": table("sku|stock", "B|1")})


def test_the_plan_is_asked_for_one_item(problem: Any) -> None:
    plan = solved(problem)
    mug, candle = orders(plan)["M1"], orders(plan)["C1"]
    assert SOLVER.about(plan.result, "hearth mug") == [plan.statements[0]] == SOLVER.about(plan.result, "m1") and mug["order"]
    rate, enough = [one.text for one in SOLVER.about(plan.result, "candles")]
    assert rate == f"About {candle['a_day']} a day of Fig Candle will be sold."
    until = "Fig Candle needs no order before the next look at the stock on 12 April 2026"
    assert enough == f"{until}: 500 lie in stock, and the reorder point is {candle['reorder_point']}."
    assert "is not planned: 2 days of sales" in SOLVER.about(plan.result, "L1")[0].text
    with pytest.raises(InputError, match="no item of the tables"):
        SOLVER.about(plan.result, "sofa")
    ordered = list(orders(plan))
    assert len(ordered) > 1
    for item in ordered:
        said = " ".join(one.text for one in SOLVER.about(plan.result, item))
        assert said and strange_numbers(said, plan.result) == []
