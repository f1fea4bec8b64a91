"""Names of a table's columns, found for what the columns hold: `Order date`, `order_date` and `OrderDate` are one name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

_LEAST_END = 4
"""Fewest letters of a name that a longer name may end with."""
_SIGNS = re.compile(r"[\W_]+")


def column_key(name: str) -> str:
    """A column's name in lower case, without spaces and signs."""
    return _SIGNS.sub("", name.casefold())


def column_like(columns: Iterable[str], names: Sequence[str]) -> str | None:
    """The column that has one of some names, the surest of them first; else the only one that ends with one (`Belegdatum`); else None.

    Args:
        columns: of the table, as written there.
        names: that such a column may have.
    """
    keys = [column_key(name) for name in names]
    known: dict[str, str] = {}
    for column in columns:
        known.setdefault(column_key(column), column)
    found = next((known[key] for key in keys if key in known), None)
    if found is not None:
        return found
    ends = tuple(key for key in keys if len(key) >= _LEAST_END)
    like = [column for key, column in known.items() if key.endswith(ends)]
    return like[0] if len(like) == 1 else None


def columns_told(file: str, columns: Iterable[str], found: Mapping[str, str]) -> list[str]:
    """Remarks on a table: which columns were found by another name than the usual one, and which were not used.

    Args:
        file: its name.
        columns: of the table, as written there.
        found: the column that was taken, by the usual name.
    """
    other = [f"{role}: {column}" for role, column in found.items() if column.strip().casefold() != role]
    unused = [column for column in columns if column not in found.values() and column.strip()]
    remarks = [f"Columns found in {file}: {', '.join(other)}."] if other else []
    return [*remarks, f"{file} has columns that are not used: {', '.join(unused)}."] if unused else remarks
