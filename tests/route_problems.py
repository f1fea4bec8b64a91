"""Problems of routes drawn by seed, and a checker of plans that shares no code with the planner: it drives every leg second by second."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from smidgen.plans.routing.distances import NEVER
from smidgen.plans.routing.events import edit
from smidgen.plans.routing.problem import DAY, Break, Plan, Problem, Route, Spot, Stop, Van
from smidgen.plans.routing.sources import straight_lines

RUSH = tuple(1.7 if hour in (8, 9, 16) else 1.0 for hour in range(24))


def drawn(seed: int) -> Problem:
    """A small problem that may well be too tight: few vans, short shifts, narrow windows, skills, one-way times, slow hours, unreachable
    places."""
    rng = random.Random(seed)
    depots = [Spot(f"Depot {n}", 48.0 + rng.random() / 10, 11.0 + rng.random() / 10) for n in range(rng.choice((1, 1, 2)))]
    stops = []
    for number in range(rng.randint(1, 14)):
        opens = rng.choice((0, 0, 7, 8, 9, 10, 12)) * 3600
        closes = min(DAY, opens + rng.choice((0, 1, 1800, 3600, 4 * 3600, DAY)))
        stops.append(
            Stop(
                Spot(f"Stop {number}", 48.0 + rng.random() / 10, 11.0 + rng.random() / 10),
                f"Street {number % 4} {number}",
                rng.choice((0, 100, 250, 400, 900)),
                opens,
                closes,
                rng.choice((0, 60, 600)),
                rng.choice((1, 1, 2)),
                rng.random() < 0.15,
                frozenset(rng.sample(("lift", "cooling"), rng.choice((0, 0, 0, 1)))),
            )
        )
    vans = []
    for number in range(rng.randint(1, 3)):
        leaves = rng.choice((6, 8, 9)) * 3600
        skills = frozenset(rng.sample(("lift", "cooling"), rng.choice((0, 1, 2))))
        start = rng.choice(depots)
        vans.append(
            Van(f"Van {number}", rng.choice((300, 1000, 3000)), leaves, leaves + rng.choice((1, 3, 8)) * 3600, start, start, skills)
        )
    spots = [*depots, *(stop.spot for stop in stops)]
    travel = straight_lines([spot.name for spot in spots], [(spot.latitude or 0, spot.longitude or 0) for spot in spots], 30)
    uneven = np.array([[rng.uniform(0.8, 1.3) for _ in spots] for _ in spots])
    travel = replace(travel, seconds=np.ceil(travel.seconds * uneven).astype(np.int64), hours=RUSH if seed % 3 == 0 else travel.hours)
    if seed % 7 == 0:
        travel.seconds[:, -1] = NEVER
        travel.seconds[-1, -1] = 0
    return Problem(tuple(stops), tuple(_rested(van, random.Random(seed + 1)) for van in vans), travel, swap=seed % 2 == 0)


def _rested(van: Van, rng: random.Random) -> Van:
    """The van, in half of the cases with a driver's break."""
    opens = van.leaves + rng.choice((0, 1800, 2 * 3600))
    rest = Break(rng.choice((600, 1800, 3600)), opens, opens + rng.choice((0, 1800, 2 * 3600)))
    return replace(van, rest=rest) if rng.random() < 0.5 else van


def happened(problem: Problem, seed: int) -> Problem:
    """The problem after an event drawn by seed."""
    rng = random.Random(seed)
    street = f"Street {rng.randrange(4)}"
    known = {stop.address.rsplit(" ", 1)[0] for stop in problem.stops}
    events = [
        {"kind": "ice"},
        {"kind": "stop_cancelled", "stop": rng.choice(problem.stops).name},
        {"kind": "hours_changed", "stop": (stop := rng.choice(problem.stops)).name, "ends": "23:00" if stop.opens > 10 * 3600 else "10:30"},
    ]
    if street in known:
        events += [{"kind": "road_closed", "streets": [street]}, {"kind": "jam", "streets": [street], "ends": "11:00", "minutes": 9}]
    if len(problem.vans) > 1:
        events.append({"kind": "van_broken", "van": rng.choice(problem.vans).name})
    return edit(problem, rng.choice(events)).problem


