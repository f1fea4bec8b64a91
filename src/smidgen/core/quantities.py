"""A measured number with its interval, and numbers in words: shares, times, sizes and money as pages and terminals show them."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric on `n` rows with its 95 % interval, all in the metric's own unit (a share is in 0..1)."""

    value: float
    low: float
    high: float
    n: int

    def json(self) -> dict[str, float | int]:
        """The entry in reports and in `eval --json`."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}


NOT_MEASURED = "not measured"
NBSP = "\N{NO-BREAK SPACE}"
"""The space between a number and its unit, so that no line breaks there."""


def percent(share: float | None, digits: int = 1) -> str:
    """Format 0.9412 as "94.1 %". A share other than 0 or 1 is never rounded to 0 or 100."""
    if share is None or not math.isfinite(share):
        return NOT_MEASURED
    least = 10.0**-digits
    value = 100 * share
    if 0 < value < least / 2:
        return f"under {least:g}{NBSP}%"
    if 100 - least / 2 < value < 100:
        return f"over {100 - least:g}{NBSP}%"
    return f"{value:.{digits}f}{NBSP}%"


def in_unit(value: float, unit: str = "", digits: int = 1) -> str:
    """Format a metric in this unit, "0.19 stars"; without a unit it is a share, "94.1%"."""
    return f"{value:.3g} {unit}" if unit else f"{value:.{digits}%}"


def points(change: float, digits: int = 1) -> str:
    """Format the change of a share, in points with its sign: "+2.4", "−0.3", "0.0"."""
    text = f"{abs(100 * change):.{digits}f}"
    if float(text) == 0:
        return text
    return ("+" if change > 0 else "−") + text


def of_hundred(share: float) -> str:
    """Format a share for reading aloud: "94 of 100", "more than 99 of 100"."""
    whole = round(100 * share)
    if whole == 100 and share < 1:
        return "more than 99 of 100"
    if whole == 0 and share > 0:
        return "fewer than 1 of 100"
    return f"{whole} of 100"


def count(number: float | None) -> str:
    """Format 12345 as "12,345"."""
    return NOT_MEASURED if number is None else f"{number:,.0f}"


def rate(number: float | None) -> str:
    """Format a number per second: "1,330", "4.2"."""
    return NOT_MEASURED if number is None else f"{number:,.0f}" if number >= 20 else f"{number:.1f}"


def milliseconds(value: float | None) -> str:
    """Format a latency with two significant digits: "0.08 ms", "1.3 ms", "120 ms"."""
    if value is None:
        return NOT_MEASURED
    return f"{value:.2f}{NBSP}ms" if value < 1 else f"{value:.1f}{NBSP}ms" if value < 10 else f"{value:,.0f}{NBSP}ms"


def large(number: float | None) -> str:
    """Format a large number with two significant digits: "587,000", "5.9 million", "2.4 billion"."""
    if number is None:
        return NOT_MEASURED
    for size, name in ((1e9, "billion"), (1e6, "million")):
        if number >= 0.9995 * size:
            parts = number / size
            return f"{parts:,.0f}{NBSP}{name}" if parts >= 9.95 else f"{parts:.1f}{NBSP}{name}"
    return f"{number:,.0f}" if number < 1000 else f"{round(number, -3):,.0f}"


def megabytes(value: float | None) -> str:
    """Format a size: "0.4 MB", "23 MB", "1.2 GB"."""
    if value is None:
        return NOT_MEASURED
    return f"{value:.1f}{NBSP}MB" if value < 10 else f"{value:,.0f}{NBSP}MB" if value < 1000 else f"{value / 1000:.1f}{NBSP}GB"


def duration(seconds: float | None) -> str:
    """Format a time: "0.8 s", "43 s", "4 min 24 s", "2 h 5 min"."""
    if seconds is None:
        return NOT_MEASURED
    if seconds < 10:
        return f"{seconds:.1f}{NBSP}s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole}{NBSP}s"
    if whole < 7200:
        return f"{whole // 60}{NBSP}min {whole % 60}{NBSP}s" if whole % 60 else f"{whole // 60}{NBSP}min"
    return f"{whole // 3600}{NBSP}h {whole % 3600 // 60}{NBSP}min"


def dollars(value: float | None) -> str:
    """Format an amount of money: "under $0.01", "$0.07", "$12.40", "$1,240"."""
    if value is None:
        return NOT_MEASURED
    if 0 < value < 0.01:
        return "under $0.01"
    return f"${value:,.2f}" if value < 100 else f"${value:,.0f}"


def watt_hours(value: float | None) -> str:
    """Format an amount of energy: "0.8 Wh", "1.2 kWh"."""
    if value is None:
        return NOT_MEASURED
    return f"{value / 1000:.1f}{NBSP}kWh" if value >= 1000 else f"{value:.0f}{NBSP}Wh" if value >= 10 else f"{value:.1f}{NBSP}Wh"
