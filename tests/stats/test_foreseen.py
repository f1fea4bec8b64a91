"""What is foreseen is what certificates then give."""

from __future__ import annotations

import numpy as np
import pytest

from smidgen.stats.certificate_forecast import forecast_certificate, growth_needed
from smidgen.stats.certification import RiskClaim, ThresholdStep, certify_threshold

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
