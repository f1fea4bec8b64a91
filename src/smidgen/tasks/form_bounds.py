"""What the numbers and names of a form must be. A form comes with its bundle, which may come from anyone: a temperature of 0 would make
every score NaN, and a list of labels that is too short would name the wrong one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

LEAST_TEMPERATURE, MOST_TEMPERATURE = 1e-4, 1e6
_LONGEST_NAME = 1000


def number(form: Mapping[str, Any], name: str, low: float, high: float) -> str:
    """Why a number of a form cannot be; empty where it is there, finite, and within the bounds."""
    value = form.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not low <= value <= high:
        return f"{name} is {value!r}; it must be a number from {low:g} to {high:g}"
    return ""


def temperature(form: Mapping[str, Any], name: str = "temperature") -> str:
    """Why a temperature cannot be."""
    return number(form, name, LEAST_TEMPERATURE, MOST_TEMPERATURE)


def truth(form: Mapping[str, Any], name: str) -> str:
    """Why a value is neither true nor false."""
    return "" if isinstance(form.get(name), bool) else f"{name} is {form.get(name)!r}; it must be true or false"


def names(form: Mapping[str, Any], name: str, least: int, most: int) -> str:
    """Why a list of names cannot be: not so many, one that is no text, one that is there twice."""
    value = form.get(name)
    if not isinstance(value, list) or not least <= len(value) <= most:
        return f"{name} must be a list of {least} to {most} names"
    odd = [one for one in value if not isinstance(one, str) or not one or len(one) > _LONGEST_NAME]
    if odd:
        return f"{name} holds {str(odd[0])[:80]!r}, which is no name"
    return "" if len(set(value)) == len(value) else f"{name} names one twice"
