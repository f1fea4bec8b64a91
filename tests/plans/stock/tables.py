"""Tables of sales for tests."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from smidgen.plans.solving import ProblemTable

FIRST = datetime.date(2026, 1, 5)  # a Monday


def table(columns: str, *rows: str) -> ProblemTable:
    """A table of cells separated by `|`."""
    names = tuple(columns.split("|"))
    return ProblemTable("sales.csv", names, [(number, dict(zip(names, row.split("|"), strict=True))) for number, row in enumerate(rows, 1)])


def daily(**items: Sequence[float | None]) -> ProblemTable:
    """Daily sales of items from FIRST on; None for no row."""
    rows = [
        f"{FIRST + datetime.timedelta(days=place)}|{item}|{value:g}"
        for item, values in items.items()
        for place, value in enumerate(values)
        if value is not None
    ]
    return table("date|sku|quantity", *rows)
