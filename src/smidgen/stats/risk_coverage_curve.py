"""The risk-coverage curve: a model's risk by the share that it answers, if it passes on the rest (El-Yaniv and Wiener 2010).

`correct` is 0 or 1 per row, or a grade between them. For grades, the risk is the mean of 1 minus the grade.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from smidgen.stats.intervals import Floats, wilson, z_value


@dataclass(frozen=True, slots=True)
class RiskCoveragePoint:
    """One threshold: the share of rows with at least this score, and the share of wrong answers among them with its interval."""

    threshold: float
    coverage: float
    risk: float
    risk_low: float
    risk_high: float


def risk_coverage(confidence: ArrayLike, correct: ArrayLike, points: int = 200) -> list[RiskCoveragePoint]:
    """Return the curve, from few answers to all, with at most `points` points.

    Rows with the same score are answered together or not at all.
    """
    scores, wrong, ends = _ranked(confidence, correct)
    if not len(scores):
        return []
    if len(ends) > points:
        ends = ends[np.unique(np.linspace(0, len(ends) - 1, points).round().astype(int))]
    errors = _RunningErrors(wrong)
    return [_selection(scores, errors, int(end)) for end in ends]


def area_under_risk_coverage(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Return AURC, the mean risk over all coverages; lower is better (Geifman, Uziel and El-Yaniv 2019). NaN without rows."""
    scores, wrong, ends = _ranked(confidence, correct)
    if not len(scores):
        return float("nan")
    risks = np.cumsum(wrong)[ends] / (ends + 1)
    return float((risks * np.diff(np.concatenate([[-1], ends]))).sum() / len(scores))


def coverage_at_risk(confidence: ArrayLike, correct: ArrayLike, risk: float) -> RiskCoveragePoint | None:
    """Return the point with the largest coverage at which the share of wrong answers is at most `risk`.

    The upper end of its 95 % interval must be, too.

    None if no threshold has one, or there are too few rows: sixteen right answers of sixteen still leave room for a fifth wrong. This is an
    observation, not a promise: a promise needs rows that did not choose the threshold.
    """
    scores, wrong, ends = _ranked(confidence, correct)
    errors = _RunningErrors(wrong)
    found = [_selection(scores, errors, int(end)) for end in ends if errors.sums[end] <= risk * (end + 1) + 1e-12]
    good = [point for point in found if point.risk_high <= risk]
    return good[-1] if good else None


class _RunningErrors:
    """Running sums of errors, from the surest row on, with intervals."""

    def __init__(self, wrong: Floats) -> None:
        self.sums, self._squares = np.cumsum(wrong), np.cumsum(wrong * wrong)
        self._counts = bool(np.isin(wrong, (0.0, 1.0)).all())

    def interval(self, end: int) -> tuple[float, float]:
        """Return the 95 % interval of the mean error of rows up to `end`.

        For shares, Wilson's. For grades, the normal one, with half an error of one row added, so that it has a width even if all grades are
        equal.
        """
        n = end + 1
        if self._counts:
            return wilson(int(self.sums[end]), n)
        mean = float(self.sums[end]) / n
        variance = max(0.0, float(self._squares[end]) / n - mean * mean)
        half = z_value(0.95) * math.sqrt((variance + 0.25 / n) / n)
        return max(0.0, mean - half), min(1.0, mean + half)


def _selection(scores: Floats, errors: _RunningErrors, end: int) -> RiskCoveragePoint:
    low, high = errors.interval(end)
    return RiskCoveragePoint(float(scores[end]), (end + 1) / len(scores), float(errors.sums[end]) / (end + 1), low, high)


def _ranked(confidence: ArrayLike, correct: ArrayLike) -> tuple[Floats, Floats, np.ndarray[tuple[int], np.dtype[np.int64]]]:
    """Return scores from high to low, the error of each, and the last position of each distinct score."""
    scores, right = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if scores.shape != right.shape or scores.ndim != 1:
        raise ValueError(f"scores and answers must be two vectors of one length, not {scores.shape} and {right.shape}")
    order = np.argsort(-scores, kind="stable")
    scores, right = scores[order], right[order]
    last = np.append(scores[1:] != scores[:-1], True) if len(scores) else np.zeros(0, dtype=bool)
    return scores, 1 - right, np.flatnonzero(last).astype(np.int64)
