"""A drawing of an item's sales and its forecast: SVG without scripts, readable on light and dark pages."""

from __future__ import annotations

import datetime
import math
from html import escape

import numpy as np
from numpy.typing import NDArray

from smidgen.plans.stock.cleaning import CleanSales
from smidgen.plans.stock.columns import shown_day
from smidgen.plans.stock.demand import Demand
from smidgen.plans.stock.sales import SalesHistory

_WIDTH, _HEIGHT = 560, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 24, 66, 40
_WEEKS_SHOWN = 53
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1d2024}.soft{fill:#565d68}.grid{stroke:#d8d5cd}.past{stroke:#17656b}.next{stroke:#b2452a}"
    ".band{fill:#b2452a;fill-opacity:.18}.mark{fill:#fcfbf8;stroke:#17656b}.paper{fill:#fcfbf8}path,line{fill:none;stroke-width:1.6}"
    "@media(prefers-color-scheme:dark){text{fill:#e9e6df}.soft{fill:#a3aab4}.grid{stroke:#2f353b}.past{stroke:#6dc3c4}.next{stroke:#ef8f70}"
    ".band{fill:#ef8f70}.mark{fill:#14171a;stroke:#6dc3c4}.paper{fill:#14171a}}"
)


def sales_chart(name: str, clean: CleanSales, history: SalesHistory, demand: Demand, service: float) -> str:
    """The sales of each week of the last year, and the four weeks or more that are forecast. Circles mark weeks with values that were taken
    down or filled."""
    past, marked, first = _weekly_sales(clean, history)
    expected = _weekly_sums(demand.expected)
    high = _upper_bounds(demand)
    top = _axis_top(max(1.0, *past, *high))
    total = len(past) + len(expected)
    step = (_WIDTH - _LEFT - _RIGHT) / max(1, total - 1)

    def x(place: int) -> float:
        return _LEFT + step * place

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * value / top

    parts = [
        f'<rect class="paper" width="{_WIDTH}" height="{_HEIGHT}"/>',
        f'<text x="12" y="20" font-weight="600" translate="no">{escape(name)}</text>',
    ]
    legend = f"pieces a week; forecast from {shown_day(demand.first)}, shaded up to what suffices with {service:.0%} certainty"
    parts += [f'<text class="soft" x="12" y="{37 + 16 * place}">{escape(line)}</text>' for place, line in enumerate(legend.split("; "))]
    for value in np.linspace(0, top, 5):
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text class="soft" x="{_LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{value:,.10g}</text>')
    for place in range(0, total, max(1, math.ceil(total / 6))):
        day = first + datetime.timedelta(days=7 * place)
        parts.append(f'<text class="soft" x="{x(place):.1f}" y="{_HEIGHT - 14}" text-anchor="middle">{day:%b} {day.year}</text>')
    ahead = range(len(past), total)
    if past:
        edge = [f"{x(len(past) - 1):.1f},{y(past[-1]):.1f}"]
        upper = [f"{x(place):.1f},{y(value):.1f}" for place, value in zip(ahead, high, strict=True)]
        lower = [f"{x(place):.1f},{y(value):.1f}" for place, value in zip(ahead, expected, strict=True)]
        parts.append(f'<path class="band" stroke="none" d="M{" L".join([*edge, *upper, *lower[::-1]])} Z"/>')
        parts.append(f'<path class="past" d="M{" L".join(f"{x(place):.1f},{y(value):.1f}" for place, value in enumerate(past))}"/>')
        parts.append(f'<path class="next" stroke-dasharray="5 4" d="M{" L".join([*edge, *lower])}"/>')
    parts += [f'<circle class="mark" cx="{x(place):.1f}" cy="{y(past[place]):.1f}" r="3.5"/>' for place in marked]
    label = escape(f"{name}: {legend}", quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img" '
        f'aria-label="{label}"><style>{_STYLE}</style>{"".join(parts)}</svg>'
    )


def _weekly_sales(clean: CleanSales, history: SalesHistory) -> tuple[list[float], list[int], datetime.date]:
    if history.days > 7:  # a month is even in itself
        ends = history.length * np.arange(len(clean.usual) + 1)
        weeks = min(_WEEKS_SHOWN, int(ends[-1]) // 7)
        at = ends[-1] - 7.0 * np.arange(weeks, -1, -1)
        places = np.clip((at[1:] / history.length).astype(int), 0, len(clean.usual) - 1)
        sums = np.diff(np.interp(at, ends, np.concatenate([[0.0], clean.usual.cumsum()]))).tolist()
        return sums, np.flatnonzero(clean.changed[places]).tolist(), history.last - datetime.timedelta(days=7 * weeks - 1)
    size = 7 // history.days
    weeks = min(_WEEKS_SHOWN, len(clean.usual) // size)
    kept = weeks * size
    usual, changed = clean.usual[-kept:], clean.changed[-kept:]
    first = history.last - datetime.timedelta(days=7 * weeks - 1)
    sums = usual.reshape(weeks, size).sum(axis=1).tolist()
    return sums, np.flatnonzero(changed.reshape(weeks, size).any(axis=1)).tolist(), first


def _weekly_sums(cumulated: NDArray[np.float64]) -> list[float]:
    at = np.arange(0, len(cumulated), 7)
    return [float(value) for value in np.diff(cumulated[at])]


def _upper_bounds(demand: Demand) -> list[float]:
    """Pieces that suffice for each week by itself: as far above the expected ones as in the first week."""
    expected = _weekly_sums(demand.expected)
    if len(demand.enough) < 8:
        return expected
    above = float(demand.enough[7] - demand.expected[7])
    first = max(expected[0], 1e-9)
    return [value + above * max(0.5, (value / first) ** 0.5) for value in expected]


def _axis_top(value: float) -> float:
    size = 10 ** math.floor(math.log10(value))
    return next(float(size * factor) for factor in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if size * factor >= value)
