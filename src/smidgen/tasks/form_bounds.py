"""Bounds of the numbers in a form. A form comes with its bundle, which may come from anyone: a temperature of 0 would make every score
NaN."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from smidgen.core.forms import LEAST_TEMPERATURE, MOST_TEMPERATURE


def number(form: Mapping[str, Any], name: str, low: float, high: float) -> str:
    """Why a number of a form is invalid; empty if it is present, finite and within the bounds."""
    value = form.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not low <= value <= high:
        return f"{name} is {value!r}; it must be a number from {low:g} to {high:g}"
    return ""


def temperature(form: Mapping[str, Any], name: str = "temperature") -> str:
    """Why a temperature is invalid; empty if it is valid."""
    return number(form, name, LEAST_TEMPERATURE, MOST_TEMPERATURE)
