"""Which part of the last plan cannot change any more: what vans have served, and where they are driving to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from smidgen.apps.routes.problem import DAY, Problem, Underway, Van, clock
from smidgen.apps.routes.schedule import timed


def underway(problem: Problem, orders: Mapping[str, Sequence[str]], leaves: Mapping[str, int]) -> Problem:
    """The problem with what is past fixed.

    Args:
        problem: with the time `now`; without one it is returned as it is, but for vans that are broken: they stay at home.
        orders: by van, the stops of the last plan in their order.
        leaves: by van, when it leaves by that plan, seconds after midnight.
    """
    if problem.now is None:
        return replace(problem, broken=())
    found: dict[str, Underway] = {}
    broken: list[Van] = []
    for van in (*problem.vans, *problem.broken):
        names = [name for name in orders.get(van.name, ()) if name in problem.stop]
        left = leaves.get(van.name, DAY)
        if not names or left > problem.now:
            continue
        visits = timed(replace(problem, underway={van.name: Underway(left, ())}), van, [problem.stop[name] for name in names]).route.visits
        done = [visit.stop for visit in visits if visit.begins <= problem.now]
        if van in problem.broken:
            if done:
                broken.append(replace(van, end=problem.stop[done[-1]].spot, back=2 * DAY))
        elif (
            len(done) < len(visits)
            and (not done or visits[len(done) - 1].ends <= problem.now)
            and visits[len(done)].stop not in problem.cancelled
        ):
            done.append(visits[len(done)].stop)  # it is driving there
        if done or van not in problem.broken:
            found[van.name] = Underway(left, tuple(done), frozenset(names))
    served = {name for under in found.values() for name in under.stops}
    late = sorted(problem.cancelled & served)
    fixed = replace(problem, underway=found, broken=tuple(broken), cancelled=problem.cancelled - served)
    return fixed.noted(f"Already served before {clock(problem.now)}, so not cancelled: {', '.join(late)}.") if late else fixed
