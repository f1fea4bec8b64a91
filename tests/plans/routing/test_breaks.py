"""A driver's break: when it is taken, what it costs, and that nobody drives or works in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.plans.stock.tables import table
from tests.route_problems import faults

from smidgen.core.errors import DataError
from smidgen.plans.routing import papers, tables
from smidgen.plans.routing.problem import DAY, Break, Problem, Spot, Stop, TakenBreak, Van, seconds_of
from smidgen.plans.routing.schedule import timed
from smidgen.plans.routing.solving import solved
from smidgen.plans.routing.sources import straight_lines
from smidgen.plans.routing.underway import underway

DEPOT = Spot("Depot", 48.0, 11.0)
SPOTS = [Spot(name, 48.0, 11.0 + number / 10) for number, name in enumerate("ABC", start=1)]


def at(text: str) -> int:
    return seconds_of(text, "the time")


def day(rest: Break | None, back: str = "16:00", **stops: tuple[str, str]) -> Problem:
    """A van from 8:00 with three stops in a line, each with 30 minutes of work; `stops`: other windows."""
    windows = {name: (at(stops[name][0]), at(stops[name][1])) if name in stops else (0, DAY) for name in "ABC"}
    every = tuple(Stop(spot, "", 0, *windows[spot.name], 1800) for spot in SPOTS)
    travel = straight_lines(["Depot", "A", "B", "C"], [(spot.latitude or 0, spot.longitude or 0) for spot in (DEPOT, *SPOTS)], 30)
    return Problem(every, (Van("Van", 100, at("8:00"), at(back), DEPOT, DEPOT, rest=rest),), travel)


def timing(problem: Problem) -> Any:
    return timed(problem, problem.vans[0], problem.stops)


def test_it_is_taken_after_the_first_work_once_it_may_begin() -> None:
    without = timing(day(None)).route
    rest = Break(1800, at("8:30"), at("10:00"))
    problem = day(rest)
    route = timing(problem).route
    first = route.visits[0]
    assert route.rest == TakenBreak(first.ends, first.ends + 1800, "A") and at("8:30") <= first.ends <= at("10:00")
    assert (route.back, route.driving) == (without.back + 1800, without.driving)


def test_it_is_taken_while_the_van_waits() -> None:
    problem = day(Break(1800, at("8:00"), at("12:00")), A=("11:00", "12:00"))
    route = timing(problem).route
    assert route.rest is not None and route.rest.place == "A" and route.visits[0].begins == at("11:00")
    assert route.back == timing(day(None, A=("11:00", "12:00"))).route.back


def test_it_is_taken_before_work_that_would_last_beyond_it() -> None:
    problem = day(Break(1800, at("8:00"), at("8:20")))
    route = timing(problem).route
    assert route.rest is not None and route.rest.begins <= at("8:20") and faults(problem, plan_of(problem)) == []


def test_who_is_back_needs_none() -> None:
    assert timing(day(Break(1800, at("8:00"), at("15:00")))).route.rest is None


def plan_of(problem: Problem) -> Any:
    pytest.importorskip("pyvrp")
    return solved(problem, 0.05)


def test_a_break_can_leave_a_stop_out_and_says_why() -> None:
    back = timing(day(None)).route.back
    tight = day(Break(3600, at("9:00"), at("10:00")), back=f"{back // 3600}:{back % 3600 // 60 + 1:02d}")
    plan = plan_of(tight)
    assert [one.constraint for one in plan.left_out] == ["shift"] and faults(tight, plan) == []
    assert plan_of(replace(tight, vans=(replace(tight.vans[0], rest=None),))).left_out == ()


def test_a_break_that_has_begun_stays() -> None:
    problem = day(Break(1800, at("9:00"), at("10:00")))
    plan = plan_of(problem)
    (route,) = plan.routes
    assert route.rest is not None
    later = underway(replace(problem, now=route.rest.begins + 60), {"Van": route})
    again = plan_of(later).routes[0]
    assert again.rest == route.rest and again.back == route.back
    before = underway(replace(problem, now=route.rest.begins - 60), {"Van": route})
    assert before.underway["Van"].rest is None and plan_of(before).routes[0].rest is not None


def test_the_driver_reads_it_on_the_sheet() -> None:
    problem = day(Break(1800, at("9:00"), at("10:00")))
    sheet = papers.driver_sheets(problem, plan_of(problem).routes).decode()
    assert "Break of 30 minutes" in sheet and sheet.count("<li") == 4


def test_the_table_of_vans() -> None:
    columns = "name|starts|ends|start|start_latitude|start_longitude|break_minutes|break_from|break_until"
    one, other = tables.read_vans(
        table(columns, "V1|07:00|15:00|Depot|48|11|30|11:00|13:00", "V2|07:00|15:00|Depot|48|11|||"), located=True
    )
    assert one.rest == Break(1800, at("11:00"), at("13:00")) and other.rest is None
    with pytest.raises(DataError, match="no break can begin then"):
        tables.read_vans(table(columns, "V1|07:00|15:00|Depot|48|11|30|13:00|11:00"), located=True)
