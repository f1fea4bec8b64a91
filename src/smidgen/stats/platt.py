"""Probabilities from scores by a logistic curve with two parameters (Platt 1999): a slope, and a shift for what no score has seen."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from smidgen.stats.intervals import Floats

_FLATTEST, _STEEPEST = 0.05, 20.0
_PRIOR = 1.0
"""How strongly the curve is held to slope 1 and shift 0, in rows: few rows may move it little."""

_CERTAIN = 1e-9


def logit(chances: ArrayLike) -> Floats:
    """Log odds of probabilities, finite at 0 and 1."""
    p = np.clip(np.asarray(chances, dtype=np.float64), _CERTAIN, 1 - _CERTAIN)
    odds: Floats = np.log(p) - np.log1p(-p)
    return odds


def curve(scores: ArrayLike, slope: float, shift: float) -> Floats:
    """Probabilities at (n,) scores in log odds."""
    half: Floats = 0.5 * (1 + np.tanh(0.5 * (slope * np.asarray(scores, dtype=np.float64) + shift)))
    return half


def fit(scores: ArrayLike, right: ArrayLike) -> tuple[float, float]:
    """Slope, in 0.05..20, and shift of the curve that makes what was right most likely.

    Targets are smoothed as Platt does, so that rows that were all right do not make every score 1.

    Args:
        scores: (n,) log odds.
        right: (n,) whether each was right.
    """
    x, y = np.asarray(scores, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"scores and answers must be two vectors of one length, not {x.shape} and {y.shape}")
    if not len(x):
        return 1.0, 0.0
    good = float(y.sum())
    targets = np.where(y > 0.5, (good + 1) / (good + 2), 1 / (len(y) - good + 2))
    found = np.array([1.0, 0.0])
    start = found.copy()
    rows = np.stack([x, np.ones_like(x)], axis=1)
    for _ in range(100):
        p = curve(x, *found)
        slopes = rows.T @ (p - targets) + _PRIOR * (found - start)
        bend = (rows * (p * (1 - p))[:, None]).T @ rows + _PRIOR * np.eye(2)
        step = np.linalg.solve(bend, slopes)
        # Newton's step, shortened where it would leave the region in which the curve is a curve.
        found = found - step / max(1.0, float(np.abs(step).max()))
        if float(np.abs(step).max()) < 1e-10:
            break
    return float(np.clip(found[0], _FLATTEST, _STEEPEST)), float(found[1])
