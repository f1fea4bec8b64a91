"""Fields as they are to be written: one spelling for each value, which a grammar can hold an answer to."""

from __future__ import annotations

import decimal
import json
import math
from collections.abc import Mapping
from typing import Any


def written(value: Any) -> str:
    """JSON without blanks, in the order that is there. A fraction has all of its decimals and no exponent (0.00005, not 5e-05): a model
    that is held to a number of decimals could not write the other one."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(name, ensure_ascii=False)}:{written(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(written, value)) + "]"
    if isinstance(value, float) and math.isfinite(value):
        return format(decimal.Decimal(repr(value)), "f")
    return json.dumps(value, ensure_ascii=False)
