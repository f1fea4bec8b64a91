"""Why a stop stays out: the smallest relaxation of one or two constraints with which it fits into the current plan.

Each is proven by construction: the stop is inserted into a route where it breaks the constraint least. A new search might need less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from smidgen.plans.routing.problem import LeftOut, Problem, Route, Stop, Van, clock, clock_up, units
from smidgen.plans.routing.schedule import RouteTiming, cost, may_carry, timed, worth


@dataclass(frozen=True, slots=True)
class _Relaxation:
    """A way to let a stop in: the constraints that it relaxes, by how much, and how much that hurts."""

    van: Van
    timing: RouteTiming
    relaxed: tuple[str, ...]
    hurt: float


def left_out(problem: Problem, routes: Sequence[Route], stops: Sequence[Stop], over: Callable[[], bool] = lambda: False) -> list[LeftOut]:
    """The stops that stay out, each with its reason. Once the time is `over`, only what a van of its own would need."""
    return [_reason(problem, routes, stop, over) for stop in stops]


def _reason(problem: Problem, routes: Sequence[Route], stop: Stop, over: Callable[[], bool]) -> LeftOut:
    ways: list[_Relaxation] = []
    closed = far = held = dear = False
    for van in problem.vans:
        if not may_carry(problem, van, stop):
            held = True
            continue
        route = next((route for route in routes if route.van == van.name), None)
        under = problem.underway.get(van.name)
        stops = [problem.stop[visit.stop] for visit in route.visits] if route else []
        for place in range(len(under.stops) if under else 0, len(stops) + 1):
            if over():
                return _reason_without_place(problem, stop, closed=False, held=False, sought=False)
            timing = timed(problem, van, [*stops[:place], stop, *stops[place:]])
            if timing.unreachable:
                closed = closed or stop.name in timing.unreachable
                continue
            if set(timing.late) - {stop.name} or set(timing.lacking) - {stop.name}:
                far = True
                continue
            if cost(problem, timing) - cost(problem, timed(problem, van, stops)) >= worth(problem, stop):
                dear = True
            else:
                ways.append(_relaxation(van, stop, timing))
    if dear and not ways:
        text = f"{stop.name} stays out: it is optional, and serving it would take more time than it is worth."
        return LeftOut(stop.name, "worth", text, {"stop": stop.name})
    if not ways:
        return _reason_without_place(problem, stop, closed=closed and not far, held=held)
    fewest = min(len(way.relaxed) for way in ways)
    best: dict[tuple[str, ...], _Relaxation] = {}
    for way in ways:
        if len(way.relaxed) == fewest and (way.relaxed not in best or way.hurt < best[way.relaxed].hurt):
            best[way.relaxed] = way
    ranked = sorted(best.values(), key=lambda way: way.hurt)[:2]
    facts: dict[str, str | int | float] = {"stop": stop.name}
    texts = []
    for prefix, way in zip(("", "or_"), ranked, strict=False):
        own: dict[str, str | int | float] = {}
        texts.append(_relaxation_text(problem, stop, way, own))
        facts |= {prefix + name: value for name, value in own.items()}
    return LeftOut(
        stop.name,
        ranked[0].relaxed[0] if fewest == 1 else "+".join(ranked[0].relaxed),
        f"{stop.name} stays out: it would fit if {', or if '.join(texts)}.",
        facts,
    )


def _relaxation(van: Van, stop: Stop, timing: RouteTiming) -> _Relaxation:
    """The limits that a timing breaks, and their cost: the time, an hour for a full van's load, two for each missing skill."""
    relaxed, hurt = [], 0.0
    if timing.late_back:
        relaxed.append("shift")
        hurt += timing.late_back
    if timing.late:
        relaxed.append("window")
        hurt += timing.late[stop.name]
    if timing.excess:
        relaxed.append("capacity")
        hurt += 3600 * timing.excess / max(1, van.capacity)
    if timing.lacking:
        relaxed.append("skill")
        hurt += 7200 * len(timing.lacking[stop.name])
    return _Relaxation(van, timing, tuple(relaxed), hurt)


def _relaxation_text(problem: Problem, stop: Stop, way: _Relaxation, facts: dict[str, str | int | float]) -> str:
    van, timing, parts = way.van, way.timing, []
    facts["van"] = van.name
    for relaxed in way.relaxed:
        if relaxed == "shift":
            facts |= {"back": clock_up(timing.route.back), "shift_ends": clock(van.back)}
            parts.append(f"{van.name} could return at {facts['back']} instead of {facts['shift_ends']}")
        elif relaxed == "window":
            begins = next(visit.begins for visit in timing.route.visits if visit.stop == stop.name)
            facts |= {"served": clock_up(begins), "closes": clock(stop.closes)}
            parts.append(f"it could be served until {facts['served']} instead of {facts['closes']} (by {van.name})")
        elif relaxed == "capacity":
            facts |= {"load": units(timing.load), "capacity": units(van.capacity)}
            parts.append(f"{van.name} could load {facts['load']} instead of {facts['capacity']}")
        else:
            lacking = sorted(timing.lacking[stop.name])
            facts["skills"] = ", ".join(lacking)
            parts.append(f"{van.name} had {' and '.join(lacking)}, which it lacks")
    return " and ".join(parts)


def _reason_without_place(problem: Problem, stop: Stop, *, closed: bool, held: bool, sought: bool = True) -> LeftOut:
    """The reason where a stop fits into no route without making another one late: what a van of its own would need.

    `sought`: whether its place in every route was looked for; there was no time otherwise.
    """
    facts: dict[str, str | int | float] = {"stop": stop.name}
    if closed:
        return LeftOut(stop.name, "travel", f"{stop.name} stays out: no way leads there for any van.", facts)
    if held:
        where = f"are on board of {problem.holder[stop.name]}" if stop.name in problem.holder else "are not on board of any van"
        text = f"{stop.name} stays out: its goods {where}, and goods may not move to another one."
        return LeftOut(stop.name, "held", text, facts)
    alone = replace(problem, underway={})
    timings = [(van, timed(alone, van, [stop])) for van in problem.vans]
    ways = [_relaxation(van, stop, timing) for van, timing in timings if not timing.unreachable]
    if not ways:
        return LeftOut(stop.name, "travel", f"{stop.name} stays out: no way leads there for any van.", facts)
    way = min(ways, key=lambda way: (len(way.relaxed), way.hurt))
    if not way.relaxed and not sought:
        text = f"{stop.name} stays out: there was no time to look for its place. It would fit with one more van like {way.van.name}."
        return LeftOut(stop.name, "van", text, {**facts, "van": way.van.name})
    if not way.relaxed:
        text = f"{stop.name} stays out: in every route another stop would be too late. It would fit with one more van like {way.van.name}."
        return LeftOut(stop.name, "van", text, {**facts, "van": way.van.name})
    need = _relaxation_text(problem, stop, way, facts)
    text = f"{stop.name} stays out: no van has room for it, and a van of its own would do only if {need}."
    return LeftOut(stop.name, "van+" + "+".join(way.relaxed), text, facts)
