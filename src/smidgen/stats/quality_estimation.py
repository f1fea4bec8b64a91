"""The expected quality of a written text, from what is known of it without a reference."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from smidgen.stats.intervals import Floats

Knots = dict[str, list[float]]
"""A curve, JSON-ready: `x` rising, and `y`, which never falls. Between knots it is straight, outside them level."""


def fit_isotonic(x: ArrayLike, y: ArrayLike, least: int = 1) -> Knots:
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


def isotonic_values(knots: Any, x: ArrayLike) -> Floats:
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


# Each sign is weighed by least squares, no more than as far as it speaks against a text; the weighed sum becomes an expected grade on a
# curve that never falls.

Grading = dict[str, Any]
"""JSON-ready: `weights`, one a sign, and `knots`."""

FEWEST = 8
"""Graded texts from which anything can be learnt."""

_LEVELS = 20  # a level of the curve rests on at least this part of the texts
_SURE = 2.0  # a weight of less than two standard errors is taken for chance


def fit_grading(signs: ArrayLike, grades: ArrayLike) -> Grading | None:
    """Fit grades to signs; None for fewer than eight texts.

    Args:
        signs: (n, k), each in 0..1 and such that more is better; the first always counts.
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
    """(n,) expected grades of texts with (n, k) signs."""
    return np.clip(isotonic_values(grading["knots"], np.asarray(signs, dtype=np.float64) @ np.array(grading["weights"])), 0.0, 1.0)


def _least_squares(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """(k,) weights, and (k,) how many standard errors each lies above 0."""
    middle = x - x.mean(axis=0)
    # A hair of ridge keeps signs that never vary, or that are one another's copies, from dividing by nothing.
    inverse = np.linalg.inv(middle.T @ middle + 1e-9 * np.eye(x.shape[1]))
    weights = inverse @ middle.T @ (y - y.mean())
    rest = y - y.mean() - middle @ weights
    error = np.sqrt(np.diag(inverse) * float(rest @ rest) / max(1, len(y) - x.shape[1] - 1))
    return weights, weights / np.maximum(error, 1e-12)
