"""Plans by PyVRP (Wouda, Lan and Kool 2024, "PyVRP: a high-performance VRP solver package"), checked by exact times of our own.

PyVRP knows one travel time a leg. Where times depend on the hour, it gets those of the hours at which the last plan drives, and each of
its plans is timed exactly: stops that break a limit leave it and are put in elsewhere, or stay out. No plan leaves here that breaks one.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.core.errors import InputError, MissingExtra
from smidgen.plans.routing.distances import NEVER, Matrix
from smidgen.plans.routing.problem import DAY, Plan, Problem, Stop, Van
from smidgen.plans.routing.reasons import left_out
from smidgen.plans.routing.schedule import RouteTiming, cost, may_carry, timed, worth

if TYPE_CHECKING:
    import pyvrp

_PATIENCE = 1_000
"""Rounds of PyVRP's search without a better plan after which it stops early, times the number of stops over ten."""
_ROUNDS = 3
_REPAIR_SECONDS = 5.0
"""Minimum seconds after the search in which stops that break a limit are moved. After them they stay out."""
_TRY_EACH_STOPS = 80
"""In a route of at most so many stops each is tried as the one to remove. A longer route keeps its feasible beginning."""

Orders = Mapping[str, Sequence[str]]
"""By van the stops of its route, in their order; served ones first."""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A plan that breaks no limit, and its worth: prizes less costs."""

    timings: Mapping[str, RouteTiming]
    worth: float


def solved(
    problem: Problem, seconds: float, seed: int = 0, before: Orders | None = None, clock: Callable[[], float] = time.monotonic
) -> Plan:
    """The best plan found.

    Args:
        problem: what to plan.
        seconds: the longest time to search. Its plan is made good in as long again, or five seconds: what then has no place stays out.
        seed: of the search.
        before: orders of the last plan, to begin from.
        clock: what counts the seconds; `time.process_time` where other work shares the machine.

    Raises:
        InputError: no van can drive.
        MissingExtra: PyVRP is not installed.
    """
    if not problem.vans:
        raise InputError("plans.no_van_can_drive")
    ends = clock() + seconds
    over = _Deadline(clock, ends + max(_REPAIR_SECONDS, seconds))
    open_stops = _unserved(problem)
    best = _repaired(problem, before, over) if before else _Draft({}, float("-inf"))
    if not open_stops and not before:
        best = _repaired(problem, {}, over)
    if open_stops:
        orders: Orders | None = before
        legs = _legs(problem)
        rounds = 1 if problem.travel.steady else _ROUNDS
        for number in range(rounds):
            left = max(0.01, ends - clock()) / (rounds - number)
            drafted = _pyvrp_orders(problem, open_stops, legs, _Deadline(clock, clock() + left), seed + number, orders)
            draft = _repaired(problem, drafted, over)
            if draft.worth > best.worth:
                best = draft
            orders = {name: [visit.stop for visit in timing.route.visits] for name, timing in best.timings.items()}
            if number + 1 < rounds:
                legs = _legs_as_driven(problem, best, legs)
    served = {visit.stop for timing in best.timings.values() for visit in timing.route.visits}
    routes = tuple(timing.route for timing in best.timings.values())
    stay = [stop for stop in open_stops if stop.name not in served]
    return Plan(routes, tuple(left_out(problem, routes, stay, over)))


def _unserved(problem: Problem) -> list[Stop]:
    done = {name for under in problem.underway.values() for name in under.stops}
    return [stop for stop in problem.stops if stop.name not in done and stop.name not in problem.cancelled]


def may_serve(problem: Problem, van: Van, stop: Stop) -> bool:
    """Whether a van may serve a stop: it has the skills, and the goods can be on board."""
    return stop.skills <= van.skills and may_carry(problem, van, stop)


def _prefix(problem: Problem, van: Van) -> list[Stop]:
    under = problem.underway.get(van.name)
    return [problem.stop[name] for name in under.stops] if under else []


# Drafts: from orders of stops to routes that break no limit.


def _repaired(problem: Problem, orders: Orders, over: _Deadline) -> _Draft:
    known = {stop.name: stop for stop in _unserved(problem)}
    timings: dict[str, RouteTiming] = {}
    for van in (*problem.vans, *problem.broken):
        prefix = _prefix(problem, van)
        broken = van in problem.broken
        rest = (
            [] if broken else [known[name] for name in orders.get(van.name, ()) if name in known and may_serve(problem, van, known[name])]
        )
        for stop in rest:
            del known[stop.name]
        timing = timed(problem, van, [*prefix, *rest])
        while rest and not timing.feasible:
            if len(rest) > _TRY_EACH_STOPS or over():
                kept = _feasible_stops(problem, van, prefix, rest)
                known |= {stop.name: stop for stop in rest[kept:]}
                rest, timing = rest[:kept], timed(problem, van, [*prefix, *rest[:kept]])
                break
            gone, timing = _without_worst_stop(problem, van, prefix, rest)
            known[gone.name] = gone
            rest = [stop for stop in rest if stop is not gone]
        timings[van.name] = timing
    for stop in sorted(known.values(), key=lambda stop: (-worth(problem, stop), stop.closes, stop.name)):
        if over():
            break
        found = _cheapest_insertion(problem, timings, stop, over)
        if found is not None:
            timings[found[0]] = found[1]
    prizes = sum(worth(problem, problem.stop[visit.stop]) for timing in timings.values() for visit in timing.route.visits)
    return _Draft(timings, prizes - sum(cost(problem, timing) for timing in timings.values()))


def _without_worst_stop(problem: Problem, van: Van, prefix: Sequence[Stop], rest: Sequence[Stop]) -> tuple[Stop, RouteTiming]:
    """The stop to remove, and the route without it: the least worth that repairs it, else what leaves the smallest violation."""
    tried = [(stop, timed(problem, van, [*prefix, *(other for other in rest if other is not stop)])) for stop in rest]
    return min(
        tried,
        key=lambda one: (not one[1].feasible, worth(problem, one[0]) if one[1].feasible else _violation(one[1]), one[1].route.driving),
    )


def _feasible_stops(problem: Problem, van: Van, prefix: Sequence[Stop], rest: Sequence[Stop]) -> int:
    """How many stops from the beginning break no limit. Later stops cannot make earlier ones late, so a binary search finds them."""
    low, high = 0, len(rest)
    while low < high:
        middle = (low + high + 1) // 2
        if timed(problem, van, [*prefix, *rest[:middle]]).feasible:
            low = middle
        else:
            high = middle - 1
    return low


def _violation(timing: RouteTiming) -> float:
    return timing.late_back + sum(timing.late.values()) + timing.excess * 60 + 1e6 * (len(timing.lacking) + len(timing.unreachable))


def _cheapest_insertion(
    problem: Problem, timings: Mapping[str, RouteTiming], stop: Stop, over: _Deadline
) -> tuple[str, RouteTiming] | None:
    best: tuple[float, str, RouteTiming] | None = None
    for van in problem.vans:
        if not may_serve(problem, van, stop):
            continue
        now = timings[van.name]
        if now.load + stop.demand > van.capacity:
            continue
        stops = [problem.stop[visit.stop] for visit in now.route.visits]
        for place in range(len(_prefix(problem, van)), len(stops) + 1):
            if over():
                break
            other = timed(problem, van, [*stops[:place], stop, *stops[place:]])
            if other.feasible:
                more = cost(problem, other) - cost(problem, now)
                if more < worth(problem, stop) and (best is None or more < best[0]):
                    best = (more, van.name, other)
    return best[1:] if best else None


# Travel times for a search that knows one time a leg.


def _legs(problem: Problem) -> Matrix:
    """(places, places) seconds: exact where times do not depend on the hour, otherwise the mean over the hours of work."""
    if problem.travel.steady:
        return problem.travel.at(0)
    begin = max(min(van.leaves for van in problem.vans), problem.now or 0)
    end = max(van.back for van in problem.vans)
    found: Matrix = np.ceil(np.mean([problem.travel.at(hour) for hour in range(begin, max(end, begin + 1), 3600)], axis=0)).astype(np.int64)
    return found


def _legs_as_driven(problem: Problem, draft: _Draft, legs: Matrix) -> Matrix:
    found, place = legs.copy(), problem.travel.place
    for van in problem.vans:
        route = draft.timings[van.name].route
        here, leaves = place[van.start.name], route.leaves
        for visit in route.visits:
            there = place[visit.stop]
            found[here, there] = problem.travel.lasts(here, there, leaves)
            here, leaves = there, visit.ends
        home = place[van.end.name]
        found[here, home] = problem.travel.lasts(here, home, leaves)
    return found


# PyVRP.


@dataclass(frozen=True, slots=True)
class _Deadline:
    """Whether the time is over, by a clock: also a criterion for PyVRP to stop."""

    clock: Callable[[], float]
    end: float

    def __call__(self, best_cost: float = 0.0) -> bool:
        return self.clock() >= self.end


@dataclass(frozen=True, slots=True)
class _Model:
    """PyVRP's data: `clients` are the stops by their numbers; `vans` the vans of each vehicle type."""

    data: pyvrp.ProblemData
    clients: Sequence[Stop]
    vans: Sequence[Sequence[Van]]


