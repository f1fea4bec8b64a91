"""Which part of the last plan cannot change any more: what vans have served, and where they are driving to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from smidgen.plans.routing.problem import DAY, Problem, Route, Underway, Van, clock
from smidgen.plans.routing.schedule import timed


def underway(problem: Problem, last: Mapping[str, Route], loaded: Mapping[str, Iterable[str]] | None = None) -> Problem:
    """The problem with what is past by its time `now` fixed, or with broken vans left at home where it has none.

    Args:
        problem: with its time `now`, or without one.
        last: the routes of the last plan, by van.
        loaded: by van, the stops whose goods it left with, as far as an earlier plan knows them.
    """
    if problem.now is None:
        return replace(problem, broken=())
    now = problem.now
    found: dict[str, Underway] = {}
    broken: list[Van] = []
    for van in (*problem.vans, *problem.broken):
        route = last.get(van.name)
        if route is None or route.leaves > now or not route.visits:
            continue
        known = tuple(visit for visit in route.visits if visit.stop in problem.stop)
        done = tuple(visit for visit in known if visit.begins <= now)
        stands = van in problem.broken
        goods = frozenset((loaded or {}).get(van.name) or (visit.stop for visit in known))
        rest = route.rest if route.rest is not None and route.rest.begins <= now else None
        ahead = known[len(done)].stop if len(done) < len(known) else None
        drives = ahead is not None and not stands and (not done or done[-1].ends <= now) and ahead not in problem.cancelled
        if stands and not done:
            # Its way back is not planned, and nothing of it counts; its goods may be on board.
            found[van.name] = Underway(route.leaves, (), None, goods, rest)
            continue
        if stands:
            broken.append(replace(van, end=problem.stop[done[-1].stop].spot, back=2 * DAY))
        found[van.name] = Underway(route.leaves, done, ahead if drives else None, goods, rest)
    served = {name for under in found.values() for name in under.stops}
    late = sorted(problem.cancelled & served)
    fixed = replace(problem, underway=found, broken=tuple(broken), cancelled=problem.cancelled - served)
    if late:
        fixed = fixed.noted(f"Already served before {clock(now)}, so not cancelled: {', '.join(late)}.")
    for name in found:
        fixed = _with_broken_limits_widened(fixed, name)
    return fixed


def _with_broken_limits_widened(problem: Problem, name: str) -> Problem:
    """Widen the limits that a van has already broken by what it cannot undo, with a remark for each."""
    van = next((van for van in problem.vans if van.name == name), None)
    if van is None:
        return problem
    timing = timed(problem, van, [problem.stop[stop] for stop in problem.underway[name].stops])
    if timing.unreachable:
        heading = problem.underway[name].heading
        if heading in timing.unreachable:
            turned = replace(problem.underway[name], heading=None)
            problem = replace(problem, underway={**problem.underway, name: turned})
            return _with_broken_limits_widened(problem.noted(f"{name} cannot reach {heading} any more and turns round."), name)
    for late in timing.late:
        begins = next(visit.begins for visit in timing.route.visits if visit.stop == late)
        stops = tuple(replace(stop, closes=begins) if stop.name == late else stop for stop in problem.stops)
        text = f"{name} is on its way to {late} and gets there at {clock(begins)}, after {clock(problem.stop[late].closes)}."
        problem = replace(problem, stops=stops).noted(text)
    if timing.late_back or timing.excess:
        wider = replace(van, back=max(van.back, timing.route.back), capacity=max(van.capacity, timing.load))
        problem = replace(problem, vans=tuple(wider if other is van else other for other in problem.vans))
        if timing.late_back:
            problem = problem.noted(f"{name} cannot be back before {clock(timing.route.back)}; its shift ends at {clock(van.back)}.")
    return problem
