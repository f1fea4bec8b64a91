"""Estimate the quality of a written text from signs that need no reference."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from smidgen.stats.intervals import Floats

Knots = dict[str, list[float]]
"""A curve, JSON-ready: rising `x`, and `y`, which never falls. Linear between knots, constant outside them."""


def fit_isotonic(x: ArrayLike, y: ArrayLike, least: int = 1) -> Knots:
    """Fit the non-decreasing curve through (n,) points with the least squared error (pool adjacent violators). Returns its knots.

    Args:
        least: fewest points per level. A level of few points at an end would not repeat on new points, so it is pooled with the neighbour
            that is nearer in `y`.

    Raises ValueError without points, or if one is not a number.
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


def isotonic_values(knots: Any, x: ArrayLike) -> Floats:
    """Return the curve's values at (n,) places."""
    read: Floats = np.interp(np.asarray(x, dtype=np.float64), knots["x"], knots["y"])
    return read


_Level = tuple[float, float, float, float]
"""First and last x, the level, and its number of points."""


def _pooled(one: _Level, other: _Level) -> _Level:
    weight = one[3] + other[3]
    return one[0], other[1], (one[2] * one[3] + other[2] * other[3]) / weight, weight


def _thick(levels: list[_Level], least: int) -> list[_Level]:
    """Pool levels of fewer than `least` points with a neighbour, smallest first. The curve stays non-decreasing."""
    levels = list(levels)
    while len(levels) > 1:
        thin = min(range(len(levels)), key=lambda place: levels[place][3])
        if levels[thin][3] >= least:
            break
        sides = [place for place in (thin - 1, thin) if 0 <= place < len(levels) - 1]
        start = min(sides, key=lambda place: levels[place + 1][2] - levels[place][2])
        levels[start : start + 2] = [_pooled(levels[start], levels[start + 1])]
    return levels


# Each sign gets a least-squares weight. A sign whose weight is not significantly positive is dropped. A non-decreasing curve maps the
# weighed sum to an expected grade.

Grading = dict[str, Any]
"""JSON-ready: `weights`, one per sign, and `knots`."""

FEWEST = 8
"""Fewest graded texts to learn from."""

_LEVELS = 20  # a level of the curve has at least one in this many texts
_SURE = 2.0  # a weight of less than this many standard errors counts as chance


def fit_grading(signs: ArrayLike, grades: ArrayLike) -> Grading | None:
    """Fit grades to signs; None for fewer than eight texts.

    Args:
        signs: (n, k), each in 0..1, higher is better. The first one is used if none is significant.
        grades: (n,) in 0..1.
    """
    x, y = np.asarray(signs, dtype=np.float64), np.asarray(grades, dtype=np.float64)
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise ValueError(f"signs and grades must be (n, k) and (n,), not {x.shape} and {y.shape}")
    if len(y) < FEWEST:
        return None
    used = list(range(x.shape[1]))
    weights = np.zeros(x.shape[1])
    while used:
        found, sure = _least_squares(x[:, used], y)
        worst = int(sure.argmin())
        if sure[worst] >= _SURE:
            weights[used] = found
            break
        del used[worst]
    if not weights.any():
        weights[0] = 1.0
    weights /= weights.sum()
    knots = fit_isotonic(x @ weights, y, least=max(FEWEST // 2, len(y) // _LEVELS))
    return {"weights": [round(float(weight), 6) for weight in weights], "knots": {k: [round(v, 6) for v in vs] for k, vs in knots.items()}}


def expected_grades(grading: Grading, signs: ArrayLike) -> Floats:
    """Return the expected grades, (n,), of texts with (n, k) signs."""
    return np.clip(isotonic_values(grading["knots"], np.asarray(signs, dtype=np.float64) @ np.array(grading["weights"])), 0.0, 1.0)


def _least_squares(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return the weights, (k,), and how many standard errors each lies above 0, (k,)."""
    middle = x - x.mean(axis=0)
    # A tiny ridge avoids a division by zero for signs that are constant or copies of one another.
    inverse = np.linalg.inv(middle.T @ middle + 1e-9 * np.eye(x.shape[1]))
    weights = inverse @ middle.T @ (y - y.mean())
    rest = y - y.mean() - middle @ weights
    error = np.sqrt(np.diag(inverse) * float(rest @ rest) / max(1, len(y) - x.shape[1] - 1))
    return weights, weights / np.maximum(error, 1e-12)
