"""The search keeps every limit, and finds the best plan where all plans can be tried."""

from __future__ import annotations

import itertools
import random

import numpy as np

from smidgen.plans.trips.search import Chosen, DayFrame, Options, Orienteering, chosen


def drawn(seed: int, places: int = 12) -> Orienteering:
    """A problem with windows, prices, kinds, one-way times and one or two days."""
    rng = random.Random(seed)
    points = [(rng.random() * 60, rng.random() * 60) for _ in range(places)]
    travel = np.array([[round(abs(a[0] - b[0]) + abs(a[1] - b[1])) for b in points] for a in points], dtype=np.int64)
    if seed % 2:
        travel = travel + np.array([[rng.randrange(5) if a != b else 0 for b in range(places)] for a in range(places)])
    rows = []
    for place in range(1, places):
        for day in range(1 + seed % 2):
            opens = rng.choice((0, 0, 40, 90))
            rows.append(
                (
                    place,
                    day,
                    opens,
                    opens + rng.choice((20, 60, 400)),
                    rng.choice((0, 10, 30)),
                    rng.randint(1, 9),
                    rng.randrange(6),
                    rng.choice((-1, -1, 0)),
                )
            )
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    place, day, opens, latest, lasts, prize, price, kind = columns
    options = Options(place, day, opens, latest, lasts, prize.astype(float), price.astype(float), kind)
    return Orienteering(
        travel, options, tuple(DayFrame(0, 0, 0, 200) for _ in range(1 + seed % 2)), 12.0 if seed % 3 == 0 else float("inf")
    )


def prize_of(problem: Orienteering, days: tuple[tuple[int, ...], ...]) -> float | None:
    """The prize of a plan, driven step by step; None if it breaks a limit."""
    options, seen = problem.options, []
    for number, (frame, visits) in enumerate(zip(problem.days, days, strict=True)):
        here, time, kinds = frame.start, frame.begins, []
        for visit in visits:
            place = int(options.place[visit])
            time = max(time + int(problem.travel[here, place]), int(options.opens[visit]))
            if time > options.latest[visit] or options.day[visit] != number:
                return None
            here, time = place, time + int(options.lasts[visit])
            seen.append(place)
            kinds += [int(options.kind[visit])] if options.kind[visit] >= 0 else []
        if time + problem.travel[here, frame.end] > frame.ends or len(set(kinds)) != len(kinds):
            return None
    every = [visit for day in days for visit in day]
    if len(set(seen)) != len(seen) or options.price[every].sum() > problem.budget + 1e-6:
        return None
    return float(options.prize[every].sum())


def found(problem: Orienteering, rounds: int = 150) -> Chosen:
    return chosen(problem, 20.0, 1, rounds)


def test_every_plan_keeps_every_limit() -> None:
    worths = []
    for seed in range(14):
        problem = drawn(seed)
        plan = found(problem, 60)
        worths.append(prize_of(problem, plan.days))
        assert worths[-1] == plan.prize
    assert len(worths) == 14 and min(worth or 0 for worth in worths) > 0


def test_the_best_plan_is_found_where_all_can_be_tried() -> None:
    tried = 0
    for seed in range(0, 12, 2):
        problem = drawn(seed, 7)
        size = len(problem.options.place)
        best = max(
            worth
            for length in range(size + 1)
            for order in itertools.permutations(range(size), length)
            if (worth := prize_of(problem, (order,))) is not None
        )
        assert found(problem).prize == best
        tried += 1
    assert tried == 6


def test_a_limit_of_length_alone_is_searched_the_quick_way() -> None:
    rng = np.random.default_rng(3)
    points = rng.random((40, 2)) * 100
    travel = np.rint(np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))).astype(np.int64)
    place, none = np.arange(1, 40), np.zeros(39, dtype=np.int64)
    options = Options(place, none, none, none + 250, none, rng.integers(1, 9, 39).astype(float), none.astype(float), none - 1)
    problem = Orienteering(travel, options, (DayFrame(0, 0, 0, 250),))
    plan = found(problem)
    assert prize_of(problem, plan.days) == plan.prize
    assert plan.prize > found(problem, 0).prize


def test_nothing_fits() -> None:
    problem = drawn(2)
    shut = Orienteering(problem.travel, problem.options, (DayFrame(0, 0, 0, 0),))
    assert found(shut, 5).days == ((),)
