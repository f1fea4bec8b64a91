"""Numbers and tables in Markdown. A missing value reads "not measured"."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

NOT_MEASURED = "not measured"


def cell(value: object) -> str:
    """An outside value (a label, a file's name) as the text of a table's cell or a line, with all markup escaped."""
    text = html.escape(" ".join(str(value).split()), quote=False)
    for sign in "\\`*_[]|#~":
        text = text.replace(sign, "\\" + sign)
    return text


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the first column aligned left, the rest right. Cells are Markdown already."""
    lines = [f"| {' | '.join(head)} |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def share(found: Mapping[str, Any] | None) -> str:
    """A measured share with its 95 % interval: `94.1 % (93.2–94.9)`."""
    return _interval(found, 100, 1, " %")


def grade(found: Mapping[str, Any] | None) -> str:
    """A measured grade in 0..1 with its 95 % interval: `0.683 (0.671–0.694)`."""
    return _interval(found, 1, 3, "")


def in_unit(found: Mapping[str, Any] | None, unit: str) -> str:
    """A measured number of this unit with its 95 % interval, `0.190 stars (0.095–0.286)`; without a unit it is a share."""
    return _interval(found, 1, 3, f" {cell(unit)}") if unit else share(found)


def _interval(found: Mapping[str, Any] | None, scale: float, digits: int, unit: str) -> str:
    if not found or found.get("value") is None:
        return NOT_MEASURED
    value = f"{scale * found['value']:.{digits}f}{unit}"
    if found.get("low") is None or found.get("high") is None:
        return value
    return f"{value} ({scale * found['low']:.{digits}f}–{scale * found['high']:.{digits}f})"


def number(value: float | None, unit: str = "", digits: int = 1) -> str:
    """A number with its unit and thousands separators."""
    if value is None:
        return NOT_MEASURED
    return f"{value:,.{digits}f} {unit}".rstrip()


def percent(value: float | None, digits: int = 1) -> str:
    """A share in 0..1 as a percentage."""
    return NOT_MEASURED if value is None else f"{100 * value:.{digits}f} %"
