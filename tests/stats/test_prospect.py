"""How likely a certificate is: against certificates that are tested for."""

from __future__ import annotations

import numpy as np
import pytest

from smidgen.stats.certificate_forecast import certificate_chance
from smidgen.stats.certification import RiskClaim, certify_threshold, threshold_steps

LINE = [(share / 20, 0.12 * (share / 20) ** 2) for share in range(1, 21)]
"""A model whose surest answers are right, and of whose answers 12 % are wrong in all."""


@pytest.mark.parametrize(("n", "low", "high"), [(40, 0.0, 0.0), (150, 0.05, 0.7), (400, 0.6, 1.0), (2000, 0.99, 1.0)])
def test_it_is_about_how_often_one_is_given(n: int, low: float, high: float) -> None:
    found = certificate_chance(LINE, 100_000, n, 0.05, 0.025)
    rng = np.random.default_rng(n)
    given = 0
    for _ in range(200):
        scores = rng.uniform(size=n)  # the share that scores as high is 1 - score
        losses = (rng.uniform(size=n) < 0.36 * (1 - scores) ** 2).astype(float)
        given += (
            certify_threshold(scores, losses, threshold_steps([(1 - share, share) for share, _ in LINE]), RiskClaim(0.05, 0.025)).threshold
            is not None
        )
    assert low <= found.chance <= high
    assert abs(given / 200 - found.chance) < 0.25


@pytest.mark.parametrize(("n", "low", "high"), [(90, 0.0, 0.0), (400, 0.6, 1.0), (2000, 0.99, 1.0)])
def test_what_may_be_lost_of_all_is_foreseen(n: int, low: float, high: float) -> None:
    """No 98 rows show that a hundredth is not lost; with more it stops at fewer requests than alpha alone would."""
    found, plain = (certificate_chance(LINE, 100_000, n, 0.05, 0.025, overall) for overall in (0.01, None))
    rng = np.random.default_rng(n)
    claim, given, answered = RiskClaim(0.05, 0.025, overall=0.01), 0, []
    for _ in range(200):
        scores = rng.uniform(size=n)
        losses = (rng.uniform(size=n) < 0.36 * (1 - scores) ** 2).astype(float)
        threshold = certify_threshold(scores, losses, threshold_steps([(1 - share, share) for share, _ in LINE]), claim).threshold
        given += threshold is not None
        answered.append(0.0 if threshold is None else 1 - threshold)
    assert low <= found.chance <= high and found.share <= plain.share
    assert abs(given / 200 - found.chance) < 0.25
    assert found.share == pytest.approx(np.median(answered), abs=0.12)


def test_what_was_measured_on_few_rows_is_believed_less() -> None:
    flawless = [(1.0, 0.0)]
    chances = [certificate_chance(flawless, measured, 200, 0.05, 0.025).chance for measured in (5, 20, 100, 1000)]
    assert chances == sorted(chances) and chances[0] < 0.3 and chances[-1] > 0.99


def test_the_share_is_the_laxest_that_is_as_likely_as_not() -> None:
    shares = [certificate_chance(LINE, 1000, n, 0.05, 0.025).share for n in (40, 300, 1000, 10_000)]
    assert shares[0] == 0 and shares == sorted(shares) and 0.5 <= shares[-1] <= 0.65  # the risk is 0.05 at 0.645


def test_no_curve_and_too_few_rows_promise_nothing() -> None:
    for curve, n in (([], 1000), (LINE, 0), (LINE, 50), ([(0.05, 0.0)], 1000)):
        assert certificate_chance(curve, 100, n, 0.05, 0.05) == certificate_chance([], 1, 1, 0.05, 0.05)
