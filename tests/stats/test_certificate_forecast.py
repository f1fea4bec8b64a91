"""How likely a certificate is: against certificates that are tested for."""

from __future__ import annotations

import numpy as np
import pytest

from smidgen.stats.certificate_forecast import certificate_chance, forecast_certificate, growth_needed
from smidgen.stats.certification import RiskClaim, ThresholdStep, certify_threshold, threshold_steps

LINE = [(share / 20, 0.12 * (share / 20) ** 2) for share in range(1, 21)]
"""A model whose surest answers are right, and of whose answers 12 % are wrong in all."""


@pytest.mark.parametrize(("n", "low", "high"), [(40, 0.0, 0.0), (150, 0.05, 0.7), (400, 0.6, 1.0), (2000, 0.99, 1.0)])
def test_it_is_about_how_often_one_is_given(n: int, low: float, high: float) -> None:
    found = certificate_chance(LINE, 100_000, n, 0.05, 0.025)
    rng = np.random.default_rng(n)
    given = 0
    for _ in range(60):
        scores = rng.uniform(size=n)  # the share that scores as high is 1 - score
        losses = (rng.uniform(size=n) < 0.36 * (1 - scores) ** 2).astype(float)
        given += (
            certify_threshold(scores, losses, threshold_steps([(1 - share, share) for share, _ in LINE]), RiskClaim(0.05, 0.025)).threshold
            is not None
        )
    assert low <= found.chance <= high
    assert abs(given / 60 - found.chance) < 0.25


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


CLAIM = RiskClaim(0.05, 0.025)


def rows(n: int, seed: int, worst: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and losses that are the rarer the higher the score."""
    rng = np.random.default_rng(seed)
    scores = rng.random(n)
    return scores, (rng.random(n) < worst * (1 - scores) ** 2).astype(float)


def test_what_is_foreseen_holds_most_of_what_new_samples_certify() -> None:
    seen = forecast_certificate(*rows(1500, 0, 0.25), 200, 600, CLAIM)
    grid = [ThresholdStep(1 - share / 40, share / 40) for share in range(1, 41)]
    given = [certify_threshold(*rows(600, seed, 0.25), grid, CLAIM) for seed in range(1, 41)]
    shares = np.array([one.share if one.threshold is not None else 0.0 for one in given])
    assert 0.2 < seen.share < 0.95 and seen.likely > 0.9 and seen.low < seen.share < seen.high
    assert np.mean((shares >= seen.low - 0.025) & (shares <= seen.high + 0.025)) >= 0.75
    assert abs(float(np.median(shares)) - seen.share) < 0.12


def test_too_small_a_sample_certifies_nothing_and_more_rows_would() -> None:
    scores, losses = rows(400, 3, 0.1)
    assert forecast_certificate(scores, losses, 100, 50, CLAIM).likely == 0
    growth = growth_needed(scores, losses, 100, 50, CLAIM)
    assert growth is not None and 1 < growth < 40
    assert forecast_certificate(scores, losses, round(100 * growth), round(50 * growth), CLAIM).likely > 0.5


def test_no_number_of_rows_makes_up_for_a_model_that_guesses() -> None:
    rng = np.random.default_rng(0)
    scores, losses = rng.random(600), (rng.random(600) < 0.4).astype(float)
    assert forecast_certificate(scores, losses, 100, 200, CLAIM).share == 0
    assert growth_needed(scores, losses, 100, 200, CLAIM) is None


def test_nothing_is_foreseen_of_nothing() -> None:
    assert forecast_certificate([], [], 100, 100, CLAIM).likely == 0
    with pytest.raises(ValueError, match="one length"):
        forecast_certificate([0.5], [0.0, 1.0], 100, 100, CLAIM)