def _pyvrp_orders(problem: Problem, stops: Sequence[Stop], legs: Matrix, over: _Deadline, seed: int, before: Orders | None) -> Orders:
    try:
        import pyvrp
        from pyvrp.stop import MultipleCriteria, NoImprovement
    except ImportError:
        raise MissingExtra("pyvrp", "plans") from None
    model = _model(problem, stops, legs)
    patience = _PATIENCE * max(1, len(stops) // 10)
    stop = MultipleCriteria([over, NoImprovement(patience)])
    begin = _initial_solution(model, before, problem) if before else None
    result = pyvrp.solve(model.data, stop, seed=seed, collect_stats=False, display=False, initial_solution=begin)
    orders: dict[str, Sequence[str]] = {}
    waiting = [list(vans) for vans in model.vans]
    for route in result.best.routes():
        van = waiting[route.vehicle_type()].pop(0)
        done = [stop.name for stop in _prefix(problem, van)]
        orders[van.name] = [*done, *(model.clients[one.idx].name for one in route if one.is_client())]
    return orders


def _model(problem: Problem, stops: Sequence[Stop], legs: Matrix) -> _Model:
    import pyvrp

    travel = problem.travel
    groups: dict[Any, list[Van]] = defaultdict(list)
    for van in problem.vans:
        groups[_vehicle_key(problem, van, stops)].append(van)
    # Where nobody can wait, a route lasts as long as its driving and its work, and PyVRP searches faster without counting durations.
    waits = any(stop.opens > 0 for stop in stops)
    # Small numbers: PyVRP's penalties of a unit of load have a least value.
    unit = math.gcd(*(stop.demand for stop in stops)) or 1
    depots: list[pyvrp.Depot] = []
    profiles: dict[frozenset[int], int] = {}
    types = []
    for vans in groups.values():
        van, prefix = vans[0], _prefix(problem, vans[0])
        begin, early = travel.place[van.start.name], max(van.leaves, problem.now or 0)
        if prefix:
            begin, early = travel.place[prefix[-1].name], max(problem.now or 0, timed(problem, van, prefix).route.visits[-1].ends)
        barred = frozenset(travel.place[stop.name] for stop in stops if not may_serve(problem, van, stop))
        late = max(van.back - _break_seconds(problem, van), early)
        depots += [pyvrp.Depot(begin), pyvrp.Depot(travel.place[van.end.name])]
        types.append(
            pyvrp.VehicleType(
                num_available=len(vans),
                capacity=[max(0, van.capacity - sum(stop.demand for stop in prefix)) // unit],
                start_depot=len(depots) - 2,
                end_depot=len(depots) - 1,
                fixed_cost=0 if van.name in problem.underway else problem.rules.van_cost,
                tw_early=early,
                **_ending(late),
                unit_distance_cost=1 if waits else 2,
                unit_duration_cost=1 if waits else 0,
                profile=profiles.setdefault(barred, len(profiles)),
            )
        )
    clients = [
        pyvrp.Client(
            location=travel.place[stop.name],
            delivery=[stop.demand // unit],
            service_duration=stop.service,
            tw_early=stop.opens,
            **_ending(stop.closes),
            prize=worth(problem, stop),
            required=False,
            name=stop.name,
        )
        for stop in stops
    ]
    tables: list[Any] = []
    for barred in profiles:
        table = legs.copy()
        for place in barred:
            table[:, place] = table[place, :] = NEVER
            table[place, place] = 0
        tables.append(table)
    spots = [pyvrp.Location(0, 0, name=name) for name in travel.names]
    return _Model(pyvrp.ProblemData(spots, clients, depots, types, tables, tables), stops, list(groups.values()))


def _ending(late: int) -> Any:
    """The end of a window for PyVRP; none for a whole day, which it searches faster."""
    return {} if late >= DAY else {"tw_late": late}


def _vehicle_key(problem: Problem, van: Van, stops: Sequence[Stop]) -> Any:
    if van.name in problem.underway:
        return van.name
    barred = frozenset(stop.name for stop in stops if not may_serve(problem, van, stop))
    return (van.capacity, van.leaves, van.back, van.start.name, van.end.name, van.rest, barred)


def _break_seconds(problem: Problem, van: Van) -> int:
    """Seconds of a break that is still to be taken. PyVRP has no breaks: its shifts end earlier, and `timed` places the break."""
    under = problem.underway.get(van.name)
    return 0 if van.rest is None or van.back <= van.rest.closes or (under and under.rest) else van.rest.seconds


def _initial_solution(model: _Model, before: Orders, problem: Problem) -> pyvrp.Solution | None:
    import pyvrp

    number = {stop.name: place for place, stop in enumerate(model.clients)}
    routes = []
    for kind, vans in enumerate(model.vans):
        for van in vans:
            order = [number.pop(name) for name in before.get(van.name, ()) if name in number]
            if order:
                routes.append(pyvrp.Route(model.data, order, kind))
    return pyvrp.Solution(model.data, routes) if routes else None