def faults(problem: Problem, plan: Plan) -> list[str]:
    """Every limit that a plan breaks, in words; empty if it may be driven."""
    found = []
    seen: list[str] = []
    vans = {van.name: van for van in (*problem.vans, *problem.broken)}
    if len({route.van for route in plan.routes}) != len(plan.routes):
        found.append("a van has two routes")
    for route in plan.routes:
        van = vans[route.van]
        stops = [next(stop for stop in problem.stops if stop.name == visit.stop) for visit in route.visits]
        seen += [stop.name for stop in stops]
        if not stops:
            continue
        under = problem.underway.get(van.name)
        past = len(under.visits) if under else 0
        if route.leaves < van.leaves:
            found.append(f"{van.name} leaves before its shift")
        if sum(stop.demand for stop in stops) > van.capacity:
            found.append(f"{van.name} is too full")
        here, time = van.start.name, route.leaves
        for number, (stop, visit) in enumerate(zip(stops, route.visits, strict=True)):
            if number >= past:
                here_now = time + _driven(problem, here, stop.name, time)
                if visit.arrives < here_now - 1:
                    found.append(f"{van.name} cannot be at {stop.name} before {here_now}, and is said to be there at {visit.arrives}")
                if not stop.opens <= visit.begins <= stop.closes:
                    found.append(f"{stop.name} is served outside its window")
                if problem.now is not None and visit.begins < problem.now and not (under and under.heading == stop.name):
                    found.append(f"{stop.name} is served in the past")
            if visit.begins < visit.arrives or visit.ends != visit.begins + stop.service:
                found.append(f"the times at {stop.name} do not add up")
            if not stop.skills <= van.skills:
                found.append(f"{van.name} lacks skills for {stop.name}")
            here, time = stop.name, visit.ends
        back = time + _driven(problem, here, van.end.name, time)
        found += _faults_of_break(problem, van, route, past, under is not None)
        if route.back < back - 1 or route.back > van.back:
            found.append(f"{van.name} is back at {back}, said {route.back}, shift until {van.back}")
    wanted = {stop.name for stop in problem.stops} - problem.cancelled
    out = [one.stop for one in plan.left_out]
    if sorted([*seen, *out]) != sorted(wanted):
        found.append(f"stops {sorted(wanted)} became {sorted(seen)} and {sorted(out)}")
    return found


def _faults_of_break(problem: Problem, van: Van, route: Route, past: int, underway: bool) -> list[str]:
    """What is wrong with the driver's break. `past`: visits that are recorded, and were driven to before anything happened."""
    wanted, rest = van.rest, route.rest
    if wanted is None or rest is None:
        needed = wanted is not None and route.back > wanted.closes >= route.leaves
        return [f"{van.name} has no break"] if needed else [f"{van.name} has a break for nothing"] if rest else []
    found = []
    if rest.ends - rest.begins != wanted.seconds or rest.begins < wanted.opens:
        found.append(f"the break of {van.name} is too short or too early")
    if rest.begins > wanted.closes and not underway:
        found.append(f"the break of {van.name} is too late")
    here, time = van.start.name, route.leaves
    for number, visit in enumerate(route.visits):
        if visit.begins < rest.ends and rest.begins < visit.ends:
            found.append(f"{van.name} works at {visit.stop} in the break")
        if number >= past and time <= rest.begins < visit.begins:
            waits = visit.arrives <= rest.begins
            drives = visit.arrives >= rest.ends + _driven(problem, here, visit.stop, rest.ends) - 1
            if not waits and not drives:
                found.append(f"{van.name} drives in the break")
        here, time = visit.stop, visit.ends
    if rest.begins >= time and route.back < rest.ends + _driven(problem, here, van.end.name, rest.ends) - 1:
        found.append(f"{van.name} drives home in the break")
    return found


def _driven(problem: Problem, origin: str, target: str, time: int) -> float:
    """Seconds of a leg, driven second by second at the pace of each."""
    travel = problem.travel
    one, other = travel.names.index(origin), travel.names.index(target)
    left, spent = float(travel.seconds[one, other]), 0
    while left > 1e-9:
        if spent > 3 * DAY:
            return float("inf")
        pace = travel.hours[min((time + spent) // 3600, 23)]
        for slow in travel.slowdowns:
            if slow.begins <= time + spent < slow.ends:
                pace *= float(slow.factors[one, other])
        if left * pace <= 1:
            return spent + left * pace
        left, spent = left - 1 / pace, spent + 1
    return spent


def names(plan: Plan) -> Sequence[str]:
    """The stops that a plan serves."""
    return [visit.stop for route in plan.routes for visit in route.visits]
