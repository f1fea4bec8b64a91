"""Bounds of the numbers and names in a form. A form comes with its bundle, which may come from anyone: a temperature of 0 would make
every score NaN, and a list of labels that is too short would name the wrong one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from smidgen.core.forms import LEAST_TEMPERATURE, MOST_TEMPERATURE


def number(form: Mapping[str, Any], name: str, low: float, high: float) -> str:
    """Why a number of a form cannot be; empty where it is there, finite, and within the bounds."""
    value = form.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not low <= value <= high:
        return f"{name} is {value!r}; it must be a number from {low:g} to {high:g}"
    return ""


def temperature(form: Mapping[str, Any], name: str = "temperature") -> str:
    """Why a temperature cannot be."""
    return number(form, name, LEAST_TEMPERATURE, MOST_TEMPERATURE)
