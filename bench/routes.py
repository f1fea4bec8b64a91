"""Routes of vans on the X set of capacitated vehicle routing: how far over the best known plans, in ten seconds of one core."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench import data, planners, results
from bench.context import Context

NAME = "routes"
COLUMNS = ("system", "customers", "instances", "over the best known, mean", "95 %", "worst", "core s each, mean")
SIZES = (("100 to 149", 100, 149, 0.012), ("150 to 200", 150, 200, 0.025))


def instances(folder: Path) -> list[Path]:
    """The instances with 100 to 200 customers, smallest first."""
    place = folder / "vrp" / "CVRP"
    if not place.is_dir():
        raise data.NoData(f"{place} is not here")
    return sorted(file for file in place.glob("X-n*.vrp") if 100 <= int(file.stem.split("-")[1][1:]) - 1 <= 200)


def run(context: Context) -> None:
    """smidgen's planner, and the savings of Clarke and Wright, on each instance."""
    files = planners.some(context, instances(context.data))
    searched = f"{planners.seconds(context):g} s of processor time"
    section = results.Section(
        NAME,
        "Routes of vans: the X set",
        f"{len(files)} instances of Uchoa and others (2017) with 100 to 200 customers; lengths rounded to whole numbers, as for their "
        f"best known plans. smidgen's planner (PyVRP, and a check of every route of our own) searches {searched} on "
        "one core, with one seed. Savings are those of Clarke and Wright (1964), in parallel, without improvement. Intervals: bootstrap "
        "over instances.",
        COLUMNS,
        facts=planners.facts(context),
    )
    planners.in_turn(context, {f"{NAME}-{file.stem}": file for file in files}, _measured, lambda found: _publish(context, section, found))


def _publish(context: Context, section: results.Section, found: Sequence[dict[str, Any]]) -> None:
    section.rows, section.goals = [], []
    for words, least, most, goal in SIZES:
        own = [one for one in found if least <= one["customers"] <= most]
        for system in ("smidgen", "savings"):
            gaps = [one[system] / one["best"] - 1 for one in own]
            if gaps:
                spent = results.number(statistics.mean(one[f"{system}_core"] for one in own), 1)
                section.rows.append([system, words, str(len(gaps)), *planners.behind(gaps), spent])
        mean = statistics.mean(one["smidgen"] / one["best"] - 1 for one in own) if own else None
        section.goals.append(results.at_most(f"{words} customers, mean", goal * 100, None if mean is None else mean * 100, "%", ".2f"))
    results.publish(context, section)


def _measured(file: Path, seconds: float, seed: int) -> dict[str, Any]:
    import pyvrp

    given = pyvrp.read(file, round_func="round")
    lengths = np.asarray(given.distance_matrix(0))
    demands = [0, *(given.client(number).delivery[0] for number in range(given.num_clients))]
    capacity = given.vehicle_type(0).capacity[0]
    best = float(
        next(line.split()[1] for line in file.with_suffix(".sol").read_text(encoding="utf-8").splitlines() if line.startswith("Cost"))
    )
    began = time.process_time()
    ours = _planned(lengths, demands, capacity, seconds, seed)
    core = time.process_time() - began
    began = time.process_time()
    theirs = savings(lengths, demands, capacity)
    return {
        "customers": len(demands) - 1,
        "best": best,
        "smidgen": ours,
        "smidgen_core": core,
        "savings": theirs,
        "savings_core": time.process_time() - began,
        "load": results.load_average(),
    }


def _planned(lengths: Any, demands: Sequence[int], capacity: int, seconds: float, seed: int) -> float:
    """The length of smidgen's plan; its times are lengths, so that its costs are twice the length."""
    from smidgen.plans.routing.problem import DAY, PLACES, Problem, Rules, Spot, Stop, Van
    from smidgen.plans.routing.solving import solved
    from smidgen.plans.routing.travel import Travel

    spots = [Spot(str(number), None, None) for number in range(len(demands))]
    stops = tuple(Stop(spot, "", demand * PLACES, 0, DAY, 0) for spot, demand in zip(spots[1:], demands[1:], strict=True))
    vans = -(-sum(demands) // capacity)
    every = tuple(Van(f"V{number}", capacity * PLACES, 0, DAY, spots[0], spots[0]) for number in range(vans + vans // 4 + 3))
    travel = Travel(tuple(spot.name for spot in spots), lengths, lengths, "matrix")
    plan = solved(Problem(stops, every, travel, rules=Rules(van_cost=0)), seconds, seed, clock=time.process_time)
    assert not plan.left_out
    seen = [int(visit.stop) for route in plan.routes for visit in route.visits]
    assert sorted(seen) == list(range(1, len(demands)))
    return total(lengths, demands, capacity, [[int(visit.stop) for visit in route.visits] for route in plan.routes])


def total(lengths: Any, demands: Sequence[int], capacity: int, routes: Sequence[Sequence[int]]) -> float:
    """The length of routes, each within the capacity."""
    assert all(sum(demands[stop] for stop in route) <= capacity for route in routes)
    return float(sum(lengths[a, b] for route in routes for a, b in zip([0, *route], [*route, 0], strict=True)))


def savings(lengths: Any, demands: Sequence[int], capacity: int) -> float:
    """The length of the plan by the parallel savings of Clarke and Wright."""
    size = len(demands)
    routes = {stop: [stop] for stop in range(1, size)}
    home = {stop: stop for stop in range(1, size)}
    load = dict(enumerate(demands))
    pairs = [(lengths[i, 0] + lengths[0, j] - lengths[i, j], i, j) for i in range(1, size) for j in range(i + 1, size)]
    for saved, i, j in sorted(pairs, key=lambda pair: -pair[0]):
        one, other = home[i], home[j]
        if saved <= 0 or one == other or load[one] + load[other] > capacity:
            continue
        first, second = routes[one], routes[other]
        if i not in (first[0], first[-1]) or j not in (second[0], second[-1]):
            continue
        joined = (first if first[-1] == i else first[::-1]) + (second if second[0] == j else second[::-1])
        routes[one] = joined
        load[one] += load[other]
        del routes[other]
        home |= dict.fromkeys(joined, one)
    return total(lengths, demands, capacity, list(routes.values()))
