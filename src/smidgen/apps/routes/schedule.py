"""The exact times of a route, and every limit that it breaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from smidgen.apps.routes.distances import NEVER
from smidgen.apps.routes.problem import Problem, Route, Stop, Underway, Van, Visit


@dataclass(frozen=True, slots=True)
class RouteTiming:
    """A route and the limits that it breaks.

    Attributes:
        route: with its times, as they would be.
        late_back: seconds past the end of the shift.
        late: seconds past the window's end, by stop.
        excess: load above the capacity, in hundredths of a unit.
        lacking: skills that the van lacks, by stop.
        unreachable: stops, or the van's end, that no way leads to.
        load: of the whole route.
    """

    route: Route
    late_back: int
    late: Mapping[str, int]
    excess: int
    lacking: Mapping[str, frozenset[str]]
    unreachable: tuple[str, ...]
    load: int

    @property
    def feasible(self) -> bool:
        """Whether it breaks no limit."""
        return not (self.late_back or self.late or self.excess or self.lacking or self.unreachable)


_PRIZE = 400_000
"""What a stop that must be served is worth, in seconds of driving: more than any way to it."""


def worth(problem: Problem, stop: Stop) -> int:
    """Worth of serving a stop, in seconds of driving."""
    return problem.rules.optional_worth * stop.priority if stop.optional else _PRIZE * stop.priority


def may_carry(problem: Problem, van: Van, stop: Stop) -> bool:
    """Whether a stop's goods can be in a van. Where they may not move, one that has left carries what it was loaded with, and no other van
    carries that."""
    if problem.swap:
        return True
    under = problem.underway.get(van.name)
    return stop.name in under.loaded if under else stop.name not in problem.holder


def cost(problem: Problem, timing: RouteTiming) -> float:
    """Cost of a route in seconds: driving twice, waiting and work once, and what a van costs that goes out."""
    route = timing.route
    return 0.0 if not route.visits else route.driving + (route.back - route.leaves) + problem.rules.van_cost


def timed(problem: Problem, van: Van, stops: Sequence[Stop]) -> RouteTiming:
    """Time a van's whole route: `stops` begin with what it has served. A van that has not left yet leaves as late as costs nothing."""
    under = problem.underway.get(van.name)
    if under is not None:
        return _from(problem, van, stops, under.leaves, under)
    earliest = max(van.leaves, problem.now or 0)
    found = _from(problem, van, stops, earliest)
    if not found.feasible or not stops:
        return found
    # Who leaves later is never earlier back: look for the last time to leave that is back no later.
    low, high = earliest, found.route.back
    while low + 60 <= high:
        middle = (low + high + 1) // 2
        other = _from(problem, van, stops, middle)
        if other.feasible and other.route.back == found.route.back:
            low, found = middle, other
        else:
            high = middle - 1
    return found


def _from(problem: Problem, van: Van, stops: Sequence[Stop], leaves: int, under: Underway | None = None) -> RouteTiming:
    """Time a route that leaves at a time of day; what is recorded of its beginning stays."""
    travel, number = problem.travel, problem.travel.place
    recorded = under.visits if under else ()
    here, time, driving, metres = number[van.start.name], leaves, 0, 0
    visits: list[Visit] = []
    late: dict[str, int] = {}
    unreachable: list[str] = []
    for step, stop in enumerate(stops):
        there = number[stop.name]
        metres += travel.length(here, there, time)
        if step < len(recorded):
            visit = recorded[step]
            driving += visit.arrives - time
        else:
            # Only the way that it is on already began before `now`.
            begin = time if under and stop.name == under.heading else max(time, problem.now or 0)
            lasts = travel.lasts(here, there, begin)
            if lasts >= NEVER:
                unreachable.append(stop.name)
                lasts = 0
            begins = max(begin + lasts, stop.opens)
            visit = Visit(stop.name, begin + lasts, begins, begins + stop.service)
            driving += lasts
            if begins > stop.closes:
                late[stop.name] = begins - stop.closes
        visits.append(visit)
        here, time = there, visit.ends
    home = number[van.end.name]
    lasts = travel.lasts(here, home, time)
    if lasts >= NEVER:
        unreachable.append(van.end.name)
        lasts = 0
    driving, metres, time = driving + lasts, metres + travel.length(here, home, time), time + lasts
    load = sum(stop.demand for stop in stops)
    return RouteTiming(
        route=Route(van.name, leaves, tuple(visits), time, driving, metres),
        late_back=max(0, time - van.back),
        late=late,
        excess=max(0, load - van.capacity),
        lacking={stop.name: stop.skills - van.skills for stop in stops if stop.skills - van.skills},
        unreachable=tuple(unreachable),
        load=load,
    )
