"""Weights and volumes: everything is stored in grams and millilitres."""

from __future__ import annotations

from .faults import BakeryFault

GRAMS = {"g": 1.0, "kg": 1000.0, "lb": 453.6}
MILLILITRES = {"ml": 1.0, "l": 1000.0}


def grams(amount: float, unit: str) -> float:
    """Return a weight in grams. Raises BakeryFault for an unknown unit."""
    if unit not in GRAMS:
        raise BakeryFault("the unit of weight is unknown", unit)
    return amount * GRAMS[unit]


def millilitres(amount: float, unit: str) -> float:
    """Return a volume in millilitres. Raises BakeryFault for an unknown unit."""
    if unit not in MILLILITRES:
        raise BakeryFault("the unit of volume is unknown", unit)
    return amount * MILLILITRES[unit]


def shown_weight(weight: float) -> str:
    """Write a weight for a person: grams below a kilogram."""
    if weight < 1000:
        return f"{weight:.0f} g"
    return f"{weight / 1000:.2f} kg"


def shown_volume(volume: float) -> str:
    """Write a volume for a person: millilitres below a litre."""
    if volume < 1000:
        return f"{volume:.0f} ml"
    return f"{volume / 1000:.2f} l"
