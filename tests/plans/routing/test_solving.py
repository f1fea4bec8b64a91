"""Every plan may be driven, or says what stays out and why; checked by a checker of its own."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from tests.route_problems import drawn, faults, happened, names

from smidgen.plans.routing.problem import Plan, Problem, seconds_of
from smidgen.plans.routing.schedule import worth
from smidgen.plans.routing.solving import solved
from smidgen.plans.routing.underway import underway

pytest.importorskip("pyvrp")
SEEDS = range(12)
SECONDS = 0.06


def orders(plan: Plan) -> dict[str, list[str]]:
    return {route.van: [visit.stop for visit in route.visits] for route in plan.routes}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_plan_breaks_no_limit_nor_does_it_after_an_event_in_the_middle_of_the_day(seed: int) -> None:
    problem = drawn(seed)
    plan = solved(problem, SECONDS, seed)
    assert faults(problem, plan) == []
    now = replace(happened(problem, seed), now=9 * 3600 + 600 * (seed % 5))
    later = underway(now, {route.van: route for route in plan.routes})
    again = solved(later, SECONDS, seed, orders(plan))
    assert faults(later, again) == []
    before, after = orders(plan), orders(again)
    for van, under in later.underway.items():
        assert after.get(van, [])[: len(under.visits)] == [visit.stop for visit in under.visits] == before[van][: len(under.visits)]


def test_a_plan_ends_in_time_and_what_was_not_looked_for_is_said() -> None:
    """A clock that counts its calls stands for a slow machine; one van has the stops of all, so much is to be mended."""
    said = 0
    for seed in SEEDS:
        problem = drawn(seed)
        before = orders(solved(problem, SECONDS, seed))
        for slow in (0.2, 5.0):
            fewer, calls = replace(problem, vans=problem.vans[:1]), itertools.count()
            all_in_one = {problem.vans[0].name: [name for own in before.values() for name in own]}
            plan = solved(fewer, 1.0, seed, all_in_one, clock=lambda calls=calls, slow=slow: slow * next(calls))
            assert faults(fewer, plan) == []
            assert next(calls) < 5_000
            said += any("no time to look for its place" in out.reason for out in plan.left_out)
    assert said >= 6


def test_the_checker_finds_what_is_wrong() -> None:
    problem = drawn(1)
    plan = solved(problem, SECONDS)
    route = next(route for route in plan.routes if route.visits)
    assert faults(problem, Plan((replace(route, back=route.back - 60),), ())) != []
    assert faults(problem, Plan((replace(route, visits=route.visits[1:]),), ())) != []
    late = tuple(replace(visit, arrives=visit.arrives - 60) for visit in route.visits)
    assert any("cannot be at" in fault for fault in faults(problem, replace(plan, routes=(replace(route, visits=late),))))


def prizes(problem: Problem, plan: Plan) -> int:
    return sum(worth(problem, problem.stop[name]) for name in names(plan))


def relaxed(problem: Problem, facts: dict[str, str | int | float], constraint: str) -> Problem:
    """The problem with the one constraint relaxed as it was said."""
    if constraint == "window":
        stops = tuple(
            replace(stop, closes=seconds_of(str(facts["served"]), "t")) if stop.name == facts["stop"] else stop for stop in problem.stops
        )
        return replace(problem, stops=stops)
    change = {"back": seconds_of(str(facts["back"]), "t")} if constraint == "shift" else {"capacity": round(float(facts["load"]) * 100)}
    return replace(problem, vans=tuple(replace(van, **change) if van.name == facts["van"] else van for van in problem.vans))


def test_what_is_said_to_relax_lets_the_stop_in() -> None:
    tried = 0
    for seed in range(24):
        problem = drawn(seed)
        plan = solved(problem, 0.02, seed)
        for out in [out for out in plan.left_out if out.constraint in ("shift", "window", "capacity")][:1]:
            if ":" in str(out.facts.get("back", "")) and int(str(out.facts["back"])[:2]) >= 24:
                continue
            wider = relaxed(problem, dict(out.facts), out.constraint)
            again = solved(wider, 0.02, seed, orders(plan))
            assert prizes(wider, again) > prizes(problem, plan), out.reason
            assert faults(wider, again) == []
            tried += 1
    assert tried > 5


def test_a_plan_for_nothing_and_for_what_cannot_be() -> None:
    problem = drawn(1)
    assert names(solved(replace(problem, cancelled=frozenset(problem.stop)), SECONDS)) == []
    shut = replace(problem, vans=tuple(replace(van, back=van.leaves + 1) for van in problem.vans))
    plan = solved(shut, SECONDS)
    assert names(plan) == [] and len(plan.left_out) == len(problem.stops)


def test_goods_on_board_stay_where_they_are() -> None:
    problem = replace(drawn(8), swap=False)
    last = solved(problem, SECONDS, 8)
    goods = next(route for route in last.routes if len(route.visits) > 1)
    van = next(van for van in problem.vans if van.name == goods.van)
    other = replace(van, name="Other", capacity=9000, leaves=0, back=24 * 3600)
    stuck = replace(problem, vans=(other,), broken=(van,), now=goods.visits[0].begins)
    later = underway(stuck, {route.van: route for route in last.routes})
    plan = solved(later, SECONDS, 8, orders(last))
    held = {one.stop: one.reason for one in plan.left_out if one.constraint == "held"}
    assert set(held) == {visit.stop for visit in goods.visits[1:]}
    assert all(f"on board of {van.name}" in reason for reason in held.values())
    again = underway(stuck, {route.van: route for route in plan.routes}, {van.name: later.underway[van.name].loaded})
    assert {one.stop for one in solved(again, SECONDS, 8, orders(plan)).left_out if one.constraint == "held"} == set(held)
    free = solved(replace(later, swap=True), SECONDS, 8, orders(last))
    assert len(names(free)) > len(names(plan))
