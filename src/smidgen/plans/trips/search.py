"""Choose and order visits under limits of time: the team orienteering problem with time windows.

A search by ruin and recreate with a cooling threshold (Schrimpf, Schneider, Stamm-Wilbrandt and Dueck 2000; strings as in Christiaens and
Vanden Berghe 2020). Whether a visit fits is known in constant time by the longest shift that each later one allows (Vansteenwegen,
Souffriau, Vanden Berghe and Van Oudheusden 2009). Between, 2-opt shortens the days.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Whole: TypeAlias = npt.NDArray[np.int64]
Real: TypeAlias = npt.NDArray[np.float64]
_EPSILON = 1e-9
# Chosen on random problems of our own with 100 to 200 places.
_HEAT = 0.006
"""Share of the prizes by which a worse plan is taken at first."""
_NOISE = 0.15
"""Most by which a visit's worth is blurred while a plan is filled."""
_STRING_LENGTH = 12
"""Most visits of a string that is removed."""
_SHORTER = 0.25
"""What a way of no length would be worth, as a share of the prizes."""
_BOOST = 8.0
"""How much more worth the place is around which a plan is torn up: it gets its chance."""
_THIN = 0.3
"""Share of rounds that take out visits of little worth anywhere, instead of strings."""


@dataclass(frozen=True, slots=True)
class Options:
    """Every way to visit a place: n options, of which at most one of each place is used.

    Attributes:
        place: (n,) number of the place.
        day: (n,) day.
        opens: (n,) earliest begin, in the unit of the travel times.
        latest: (n,) latest begin.
        lasts: (n,) how long the visit lasts.
        prize: (n,) what it is worth; above 0.
        price: (n,) what it costs.
        kind: (n,) number of a kind of which each day takes at most one; -1 for no such kind.
    """

    place: Whole
    day: Whole
    opens: Whole
    latest: Whole
    lasts: Whole
    prize: Real
    price: Real
    kind: Whole


@dataclass(frozen=True, slots=True)
class DayFrame:
    """A day: where and when it begins and ends."""

    start: int
    end: int
    begins: int
    ends: int


@dataclass(frozen=True, slots=True)
class Orienteering:
    """The problem.

    Attributes:
        travel: (places, places) travel times; whole numbers.
        options: the visits to choose from.
        days: the days.
        budget: most that all visits may cost together.
    """

    travel: Whole
    options: Options
    days: tuple[DayFrame, ...]
    budget: float = math.inf


@dataclass(slots=True)
class _Day:
    """A day's visits as options, in their order, with times; index 0 is the start, the last is the end. `detour` and `where`: for each of
    the day's options the least detour to it and the number of visits before it, where times play no part."""

    frame: DayFrame
    visits: list[int]
    nodes: Whole = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    begins: Whole = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    leaves: Whole = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    shift: Whole = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    detour: Whole | None = None
    where: Whole | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """A plan: for each day its options in their order, and when each begins."""

    days: tuple[tuple[int, ...], ...]
    begins: tuple[tuple[int, ...], ...]
    prize: float
    rounds: int


