"""Demand over any number of days: what is expected, and what it stays below with a chosen probability."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smidgen.plans.stock.backtests import backtests
from smidgen.plans.stock.cleaning import CleanSales
from smidgen.plans.stock.models import Backtest, is_intermittent, spreads
from smidgen.plans.stock.sales import SalesHistory

_DRAWS, _DRAWN_WEEKS, _LATE_WEEKS = 2_000, 26, 4


@dataclass(frozen=True)
class Demand:
    """The demand of one item from the day after the history.

    Attributes:
        first: its first day.
        expected: (d + 1,) pieces expected in the first 0, 1, … d days.
        enough: (d + 1,) pieces that suffice for them with the chosen probability; never falls.
        method: what forecasts, in words.
        origins: earlier dates at which it was tried.
    """

    first: datetime.date
    expected: NDArray[np.float64]
    enough: NDArray[np.float64]
    method: str
    origins: int

    @property
    def a_day(self) -> float:
        """Pieces a day over the coming four weeks, or what is forecast of them."""
        days = min(28, len(self.expected) - 1)
        return float(self.expected[days]) / days


def forecast_demands(items: Sequence[tuple[CleanSales, int]], history: SalesHistory, level: float) -> list[Demand]:
    """The demand of items, each for 1 to so many days.

    The pieces that suffice are the forecast plus a quantile of the errors of such sums at earlier dates (see `models.spreads`; items that
    sell now and then are compared with their like). Of an item too new for that, sums of drawn days. Raises MissingExtra without
    statsforecast.
    """
    longest = max(days for _, days in items)
    periods = math.ceil(longest / history.length)
    made = backtests([clean.usual for clean, _ in items], periods, history.days)
    rare = [is_intermittent(clean.usual) for clean, _ in items]
    above: dict[int, NDArray[np.float64] | None] = {}
    for kind in (True, False):
        places = [place for place, own in enumerate(rare) if own is kind]
        above |= dict(zip(places, spreads([made[place].errors.cumsum(axis=1) for place in places], level), strict=True))
    return [
        _item_demand(clean, one, history, days, level, above[place])
        for place, ((clean, days), one) in enumerate(zip(items, made, strict=True))
    ]


def _item_demand(
    clean: CleanSales, made: Backtest, history: SalesHistory, days: int, level: float, spread: NDArray[np.float64] | None
) -> Demand:
    total = np.concatenate([[0.0], made.mean.cumsum()])
    periods = len(made.mean)
    above = _drawn_sums(clean.usual, periods, history.days, level) - total[1:] if spread is None else made.scale * spread
    enough = np.maximum.accumulate(np.concatenate([[0.0], np.maximum(total[1:], total[1:] + above)]))
    first = history.last + datetime.timedelta(days=1)
    if history.days > 1:
        total, enough = _spread_over_days(total, enough, days, history.length)
    return Demand(first, total[: days + 1], enough[: days + 1], made.method, len(made.errors))


def _drawn_sums(usual: NDArray[np.float64], periods: int, days: int, level: float) -> NDArray[np.float64]:
    """A quantile of sums of periods drawn from the latest half year (Willemain, Smart and Schwarz 2004)."""
    pool = usual[-(_DRAWN_WEEKS * 7 // days) :]
    late = pool[-(_LATE_WEEKS * 7 // days) :].mean() / max(1e-9, pool.mean())
    pool = pool * max(1.0, late)  # what sells more and more will go on as it sells now, at least
    drawn = np.random.default_rng(0).choice(pool, size=(_DRAWS, periods)).cumsum(axis=1)
    quantile: NDArray[np.float64] = np.quantile(drawn, level, axis=0)
    return quantile


def _spread_over_days(
    total: NDArray[np.float64], enough: NDArray[np.float64], days: int, length: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums by day from sums by period: expected pieces grow evenly, the safety stock with the square root of time."""
    at = np.arange(days + 1)
    ends = length * np.arange(len(total))
    expected = np.interp(at, ends, total)
    spread = np.interp(at, ends, (enough - total) ** 2) ** 0.5
    return expected, np.maximum.accumulate(expected + spread)


def promoted(demand: Demand, spans: Sequence[tuple[datetime.date, datetime.date, float]]) -> Demand:
    """The demand with planned promotions: first day, last day, and how many times as much sells then."""
    times = np.ones(len(demand.expected) - 1)
    for first, last, uplift in spans:
        start, end = (first - demand.first).days, (last - demand.first).days + 1
        times[max(0, start) : max(0, end)] *= uplift
    daily, safe = np.diff(demand.expected), np.diff(demand.enough)
    expected, enough = np.concatenate([[0.0], (daily * times).cumsum()]), np.concatenate([[0.0], (safe * times).cumsum()])
    return Demand(demand.first, expected, enough, demand.method, demand.origins)


def without(demand: Demand, last: datetime.date) -> Demand:
    """The demand of an item that is sold until a day, and not after it."""
    days = max(0, min(len(demand.expected) - 1, (last - demand.first).days + 1))
    stop = np.minimum(np.arange(len(demand.expected)), days)
    return Demand(demand.first, demand.expected[stop], demand.enough[stop], demand.method, demand.origins)


def beginning(demand: Demand, day: datetime.date) -> Demand:
    """The demand from a later day on. What was sold before it is not known; its scatter counts as of those days alone."""
    skipped = (day - demand.first).days
    if skipped <= 0:
        return demand
    expected = demand.expected[skipped:] - demand.expected[skipped]
    spread = (demand.enough - demand.expected)[skipped:]
    enough = np.concatenate([[0.0], np.maximum.accumulate(expected[1:] + spread[1:])])
    return Demand(day, expected, enough, demand.method, demand.origins)
