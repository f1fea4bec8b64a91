"""Trips as orienteering: the prizes collected under a limit of length, beside the scores listed for OPLib's instances."""

from __future__ import annotations

import math
import re
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bench import data, planners, results
from bench.context import Context

NAME = "trips"
COLUMNS = ("system", "instances", "under the listed score, mean", "95 %", "worst", "instances at the score or over", "core s each, mean")


@dataclass(frozen=True)
class Instance:
    """An instance: its lengths, scores (the first place is the start, whose score counts), limit, and the score listed for it."""

    name: str
    lengths: Any
    scores: Sequence[int]
    limit: int
    listed: int


def instances(folder: Path) -> list[Instance]:
    """Every instance with its listed score (EA4OP of Kobeaga, Merino and Lozano 2018)."""
    place = folder / "oplib"
    if not place.is_dir():
        raise data.NoData(f"{place} is not here")
    return [_read(file, place) for file in sorted(place.glob("instances/*/*.oplib"))]


def _read(file: Path, place: Path) -> Instance:
    text = file.read_text(encoding="utf-8")
    told = (place / "solutions" / "ea4op" / file.parent.name / f"{file.stem}.sol").read_text(encoding="utf-8")
    points = [tuple(map(float, line.split()[1:3])) for line in _lines(text, "NODE_COORD_SECTION")]
    lengths = [[int(math.hypot(a[0] - b[0], a[1] - b[1]) + 0.5) for b in points] for a in points]
    scores = [int(line.split()[1]) for line in _lines(text, "NODE_SCORE_SECTION")]
    return Instance(file.stem, np.array(lengths), scores, _number(text, "COST_LIMIT"), _number(told, "ROUTE_SCORE"))


def _lines(text: str, section: str) -> list[str]:
    found = re.search(rf"{section}\s*\n(.*?)\n[A-Z]", text, re.DOTALL)
    assert found is not None, section
    return [line for line in found.group(1).splitlines() if line.strip()]


def _number(text: str, name: str) -> int:
    found = re.search(rf"{name}\s*:\s*(\d+)", text)
    assert found is not None, name
    return int(found.group(1))


def run(context: Context) -> None:
    """smidgen's search, its first greedy plan, and PyVRP with a prize for each place, on each instance."""
    every = planners.some(context, instances(context.data))
    searched = f"{planners.seconds(context):g} s of processor time"
    section = results.Section(
        NAME,
        "Trips: OPLib",
        f"{len(every)} instances of OPLib (generations 1 to 3, 51 to 200 places, the limit half of the best tour), beside the scores "
        f"listed for EA4OP. Each system searches {searched} on one core, with one seed; lengths are whole numbers. "
        "PyVRP has every place as an optional client; its prizes are scaled by the limit. "
        "Intervals: bootstrap over instances.",
        COLUMNS,
        facts=planners.facts(context),
    )
    planners.in_turn(context, {f"{NAME}-{one.name}": one for one in every}, _measured, lambda found: _publish(context, section, found))


def _publish(context: Context, section: results.Section, found: Sequence[dict[str, Any]]) -> None:
    section.rows = []
    for system in ("smidgen", "PyVRP", "greedy"):
        gaps = [1 - one[system] / one["listed"] for one in found]
        core = results.number(statistics.mean(one[f"{system}_core"] for one in found), 1)
        reached = f"{sum(gap <= 0 for gap in gaps)}"
        section.rows.append([system, str(len(gaps)), *planners.behind(gaps), reached, core])
    mean = statistics.mean(1 - one["smidgen"] / one["listed"] for one in found)
    section.goals = [results.at_most("under the listed score, mean", 1.5, mean * 100, "%", ".2f")]
    section.notes = [
        "each instance (listed, smidgen, PyVRP): "
        + "; ".join(f"{one['name']} {one['listed']:g}, {one['smidgen']:g}, {one['PyVRP']:g}" for one in found)
        + "."
    ]
    results.publish(context, section)


def _measured(one: Instance, seconds: float, seed: int) -> dict[str, Any]:
    made: dict[str, Any] = {"name": one.name, "listed": one.listed, "load": results.load_average()}
    for system, work in (
        ("smidgen", lambda: _searched(one, seconds, seed, None)),
        ("greedy", lambda: _searched(one, seconds, seed, 0)),
        ("PyVRP", lambda: _pyvrp(one, seconds, seed)),
    ):
        began = time.process_time()
        made[system] = _score(one, work())
        made[f"{system}_core"] = time.process_time() - began
    return made


def _score(one: Instance, visits: Sequence[int]) -> int:
    """The score of a tour, which must be within the limit."""
    nodes = [0, *visits, 0]
    assert len(set(visits)) == len(visits) and 0 not in visits
    assert sum(int(one.lengths[a, b]) for a, b in pairwise(nodes)) <= one.limit
    return one.scores[0] + sum(one.scores[visit] for visit in visits)


def _searched(one: Instance, seconds: float, seed: int, rounds: int | None) -> list[int]:
    from smidgen.plans.trips.search import DayFrame, Options, Orienteering, chosen

    places = np.array([place for place in range(1, len(one.scores)) if one.scores[place] > 0])
    none = np.zeros(len(places), dtype=np.int64)
    prizes = np.array([one.scores[place] for place in places], dtype=np.float64)
    options = Options(places, none, none, none + one.limit, none, prizes, none.astype(np.float64), none - 1)
    problem = Orienteering(one.lengths, options, (DayFrame(0, 0, 0, one.limit),))
    plan = chosen(problem, seconds, seed, rounds, clock=time.process_time)
    return [int(places[option]) for option in plan.days[0]]


def _pyvrp(one: Instance, seconds: float, seed: int) -> list[int]:
    import pyvrp

    size = len(one.scores)
    scale = max(1, round(one.limit / 10 / statistics.mean(one.scores)))
    clients = [pyvrp.Client(place, prize=one.scores[place] * scale, required=False) for place in range(1, size)]
    spots = [pyvrp.Location(0, 0) for _ in range(size)]
    van = pyvrp.VehicleType(1, max_distance=one.limit)
    given = pyvrp.ProblemData(spots, clients, [pyvrp.Depot(0)], [van], [one.lengths], [one.lengths])
    until = time.process_time() + seconds
    found = pyvrp.solve(given, lambda _: time.process_time() >= until, seed=seed, collect_stats=False).best
    if not found.is_feasible():
        return []
    return [visit.idx + 1 for route in found.routes() for visit in route if visit.is_client()]
