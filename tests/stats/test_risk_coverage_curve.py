"""The risk-coverage curve by hand."""

import itertools

import numpy as np
import pytest

from smidgen.stats.intervals import wilson
from smidgen.stats.risk_coverage_curve import area_under_risk_coverage, coverage_at_risk, risk_coverage

SCORES = [0.9, 0.8, 0.8, 0.6, 0.5]
RIGHT = [1, 1, 0, 1, 0]


def test_curve_by_hand_with_ties_answered_together():
    points = [(point.threshold, point.coverage, point.risk) for point in risk_coverage(SCORES, RIGHT)]
    assert points == [(0.9, 0.2, 0.0), (0.8, 0.6, pytest.approx(1 / 3)), (0.6, 0.8, 0.25), (0.5, 1.0, 0.4)]


def test_area_by_hand():
    assert area_under_risk_coverage(SCORES, RIGHT) == pytest.approx((0 + 2 / 3 + 0.25 + 0.4) / 5)
    rng = np.random.default_rng(0)
    scores, right = rng.random(1000), rng.random(1000) < 0.9
    assert area_under_risk_coverage(scores, right) == pytest.approx(np.mean(np.cumsum(~right[np.argsort(-scores)]) / np.arange(1, 1001)))


def test_coverage_at_risk():
    scores, right = np.linspace(1, 0, 1000), np.arange(1000) < 900
    point = coverage_at_risk(scores, right, 0.02)
    assert point is not None
    assert point.risk_high <= 0.02 < wilson(point_errors(point) + 1, round(point.coverage * 1000) + 1)[1]
    assert coverage_at_risk(scores, right, 0.2).coverage == 1.0


def point_errors(point):
    return round(point.risk * point.coverage * 1000)


def test_few_rows_are_too_few_to_say():
    assert coverage_at_risk(SCORES, RIGHT, 0.0) is None
    assert coverage_at_risk(np.linspace(1, 0.5, 16), np.ones(16), 0.01) is None
    assert coverage_at_risk(np.linspace(1, 0.5, 500), np.ones(500), 0.01).coverage == 1.0
    assert coverage_at_risk([0.9, 0.1], [0, 1], 0.1) is None
    assert coverage_at_risk([], [], 0.1) is None
    assert risk_coverage([], []) == []


def test_long_curves_are_thinned_and_keep_their_ends():
    rng = np.random.default_rng(0)
    scores, right = rng.random(10_000), rng.random(10_000) < 0.9
    points = risk_coverage(scores, right, points=100)
    assert len(points) == 100 and points[0].coverage == 1e-4 and points[-1].coverage == 1.0
    assert all(a.coverage < b.coverage and a.threshold > b.threshold for a, b in itertools.pairwise(points))
    assert all(point.risk_low <= point.risk <= point.risk_high for point in points)
