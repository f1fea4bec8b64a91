"""The exact times of a route, and every limit that it breaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from smidgen.plans.routing.distances import NEVER
from smidgen.plans.routing.problem import Break, Problem, Route, Stop, TakenBreak, Underway, Van, Visit


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
        """Whether the route breaks no limit."""
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
        return _timed_from(problem, van, stops, under.leaves, under)
    earliest = max(van.leaves, problem.now or 0)
    found = _timed_from(problem, van, stops, earliest)
    if not found.feasible or not stops:
        return found
    # Who leaves later is never earlier back: look for the last time to leave that is back no later.
    low, high = earliest, found.route.back
    while low + 60 <= high:
        middle = (low + high + 1) // 2
        other = _timed_from(problem, van, stops, middle)
        if other.feasible and other.route.back == found.route.back:
            low, found = middle, other
        else:
            high = middle - 1
    return found


def _timed_from(problem: Problem, van: Van, stops: Sequence[Stop], leaves: int, under: Underway | None = None) -> RouteTiming:
    found = _timed_with_break(problem, van, stops, leaves, under, None)
    rest = van.rest
    if rest is None or (under and under.rest) or max(leaves, found.route.back) <= rest.closes or leaves > rest.closes:
        return found
    return _timed_with_break(problem, van, stops, leaves, under, rest)


def _timed_with_break(
    problem: Problem, van: Van, stops: Sequence[Stop], leaves: int, under: Underway | None, rest: Break | None
) -> RouteTiming:
    """Time a route; `rest`: the break that is still to be taken.

    It is taken after the first work that ends once it may begin, or while the van waits at a stop, or before work that would last beyond
    the latest time for it.
    """
    travel, number = problem.travel, problem.travel.place
    recorded = under.visits if under else ()
    taken = under.rest if under else None
    here, time, driving, metres = number[van.start.name], leaves, 0, 0
    visits: list[Visit] = []
    late: dict[str, int] = {}
    unreachable: list[str] = []
    for step, stop in enumerate(stops):
        there = number[stop.name]
        metres += travel.length(here, there, time)
        if step < len(recorded):
            visit = recorded[step]
            pause = 0 if taken is None else max(0, min(visit.arrives, taken.ends) - max(time, taken.begins))
            driving += visit.arrives - time - pause
        else:
            # Only the way that it is on already began before `now`.
            heading = under is not None and stop.name == under.heading
            begin = time if heading else max(time, problem.now or 0)
            if taken is not None and taken.place != stop.name:
                begin = max(begin, taken.ends)
            lasts = travel.lasts(here, there, begin)
            if rest is not None and taken is None and not heading and lasts < NEVER:
                taken = _break_before(rest, stop, begin, begin + lasts, travel.names[here], bool(visits))
                if taken is not None and taken.place != stop.name:
                    begin = taken.ends
                    lasts = travel.lasts(here, there, begin)
            if lasts >= NEVER:
                unreachable.append(stop.name)
                lasts = 0
            begins = max(begin + lasts, stop.opens, taken.ends if taken and taken.place == stop.name else 0)
            visit = Visit(stop.name, begin + lasts, begins, begins + stop.service)
            driving += lasts
            if begins > stop.closes:
                late[stop.name] = begins - stop.closes
        visits.append(visit)
        here, time = there, visit.ends
    if rest is not None and taken is None:
        begins = max(time, rest.opens)
        taken = TakenBreak(begins, begins + rest.seconds, travel.names[here])
    time = max(time, taken.ends) if taken is not None else time
    home = number[van.end.name]
    lasts = travel.lasts(here, home, time)
    if lasts >= NEVER:
        unreachable.append(van.end.name)
        lasts = 0
    driving, metres, time = driving + lasts, metres + travel.length(here, home, time), time + lasts
    load = sum(stop.demand for stop in stops)
    return RouteTiming(
        route=Route(van.name, leaves, tuple(visits), time, driving, metres, taken),
        late_back=max(0, time - van.back),
        late=late,
        excess=max(0, load - van.capacity),
        lacking={stop.name: stop.skills - van.skills for stop in stops if stop.skills - van.skills},
        unreachable=tuple(unreachable),
        load=load,
    )


def _break_before(rest: Break, stop: Stop, begin: int, arrives: int, place: str, worked: bool) -> TakenBreak | None:
    """The break, if it is taken before the work at a stop: on the way there, or while the van waits at the stop."""
    beyond = max(arrives, stop.opens) + stop.service > rest.closes
    at_stop = rest.opens <= arrives <= rest.closes
    if (worked and begin >= rest.opens) or (beyond and not at_stop):
        begins = max(begin, rest.opens)
        return TakenBreak(begins, begins + rest.seconds, place)
    if at_stop and (beyond or stop.opens > arrives):
        return TakenBreak(arrives, arrives + rest.seconds, stop.name)
    return None
