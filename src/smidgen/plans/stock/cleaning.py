"""Usual sales: promotions and single large days are lowered to it, gaps and stock-outs are filled with it. Remarks list each change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smidgen.plans.stock.columns import shown_day, shown_names, shown_number
from smidgen.plans.stock.sales import MONTH, WEEK, ItemSales, SalesHistory

MIN_SPAN = 8
"""Minimum number of weeks for a forecast, or of months where sales are by month."""
MIN_SALES = 3
"""Minimum number of periods with sales for a forecast."""
_AROUND_DAYS = 28
"""Days before and after that show what is usual."""
_MAX_STOCKOUT_DAYS = 42
"""A longer time without sales is the end of a season, not a stock-out."""
_UNLIKELY = 1e-6
_LARGE_PER_YEAR = 2
"""Large values that come more often in a year are how the item sells."""
_MIN_PROMOTED = 3
"""Periods with a promotion from which on their uplift is an item's own."""


@dataclass(frozen=True)
class CleanSales:
    """Usual sales of an item.

    Attributes:
        sales: as read.
        usual: (n,) pieces of each period without gaps, promotions and single large days.
        changed: (n,) whether a value is another than was read.
        uplift: how many times as much sells in a promotion; None if too few were seen.
        remarks: what was changed.
        refused: why the item is not forecast; empty if it is.
    """

    sales: ItemSales
    usual: NDArray[np.float64]
    changed: NDArray[np.bool_]
    uplift: float | None = None
    remarks: tuple[str, ...] = ()
    refused: str = ""