def chosen(
    problem: Orienteering,
    seconds: float,
    seed: int = 0,
    most_rounds: int | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Chosen:
    """The best plan found.

    Args:
        problem: what to choose from.
        seconds: the longest time to search.
        seed: of the search.
        most_rounds: rounds after which it stops, for a result that does not depend on the machine's speed.
        clock: what counts the seconds; `time.process_time` where other work shares the machine.
    """
    return _Search(problem, seed).run(seconds, most_rounds, clock)


def _index(visits: Sequence[int]) -> Whole:
    return np.array(visits, dtype=np.int64)


class _Search:
    def __init__(self, problem: Orienteering, seed: int) -> None:
        self.problem, self.rng = problem, random.Random(seed)
        self.noise = np.random.default_rng(seed)
        options = problem.options
        self.of_day = [np.flatnonzero(options.day == day) for day in range(len(problem.days))]
        self.into = [np.ascontiguousarray(problem.travel[:, options.place[own]]) for own in self.of_day]
        self.out = [np.ascontiguousarray(problem.travel[options.place[own]].T) for own in self.of_day]
        self.opens, self.latest, self.lasts = options.opens.tolist(), options.latest.tolist(), options.lasts.tolist()
        first, last = min(frame.begins for frame in problem.days), max(frame.ends for frame in problem.days)
        self.timeless = not options.lasts.any() and bool((options.opens <= first).all() and (options.latest >= last).all())
        self.capped = np.minimum(options.prize, 10 * float(np.median(options.prize)) if len(options.prize) else 0.0)
        self.time_of_all = sum(frame.ends - frame.begins for frame in problem.days)
        self.symmetric = bool((problem.travel == problem.travel.T).all())
        self.upper = np.triu(np.ones((len(options.place) + 2,) * 2, dtype=np.int64), 2)
        self.near = np.argsort(problem.travel, axis=1, kind="stable")

    def run(self, seconds: float, most_rounds: int | None, clock: Callable[[], float]) -> Chosen:
        begun = clock()
        days = [self._timed(frame, []) for frame in self.problem.days]
        self._insert_visits(days, 1.0, 0.0)
        now, value = days, self._search_value(days)
        best, best_value, heat = days, self._rank(days), _HEAT * self._ordinary_prize(days)
        rounds = 0
        while most_rounds is None or rounds < most_rounds:
            done = (clock() - begun) / seconds
            if done >= 1:
                break
            rounds += 1
            centre = int(self.problem.options.place[self.rng.randrange(len(self.problem.options.place))])
            tried = self._without_poor_visits(now) if self.rng.random() < _THIN else self._without_strings(now, centre)
            self._insert_visits(tried, self.rng.choice((0.7, 1.0, 1.0, 1.5, 2.0)), _NOISE * self.rng.random(), centre)
            worth = self._search_value(tried)
            left = 1 - (done if most_rounds is None else rounds / most_rounds)
            if worth >= value + heat * left**2 * math.log(max(self.rng.random(), 1e-12)):
                now, value = tried, worth
                if (rank := self._rank(tried)) > best_value:
                    best, best_value = tried, rank
            elif self.rng.random() < 0.001:
                now, value = best, self._search_value(best)
        prize = self._rank(best)[0]
        return Chosen(tuple(tuple(day.visits) for day in best), tuple(tuple(map(int, day.begins[1:-1])) for day in best), prize, rounds)

    def _rank(self, days: Sequence[_Day]) -> tuple[float, int]:
        return round(sum(float(self.problem.options.prize[_index(day.visits)].sum()) for day in days), 6), -self._length(days)

    def _length(self, days: Sequence[_Day]) -> int:
        return sum(int(self.problem.travel[day.nodes[:-1], day.nodes[1:]].sum()) for day in days)

    def _ordinary_prize(self, days: Sequence[_Day]) -> float:
        """Prizes with those of compulsory visits capped, so that they do not dominate the scale."""
        return sum(float(self.capped[_index(day.visits)].sum()) for day in days)

    def _search_value(self, days: Sequence[_Day]) -> float:
        """The value that the search maximises: prizes, and a bonus for a shorter way, which leaves room for more visits."""
        return self._rank(days)[0] - _SHORTER * self._ordinary_prize(days) * self._length(days) / max(1, self.time_of_all)

    def _timed(self, frame: DayFrame, visits: list[int]) -> _Day:
        travel = self.problem.travel
        nodes = np.array([frame.start, *self.problem.options.place[visits].tolist(), frame.end], dtype=np.int64)
        size = len(nodes)
        if self.timeless:
            begins_at = frame.begins + np.concatenate(([0], travel[nodes[:-1], nodes[1:]].cumsum()))
            return _Day(frame, visits, nodes, begins_at, begins_at, np.full(size, frame.ends - begins_at[-1]))
        legs = travel[nodes[:-1], nodes[1:]].tolist()
        here = frame.begins
        begins, leaves, waits, shift = [here] * size, [here] * size, [0] * size, [0] * size
        for number, visit in enumerate(visits, start=1):
            arrives = here + legs[number - 1]
            begin = max(arrives, self.opens[visit])
            waits[number] = begin - arrives
            begins[number] = begin
            leaves[number] = here = begin + self.lasts[visit]
        begins[-1] = leaves[-1] = here + legs[-1]
        shift[-1] = room = frame.ends - begins[-1]
        for number in range(size - 2, 0, -1):
            room = min(self.latest[visits[number - 1]] - begins[number], room + waits[number + 1])
            shift[number] = room
        return _Day(frame, visits, nodes, np.array(begins), np.array(leaves), np.array(shift))

    # Recreate.

    def _insert_visits(self, days: list[_Day], power: float, noise: float, boosted: int = -1) -> None:
        options = self.problem.options
        visits = _index([visit for day in days for visit in day.visits])
        money = self.problem.budget - float(options.price[visits].sum())
        used = np.zeros(len(self.problem.travel), dtype=bool)
        used[options.place[visits]] = True
        taken = used[options.place]
        factor = options.prize**power
        if noise:
            factor = factor * (1 + noise * self.noise.standard_normal(len(factor))).clip(0.1)
        if boosted >= 0:
            factor = np.where(options.place == boosted, factor * _BOOST, factor)
        waiting = set(range(len(days)))
        offers: dict[int, tuple[float, int, int]] = {}
        shortened: set[int] = set()
        while True:
            for number in waiting:
                offers[number] = self._best_insertion(days[number], number, taken, factor, money)
            waiting.clear()
            number = max(offers, key=lambda one: offers[one][0], default=-1)
            if number < 0 or offers[number][0] <= 0:
                # Nothing fits: a shorter order may make room, once a day after each change.
                rest = [day for day in range(len(days)) if day not in shortened and len(days[day].visits) > 1]
                for day in rest:
                    shortened.add(day)
                    shorter = self._two_opt(days[day])
                    if shorter is not None:
                        days[day] = shorter
                        waiting.add(day)
                if not waiting:
                    return
                continue
            _, option, place = offers[number]
            before = days[number].visits
            grown = self._timed(days[number].frame, [*before[:place], option, *before[place:]])
            self._update_detours(number, days[number], grown, place)
            days[number] = grown
            taken = taken | (options.place == options.place[option])
            money -= float(options.price[option])
            shortened.discard(number)
            waiting = set(range(len(days))) if math.isfinite(money) or len(days) > 1 else {number}

    def _best_insertion(self, day: _Day, number: int, taken: npt.NDArray[np.bool_], factor: Real, money: float) -> tuple[float, int, int]:
        """The best visit of a day: its worth for its time (0 if none fits), its option, and the number of visits before it."""
        options, travel = self.problem.options, self.problem.travel
        own = self.of_day[number]
        free = ~taken[own] & (options.price[own] <= money + _EPSILON)
        kinds = options.kind[_index(day.visits)]
        if (kinds >= 0).any():
            free &= (options.kind[own] < 0) | ~np.isin(options.kind[own], kinds)
        if not free.any():
            return 0.0, -1, -1
        if self.timeless:
            if day.detour is None:
                day.detour, day.where = self._detours(number, day, slice(None))
            ratio = np.where((day.detour <= day.shift[-1]) & free, factor[own] / np.maximum(day.detour, 0.5), 0.0)
            one = int(ratio.argmax())
            return float(ratio[one]), int(own[one]), int(day.where[one]) if day.where is not None else 0
        to, back = self.into[number][day.nodes[:-1]], self.out[number][day.nodes[1:]]
        arrives = day.leaves[:-1, None] + to
        begins = np.maximum(arrives, options.opens[own])
        later = begins + options.lasts[own] + back - day.begins[1:, None]
        # Who waits before its next visit anyway is not shifted by all of it.
        fits = (begins <= options.latest[own]) & (np.maximum(later, 0) <= day.shift[1:, None]) & free
        longer = to + back - travel[day.nodes[:-1], day.nodes[1:]][:, None] + options.lasts[own] + (begins - arrives)
        ratios = np.where(fits, factor[own] / np.maximum(longer, 0.5), 0.0)
        best = int(ratios.argmax())
        place, one = divmod(best, len(own))
        return float(ratios.flat[best]), int(own[one]), place

    def _detours(self, number: int, day: _Day, some: slice | Whole) -> tuple[Whole, Whole]:
        """The least detour to some of a day's options, and where."""
        nodes = day.nodes
        longer = self.into[number][nodes[:-1]][:, some] + self.out[number][nodes[1:]][:, some]
        longer -= self.problem.travel[nodes[:-1], nodes[1:]][:, None]
        where = longer.argmin(axis=0)
        return longer[where, np.arange(longer.shape[1])], where

    def _update_detours(self, number: int, day: _Day, grown: _Day, place: int) -> None:
        """Update the detours after an insertion: only those across the leg that is gone are computed again."""
        if day.detour is None or day.where is None:
            return
        detour, where = day.detour.copy(), day.where + (day.where > place)
        gone = np.flatnonzero(day.where == place)
        if len(gone):
            detour[gone], where[gone] = self._detours(number, grown, gone)
        nodes = grown.nodes
        for leg in (place, place + 1):
            other = self.into[number][nodes[leg]] + self.out[number][nodes[leg + 1]] - self.problem.travel[nodes[leg], nodes[leg + 1]]
            better = other < detour
            detour[better], where[better] = other[better], leg
        grown.detour, grown.where = detour, where

    # Shorten: 2-opt, where the travel times are the same in both directions.

    def _two_opt(self, day: _Day) -> _Day | None:
        if not self.symmetric:
            return None
        travel, found = self.problem.travel, None
        for _ in range(200):
            nodes = day.nodes
            legs = travel[nodes[:-1], nodes[1:]]
            gain = travel[nodes[:-1]][:, nodes[:-1]] + travel[nodes[1:]][:, nodes[1:]] - legs[:, None] - legs[None, :]
            gain *= self.upper[: len(legs), : len(legs)]
            best = int(gain.argmin())
            order = [best] if self.timeless or gain.flat[best] >= 0 else np.argsort(gain, axis=None)[:4].tolist()
            for flat in order:
                if gain.flat[flat] >= 0:
                    return found
                i, j = divmod(int(flat), len(legs))
                visits = [*day.visits[:i], *day.visits[i:j][::-1], *day.visits[j:]]
                tried = self._timed(day.frame, visits)
                if (tried.shift >= 0).all():
                    day = found = tried
                    break
            else:
                return found
        return found

    # Ruin.

    def _without_poor_visits(self, days: list[_Day]) -> list[_Day]:
        """Remove some visits, those with the least prize for their detour more often."""
        kept, share = list(days), 0.05 + 0.25 * self.rng.random()
        for number, day in enumerate(days):
            if not day.visits:
                continue
            travel, nodes = self.problem.travel, day.nodes
            detour = travel[nodes[:-2], nodes[1:-1]] + travel[nodes[1:-1], nodes[2:]] - travel[nodes[:-2], nodes[2:]]
            poor = (detour + self.problem.options.lasts[_index(day.visits)] + 1) / self.capped[_index(day.visits)].clip(_EPSILON)
            poor = poor * self.noise.random(len(poor)) ** 2
            gone = set(np.argsort(-poor)[: max(1, round(share * len(poor)))].tolist())
            kept[number] = self._timed(day.frame, [visit for place, visit in enumerate(day.visits) if place not in gone])
        return kept

    def _without_strings(self, days: list[_Day], centre: int) -> list[_Day]:
        options = self.problem.options
        kept = list(days)
        total = sum(len(day.visits) for day in days)
        if not total:
            return kept
        most = max(1, min(_STRING_LENGTH, total // 3))
        where = {int(options.place[visit]): (number, place) for number, day in enumerate(days) for place, visit in enumerate(day.visits)}
        strings = self.rng.choice((1, 1, 2, 3))
        touched: set[int] = set()
        for near in self.near[centre]:
            if strings == 0:
                break
            if int(near) not in where:
                continue
            number, place = where[int(near)]
            if number in touched and len(days) > 1:
                continue
            if self.rng.random() < 0.25:
                continue
            visits = kept[number].visits
            place = min(place, len(visits) - 1)
            length = min(len(visits), self.rng.randint(1, most))
            if length == 0:
                continue
            first = max(0, min(place - self.rng.randrange(length), len(visits) - length))
            kept[number] = self._timed(days[number].frame, [*visits[:first], *visits[first + length :]])
            touched.add(number)
            strings -= 1
        return kept
