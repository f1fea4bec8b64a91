"""Isotonic regression: the curve that never falls and lies nearest to the points (Ayer et al. 1955), for scores of any shape.

Fitting and reading are plain numpy, so that what serves a model needs nothing else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from smidgen.stats.intervals import Floats

Knots = dict[str, list[float]]
"""A curve, JSON-ready: `x` rising, and `y`, which never falls. Between knots it is straight, outside them level."""


def fit(x: ArrayLike, y: ArrayLike, least: int = 1) -> Knots:
    """The knots of the never-falling curve through (n,) points with the smallest squared error, by pooling adjacent violators.

    Args:
        least: points that a level must rest on. Few points at an end make a step that new points will not repeat; levels of fewer
            points than this are pooled with the neighbour that is nearer in `y`.

    Raises ValueError without points, or where one is not a number.
    """
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if xs.shape != ys.shape or xs.ndim != 1 or not len(xs):
        raise ValueError(f"the points must be two vectors of one length, not {xs.shape} and {ys.shape}")
    if not (np.isfinite(xs).all() and np.isfinite(ys).all()):
        raise ValueError("a point is not a number")
    places, owner = np.unique(xs, return_inverse=True)
    weights = np.bincount(owner).astype(np.float64)
    means = np.bincount(owner, weights=ys) / weights
    levels: list[_Level] = []
    for place, mean, weight in zip(places.tolist(), means.tolist(), weights.tolist(), strict=True):
        levels.append((place, place, mean, weight))
        while len(levels) > 1 and levels[-2][2] >= levels[-1][2]:
            levels[-2:] = [_pooled(levels[-2], levels[-1])]
    levels = _thick(levels, least)
    knots: Knots = {"x": [], "y": []}
    for first, last, mean, _ in levels:
        for place in (first, last) if last > first else (first,):
            knots["x"].append(place)
            knots["y"].append(mean)
    return knots


def evaluate(knots: Any, x: ArrayLike) -> Floats:
    """The curve at (n,) places."""
    read: Floats = np.interp(np.asarray(x, dtype=np.float64), knots["x"], knots["y"])
    return read


_Level = tuple[float, float, float, float]
"""First and last x, the level, how many points it rests on."""


def _pooled(one: _Level, other: _Level) -> _Level:
    weight = one[3] + other[3]
    return one[0], other[1], (one[2] * one[3] + other[2] * other[3]) / weight, weight


def _thick(levels: list[_Level], least: int) -> list[_Level]:
    """Levels of fewer than `least` points pooled with a neighbour, thinnest first. Pooling neighbours keeps the curve rising."""
    levels = list(levels)
    while len(levels) > 1:
        thin = min(range(len(levels)), key=lambda place: levels[place][3])
        if levels[thin][3] >= least:
            break
        sides = [place for place in (thin - 1, thin) if 0 <= place < len(levels) - 1]
        start = min(sides, key=lambda place: levels[place + 1][2] - levels[place][2])
        levels[start : start + 2] = [_pooled(levels[start], levels[start + 1])]
    return levels
