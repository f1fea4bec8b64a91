"""How good a written text can be expected to be, from what is known of it without a reference: its tokens' mean probability, and its facts.

Each sign is weighed by least squares, for as far as it can only speak against a text that is improbable, leaves attributes out or makes
some up; the weighed sum becomes an expected grade on a curve that never falls (`monotone.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from smidgen.stats import monotone
from smidgen.stats.intervals import Floats

Grading = dict[str, Any]
"""JSON-ready: `weights`, one a sign, and `knots`."""

FEWEST = 8
"""Graded texts from which anything can be learnt."""

_LEVELS = 20  # a level of the curve rests on at least this part of the texts
_SURE = 2.0  # a weight of less than two standard errors is taken for chance


def fit(signs: ArrayLike, grades: ArrayLike) -> Grading | None:
    """What signs say of grades; None for fewer than eight texts.

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
    knots = monotone.fit(x @ weights, y, least=max(FEWEST // 2, len(y) // _LEVELS))
    return {"weights": [round(float(weight), 6) for weight in weights], "knots": {k: [round(v, 6) for v in vs] for k, vs in knots.items()}}


def expected(grading: Grading, signs: ArrayLike) -> Floats:
    """(n,) expected grades of texts with (n, k) signs."""
    return np.clip(monotone.evaluate(grading["knots"], np.asarray(signs, dtype=np.float64) @ np.array(grading["weights"])), 0.0, 1.0)


def _least_squares(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """(k,) weights, and (k,) how many standard errors each lies above 0."""
    middle = x - x.mean(axis=0)
    # A hair of ridge keeps signs that never vary, or that are one another's copies, from dividing by nothing.
    inverse = np.linalg.inv(middle.T @ middle + 1e-9 * np.eye(x.shape[1]))
    weights = inverse @ middle.T @ (y - y.mean())
    rest = y - y.mean() - middle @ weights
    error = np.sqrt(np.diag(inverse) * float(rest @ rest) / max(1, len(y) - x.shape[1] - 1))
    return weights, weights / np.maximum(error, 1e-12)
