"""Exact binomial tests against scipy and against published numbers."""

import math

import numpy as np
import pytest

from smidgen.stats.risk_bounds import (
    betting_p_value,
    binomial_lower_bound,
    binomial_p_value,
    binomial_upper_bound,
    fewest_rows,
    most_errors,
    upper_bound_by_p_value,
)

CASES = [(0, 1), (0, 59), (3, 100), (12, 300), (50, 1000), (999, 1000), (480, 10_000)]


@pytest.mark.parametrize(("errors", "n"), CASES)
@pytest.mark.parametrize("share", [0.01, 0.05, 0.4])
def test_the_p_value_is_scipys(errors, n, share):
    stats = pytest.importorskip("scipy.stats")
    assert binomial_p_value(errors, n, share) == pytest.approx(float(stats.binom.cdf(errors, n, share)), rel=1e-8, abs=1e-300)


@pytest.mark.parametrize(("errors", "n"), CASES)
@pytest.mark.parametrize("delta", [0.001, 0.05, 0.2])
def test_the_bounds_are_scipys(errors, n, delta):
    stats = pytest.importorskip("scipy.stats")
    assert binomial_upper_bound(errors, n, delta) == pytest.approx(float(stats.beta.ppf(1 - delta, errors + 1, n - errors)), abs=1e-9)
    assert binomial_lower_bound(n - errors, n, delta) == pytest.approx(1 - binomial_upper_bound(errors, n, delta))


def test_by_hand():
    # The rule of three: no error of 59 rows shows less than 5 % with 95 % confidence, and no error of 58 does not.
    assert fewest_rows(0.05, 0.05) == 59
    assert binomial_upper_bound(0, 59, 0.05) < 0.05 < binomial_upper_bound(0, 58, 0.05)
    assert [most_errors(n, 0.05, 0.05) for n in (58, 59, 92, 93, 124, 181)] == [-1, 0, 0, 1, 2, 4]
    assert binomial_upper_bound(5, 5, 0.05) == 1.0 and binomial_upper_bound(0, 0, 0.05) == 1.0 and binomial_lower_bound(0, 0, 0.05) == 0.0


def test_what_cannot_be_is_refused():
    for errors, n in [(2, 1), (-1, 3)]:
        with pytest.raises(ValueError, match="impossible"):
            binomial_p_value(errors, n, 0.5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        binomial_p_value(1, 2, 1.5)
    with pytest.raises(ValueError, match="between 0 and 1"):
        binomial_upper_bound(1, 2, 0.0)


@pytest.mark.parametrize("spread", ["coin", "narrow"])
def test_a_mean_at_the_limit_is_rejected_no_more_often_than_stated(spread):
    rng = np.random.default_rng(7)
    alpha, delta, runs, n = 0.3, 0.1, 600, 150
    draws = (rng.random((runs, n)) < alpha).astype(float) if spread == "coin" else rng.uniform(alpha - 0.1, alpha + 0.1, (runs, n))
    p_values = [betting_p_value(row, alpha, delta) for row in draws]
    assert len(p_values) == runs
    # 0.1 + 3 · sqrt(0.1 · 0.9 / 600)
    assert np.mean(np.array(p_values) <= delta) <= 0.137


def test_betting_sees_what_varies_little():
    losses = np.random.default_rng(0).uniform(0.2, 0.3, 60)
    hoeffding = math.exp(-2 * 60 * (0.35 - losses.mean()) ** 2)
    assert betting_p_value(losses, 0.35, 0.05) < 0.01 < 0.2 < hoeffding
    assert betting_p_value([], 0.1, 0.05) == 1.0


def test_the_bound_is_where_the_test_turns():
    losses = np.random.default_rng(1).beta(2, 6, 200)
    bound = upper_bound_by_p_value(lambda alpha: betting_p_value(losses, alpha, 0.05), float(losses.mean()), 0.05)
    assert losses.mean() < bound < losses.mean() + 0.05
    assert betting_p_value(losses, bound + 1e-6, 0.05) <= 0.05 < betting_p_value(losses, bound - 1e-4, 0.05)


def test_losses_outside_are_refused():
    for losses in ([0.5, 1.5], [-0.1], [math.nan], [[0.1]]):
        with pytest.raises(ValueError, match=r"0\.\.1"):
            betting_p_value(losses, 0.1, 0.05)
