"""Calibration of scores: temperature and Platt scaling, blended classifiers, calibration error, proper scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from smidgen.stats.intervals import Floats, mean_share, wilson

HOTTEST, COLDEST = 20.0, 0.05  # beyond these, scores are useless, or there were no errors to learn from


def softmax(logits: ArrayLike, temperature: float = 1.0) -> Floats:
    """Return the probabilities, (n, outputs), of logits divided by the temperature."""
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    scaled = scaled - scaled.max(axis=-1, keepdims=True)
    powers = np.exp(scaled)
    shares: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def sigmoid(logits: ArrayLike, temperature: float = 1.0) -> Floats:
    """Return independent probabilities, one per label, (n, outputs), of logits divided by the temperature."""
    halves: Floats = 0.5 * (1 + np.tanh(0.5 * np.asarray(logits, dtype=np.float64) / temperature))
    return halves


def fit_temperature(logits: ArrayLike, targets: ArrayLike) -> float:
    """Fit the temperature that makes softmax probabilities most likely (Guo et al. 2017), in 0.05..20.

    The negative log-likelihood is convex in 1/T, so a guarded Newton iteration finds the one minimum. Targets are smoothed by one row in n
    + 2 (Platt 1999): even if every answer was right, the scores do not become 100 %.

    Args:
        logits: (n, outputs) on rows that the model was not trained on.
        targets: (n,) index of the gold output.
    """
    table = _table(logits)
    gold = np.asarray(targets, dtype=np.int64)
    n, outputs = table.shape
    if n == 0 or outputs < 2:
        return 1.0
    table = table - table.max(axis=1, keepdims=True)
    slack = 1 / (n + 2)
    at_gold = table[np.arange(n), gold]
    rest = (table.sum(axis=1) - at_gold) / (outputs - 1)
    wanted = (1 - slack) * at_gold + slack * rest

    def slopes(beta: float) -> tuple[float, float]:
        shares = softmax(table * beta)
        mean = (shares * table).sum(axis=1)
        return float((mean - wanted).mean()), float(((shares * table**2).sum(axis=1) - mean**2).mean())

    return 1 / _newton(slopes)


def fit_temperature_multi_label(logits: ArrayLike, targets: ArrayLike) -> float:
    """Fit the temperature for independent sigmoids, in 0.05..20.

    Args:
        logits: (n, outputs).
        targets: (n, outputs) 1 if the label is gold, else 0.
    """
    table = _table(logits)
    if table.size == 0:
        return 1.0
    slack = 1 / (len(table) + 2)
    gold = (1 - slack) * np.asarray(targets, dtype=np.float64) + slack / 2

    def slopes(beta: float) -> tuple[float, float]:
        shares = sigmoid(table * beta)
        return float((table * (shares - gold)).mean()), float((table**2 * shares * (1 - shares)).mean())

    return 1 / _newton(slopes)


def _newton(slopes: Callable[[float], tuple[float, float]]) -> float:
    """Find the root of a rising first derivative over the inverse temperature. A step that leaves the bracket becomes a bisection."""
    low, high = 1 / HOTTEST, 1 / COLDEST
    if slopes(low)[0] >= 0:
        return low
    if slopes(high)[0] <= 0:
        return high
    beta = 1.0
    for _ in range(100):
        first, second = slopes(beta)
        if first > 0:
            high = beta
        else:
            low = beta
        step = beta - first / second if second > 0 else low
        following = step if low < step < high else (low * high) ** 0.5
        if abs(following - beta) <= 1e-9 * beta:
            break
        beta = following
    return beta


def negative_log_likelihood(logits: ArrayLike, targets: ArrayLike, temperature: float = 1.0) -> float:
    """Return the mean negative log-likelihood of the gold outputs, in nats per row. Arguments as in `fit_temperature`."""
    table = _table(logits) / temperature
    top = table.max(axis=1)
    total = top + np.log(np.exp(table - top[:, None]).sum(axis=1))
    return float((total - table[np.arange(len(table)), np.asarray(targets, dtype=np.int64)]).mean())


def brier(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Return the mean squared distance between a score and whether its answer was right (Brier 1950), in 0..1; lower is better."""
    scores, right = _pairs(confidence, correct)
    return float(((scores - right) ** 2).mean()) if len(scores) else float("nan")


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Rows with similar scores: their mean score, their share of right answers with Wilson's interval, and their number.

    For grades, their mean with the bootstrap interval.
    """

    confidence: float
    accuracy: float
    low: float
    high: float
    n: int


def reliability(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> list[ReliabilityBin]:
    """Group rows into bins of equal size by score, lowest first. Equal scores share a bin, so there may be fewer bins than asked for.

    `correct` is 0 or 1 per row, or a grade between them.
    """
    scores, right = _pairs(confidence, correct)
    counts = bool(np.isin(right, (0.0, 1.0)).all())
    if not len(scores):
        return []
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, bins + 1)[1:-1], method="inverted_cdf"))
    place = np.searchsorted(edges, scores, side="left")
    found = []
    for number in np.unique(place):
        here = place == number
        n = int(here.sum())
        low, high = wilson(int(right[here].sum()), n) if counts else mean_share(right[here])
        found.append(ReliabilityBin(float(scores[here].mean()), float(right[here].mean()), low, high, n))
    return found


def expected_calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> float:
    """Return the mean distance between score and accuracy over bins of equal size (Nguyen and O'Connor 2015), weighted by rows, in 0..1.

    Bins of equal width would put most of a good model's rows into one bin.

    Args:
        confidence: (n,) scores in 0..1.
        correct: (n,) whether each answer was right, or its grade.
    """
    found = reliability(confidence, correct, bins)
    total = sum(entry.n for entry in found)
    return sum(entry.n * abs(entry.confidence - entry.accuracy) for entry in found) / total if total else float("nan")


def _table(logits: ArrayLike) -> Floats:
    table = np.asarray(logits, dtype=np.float64)
    if table.ndim != 2:
        raise ValueError(f"logits must be (rows, outputs), not {table.shape}")
    if not np.isfinite(table).all():
        raise ValueError("logits must be finite")
    return table


def _pairs(confidence: ArrayLike, correct: ArrayLike) -> tuple[Floats, NDArray[Any]]:
    scores, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if scores.shape != right.shape or scores.ndim != 1:
        raise ValueError(f"scores and answers must be two vectors of one length, not {scores.shape} and {right.shape}")
    return scores, right


_FLATTEST, _STEEPEST = 0.05, 20.0
_PRIOR = 1.0
"""Weight of a prior for slope 1 and shift 0, in rows: few rows move the curve little."""

_CERTAIN = 1e-9


def logit(chances: ArrayLike) -> Floats:
    """Return the log odds of probabilities, finite at 0 and 1."""
    p = np.clip(np.asarray(chances, dtype=np.float64), _CERTAIN, 1 - _CERTAIN)
    odds: Floats = np.log(p) - np.log1p(-p)
    return odds


def platt_probability(scores: ArrayLike, slope: float, shift: float) -> Floats:
    """Return the probabilities at (n,) scores in log odds."""
    half: Floats = 0.5 * (1 + np.tanh(0.5 * (slope * np.asarray(scores, dtype=np.float64) + shift)))
    return half


def fit_platt(scores: ArrayLike, right: ArrayLike, prior: float | None = None) -> tuple[float, float]:
    """Fit the slope, in 0.05..20, and the shift of the most likely logistic curve for right answers.

    Targets are smoothed as Platt does, so that rows that were all right do not make every score 1.

    Args:
        scores: (n,) log odds.
        right: (n,) whether each answer was right.
        prior: how strongly the curve is drawn to the scores as they are, slope 1 and shift 0; more for scores that are probabilities of
            similar rows already. None: hardly.
    """
    held = _PRIOR if prior is None else prior
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
        p = platt_probability(x, *found)
        slopes = rows.T @ (p - targets) + held * (found - start)
        bend = (rows * (p * (1 - p))[:, None]).T @ rows + held * np.eye(2)
        step = np.linalg.solve(bend, slopes)
        # Shorten Newton's step to at most 1, so that it does not leave the region where the curve is informative.
        found = found - step / max(1.0, float(np.abs(step).max()))
        if float(np.abs(step).max()) < 1e-10:
            break
    return float(np.clip(found[0], _FLATTEST, _STEEPEST)), float(found[1])


BLEND_WEIGHTS = tuple(round(0.1 * step, 1) for step in range(11))
"""Weights to try for a second classifier; 0 leaves it out."""


def blend_probabilities(logits: Sequence[ArrayLike], weights: Sequence[float], temperatures: Sequence[float]) -> Floats:
    """Blend the scores of classifiers with the same outputs, (n, outputs). The result is logits again, up to a constant per row."""
    total: Floats = np.zeros_like(np.asarray(logits[0], dtype=np.float64))
    for table, weight, temperature in zip(logits, weights, temperatures, strict=True):
        scaled = np.asarray(table, dtype=np.float64) / temperature
        scaled = scaled - scaled.max(axis=1, keepdims=True)
        total += weight * (scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True)))
    return total


def fit_blend_weight(first: ArrayLike, second: ArrayLike, targets: ArrayLike) -> tuple[float, tuple[float, float]]:
    """Choose the weight in `BLEND_WEIGHTS` of a second classifier beside a first of weight 1. Returns it with both temperatures.

    Each classifier has its own temperature. The weight is the one whose blend, at its own best temperature, makes the targets most likely.

    Args:
        first, second: (n, outputs) logits on rows that neither was trained on.
        targets: (n,) index of the gold output.
    """
    temperatures = fit_temperature(first, targets), fit_temperature(second, targets)

    def loss(weight: float) -> float:
        blended = blend_probabilities((first, second), (1.0, weight), temperatures)
        return negative_log_likelihood(blended, targets, fit_temperature(blended, targets))

    return min(BLEND_WEIGHTS, key=lambda weight: (loss(weight), weight)), temperatures
