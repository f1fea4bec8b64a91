"""Several classifiers as one: a weighted sum of log-probabilities, each at its own temperature (a product of experts, Hinton 2002)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from smidgen.stats.calibration import fit_temperature, negative_log_likelihood
from smidgen.stats.intervals import Floats

GRID = tuple(round(0.1 * step, 1) for step in range(11))
"""Weights that are tried for a second classifier; 0 leaves it out."""


def blend(logits: Sequence[ArrayLike], weights: Sequence[float], temperatures: Sequence[float]) -> Floats:
    """(n, outputs) blended scores of classifiers with the same outputs; they are logits again, up to a constant a row."""
    total: Floats = np.zeros_like(np.asarray(logits[0], dtype=np.float64))
    for table, weight, temperature in zip(logits, weights, temperatures, strict=True):
        scaled = np.asarray(table, dtype=np.float64) / temperature
        scaled = scaled - scaled.max(axis=1, keepdims=True)
        total += weight * (scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True)))
    return total


def fit_weight(first: ArrayLike, second: ArrayLike, targets: ArrayLike) -> tuple[float, tuple[float, float]]:
    """The weight in `GRID` of a second classifier beside a first of weight 1, and both temperatures.

    The temperatures are each classifier's own; the weight is the one whose blend, at the best temperature of its own, makes the targets
    most likely.

    Args:
        first, second: (n, outputs) logits on rows that neither was trained on.
        targets: (n,) index of the gold output.
    """
    temperatures = fit_temperature(first, targets), fit_temperature(second, targets)

    def loss(weight: float) -> float:
        blended = blend((first, second), (1.0, weight), temperatures)
        return negative_log_likelihood(blended, targets, fit_temperature(blended, targets))

    return min(GRID, key=lambda weight: (loss(weight), weight)), temperatures