def clean_sales(sales: ItemSales, history: SalesHistory, sold_out: bool = False) -> CleanSales:
    """The usual sales of an item. `sold_out`: there is none in stock, so its last days without sales say nothing.

    An item with less than eight weeks, or with less than three periods with sales, is refused: nothing is guessed.
    """
    values, remarks = sales.sold.copy(), []
    span = len(values) if history.days == MONTH else len(values) * history.days / 7
    sold = int(np.count_nonzero(np.nan_to_num(values)))
    if span < MIN_SPAN or sold < MIN_SALES:
        unit = "months" if history.days == MONTH else "weeks"
        periods = history.periods_text(len(values))
        why = f"{periods} of sales, {sold} of them with a sale: at least {MIN_SPAN} {unit} and {MIN_SALES} sales are needed"
        return CleanSales(sales, np.nan_to_num(values), np.isnan(values), refused=why)
    values[sales.promoted] = np.nan
    around = max(1, _AROUND_DAYS // history.days)
    out, ended = _stockouts(values, history.days)
    for start, end in out:
        values[start:end] = np.nan
        usual_rate = f"{shown_number(_mean_before(values, start, around), 1)} {_per_period(history.days)}"
        remarks.append(
            f"{sales.name}: nothing sold from {shown_day(history.day(sales, start))} to {shown_day(history.day(sales, end - 1))}, where "
            f"{usual_rate} were usual: taken as out of stock, not as no demand."
        )
    refused = ""
    if ended is not None and sold_out:
        values[ended:] = np.nan
        remarks.append(f"{sales.name}: nothing sold since {shown_day(history.day(sales, ended))}, and none is in stock: not as no demand.")
    elif ended is not None:
        refused = (
            f"nothing sold since {shown_day(history.day(sales, ended))}, where {shown_number(_mean_before(values, ended, around), 1)} "
            f"{_per_period(history.days)} were usual, and it is not known to be out of stock: say whether it is discontinued"
        )
    large = _outliers(values, history.days, around)
    if large:
        shown = [f"{shown_number(sales.sold[place], 1)} on {shown_day(history.day(sales, place))}" for place in large]
        values[large] = np.nan
        remarks.append(
            f"{sales.name}: {shown_names(shown, 3)}: far more than usual, taken down to it. If it comes again, plan a promotion."
        )
    usual = _fill_gaps(values, history.days, around)
    uplift = _uplift(sales, usual)
    if sales.promoted.any():
        times = f"; {uplift:.1f} times as much was sold then" if uplift is not None else ""
        remarks.append(
            f"{sales.name}: {int(sales.promoted.sum())} {history.periods_text()} of promotions taken down to what is usual{times}."
        )
    changed = np.isnan(values)
    return CleanSales(sales, usual, changed, uplift, tuple(remarks), refused)


def _per_period(days: int) -> str:
    return {1: "a day", WEEK: "a week", MONTH: "a month"}[days]


def _mean_before(values: NDArray[np.float64], place: int, around: int) -> float:
    before = values[max(0, place - around) : place]
    return float(np.nanmean(before)) if np.isfinite(before).any() else 0.0


def _stockouts(values: NDArray[np.float64], days: int) -> tuple[list[tuple[int, int]], int | None]:
    """Runs without sales that are not due to chance, as start and end; and the start of such a run at the end, or None.

    Its probability, by the share of periods without sales around it, must be below one in a million.
    """
    runs, ended, place, n = [], None, 0, len(values)
    reach, longest = max(8, 56 // days), _MAX_STOCKOUT_DAYS // days
    while place < n:
        if values[place] != 0:
            place += 1
            continue
        end = place
        while end < n and values[end] == 0:
            end += 1
        near = np.concatenate([values[max(0, place - reach) : place], values[end : end + reach]])
        near = near[np.isfinite(near)]
        if len(near) >= 4:
            share = (np.count_nonzero(near == 0) + 0.5) / (len(near) + 1)
            if share ** (end - place) < _UNLIKELY:
                if end == n:
                    ended = place
                elif end - place <= longest and place > 0:
                    runs.append((place, end))
        place = end
    return runs, ended


def _outliers(values: NDArray[np.float64], days: int, around: int) -> list[int]:
    """Places of values far above what is usual around them, for a week at most.

    What comes at the same time of another year stays, and so do large values that come more than twice a year: that is how the item sells.
    """
    far = [int(place) for place in np.flatnonzero(np.isfinite(values)) if _is_outlier(values, int(place), around)]
    year, reach = 364 // days, 10 // days
    yearly = {place for place in far if any(abs(abs(place - other) - year) <= reach for other in far)}
    runs: list[list[int]] = []
    for place in far:
        if runs and place - runs[-1][-1] <= max(1, 2 // days):
            runs[-1].append(place)
        else:
            runs.append([place])
    single = [run for run in runs if (run[-1] - run[0] + 1) * days <= WEEK and not yearly.issuperset(run)]
    if len(single) > max(1, _LARGE_PER_YEAR * len(values) * days // 364):
        return []
    return [place for run in single for place in run if place not in yearly]


def _is_outlier(values: NDArray[np.float64], place: int, around: int) -> bool:
    near = np.concatenate([values[max(0, place - around) : place], values[place + 1 : place + 1 + around]])
    near = near[np.isfinite(near)]
    if len(near) < 8:
        return False
    if np.median(near) == 0:  # sells now and then: against the usual size of a sale
        near = near[near > 0] if np.any(near > 0) else near
    typical = float(np.median(near))
    spread = 1.4826 * float(np.median(np.abs(near - typical)))
    return bool(float(values[place]) - typical > max(8 * spread, 2 * typical + 4 * typical**0.5 + 4))


def _fill_gaps(values: NDArray[np.float64], days: int, around: int) -> NDArray[np.float64]:
    """Fill gaps with the mean of the nearest same weekdays, else of the values around, else of all."""
    filled, step = values.copy(), WEEK if days == 1 else 1
    whole = float(np.nanmean(values)) if np.isfinite(values).any() else 0.0
    for place in np.flatnonzero(np.isnan(values)):
        reach = range(place % step, len(values), step)
        near = sorted((spot for spot in reach if np.isfinite(values[spot])), key=lambda spot: abs(spot - place))[:4]
        wide = values[max(0, place - around) : place + around + 1]
        if len(near) >= 2 and abs(near[1] - place) <= 2 * around:
            filled[place] = float(np.mean(values[near]))
        else:
            filled[place] = float(np.nanmean(wide)) if np.isfinite(wide).any() else whole
    return filled


def _uplift(sales: ItemSales, usual: NDArray[np.float64]) -> float | None:
    places = np.flatnonzero(sales.promoted & np.isfinite(sales.sold))
    before = float(usual[places].sum())
    return float(sales.sold[places].sum()) / before if len(places) >= _MIN_PROMOTED and before > 0 else None


def shop_uplift(items: Sequence[CleanSales]) -> float | None:
    """How many times as much sells in a promotion over the items that had one: the median; None without any."""
    known = [item.uplift for item in items if item.uplift is not None]
    return float(np.median(known)) if known else None
