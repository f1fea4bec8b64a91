"""What a file's own types are in JSON: a column of Parquet may hold days and exact numbers."""

from __future__ import annotations

import datetime
import decimal
from typing import Any


def plain(value: Any) -> Any:
    """A cell as JSON has it, in lists and objects too: days and times as ISO 8601 writes them, an exact number as a whole one or as the
    nearest fraction, a span of time in seconds. Anything else stays what it is."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, decimal.Decimal) and value.is_finite():
        return int(value) if value == value.to_integral_value() else float(value)
    return value
