"""Tests of a mean loss: they keep their level, and betting sees what varies little."""

import math

import numpy as np
import pytest

from smidgen.stats.risk_bounds import betting_p_value, hoeffding_bentkus_p_value, upper_bound_by_p_value


def test_hoeffding_bentkus_by_hand():
    # 100 losses of mean 0.2 against 0.5: exp(-100 KL(0.2 | 0.5)) is below e times the binomial tail.
    losses = np.repeat([0.0, 1.0], [80, 20])
    divergence = 0.2 * math.log(0.2 / 0.5) + 0.8 * math.log(0.8 / 0.5)
    tail = math.e * 5.579544528625975e-10  # scipy.stats.binom.cdf(20, 100, 0.5)
    assert hoeffding_bentkus_p_value(losses, 0.5) == pytest.approx(min(math.exp(-100 * divergence), tail), rel=1e-6)
    assert hoeffding_bentkus_p_value(losses, 0.1) == 1.0
    assert hoeffding_bentkus_p_value([], 0.1) == betting_p_value([], 0.1, 0.05) == 1.0


@pytest.mark.parametrize("spread", ["coin", "narrow"])
def test_a_mean_at_the_limit_is_rejected_no_more_often_than_stated(spread):
    rng = np.random.default_rng(7)
    alpha, delta, runs, n = 0.3, 0.1, 600, 150
    draws = (rng.random((runs, n)) < alpha).astype(float) if spread == "coin" else rng.uniform(alpha - 0.1, alpha + 0.1, (runs, n))
    for p_values in ([betting_p_value(row, alpha, delta) for row in draws], [hoeffding_bentkus_p_value(row, alpha) for row in draws]):
        assert len(p_values) == runs
        # 0.1 + 3 · sqrt(0.1 · 0.9 / 600)
        assert np.mean(np.array(p_values) <= delta) <= 0.137


def test_betting_sees_what_varies_little():
    losses = np.random.default_rng(0).uniform(0.2, 0.3, 60)
    assert betting_p_value(losses, 0.35, 0.05) < 0.01 < 0.2 < hoeffding_bentkus_p_value(losses, 0.35)


def test_the_bound_is_where_the_test_turns():
    losses = np.random.default_rng(1).beta(2, 6, 200)
    bound = upper_bound_by_p_value(lambda alpha: betting_p_value(losses, alpha, 0.05), float(losses.mean()), 0.05)
    assert losses.mean() < bound < losses.mean() + 0.05
    assert betting_p_value(losses, bound + 1e-6, 0.05) <= 0.05 < betting_p_value(losses, bound - 1e-4, 0.05)


def test_losses_outside_are_refused():
    for losses in ([0.5, 1.5], [-0.1], [math.nan], [[0.1]]):
        with pytest.raises(ValueError, match=r"0\.\.1"):
            betting_p_value(losses, 0.1, 0.05)
