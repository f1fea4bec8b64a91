"""Forecasts and how wrong they were."""

from __future__ import annotations

import numpy as np
import pytest

from smidgen.plans.stock.models import _chosen, _cuts, backtest, is_intermittent, quantiles, spreads

pytest.importorskip("statsforecast")


def rhythm(days: int, seed: int = 0) -> np.ndarray:
    week = np.array([1, 1, 1, 1.2, 1.5, 2, 0.2])
    return np.random.default_rng(seed).poisson(8 * np.resize(week, days)).astype(float)


def test_a_forecast_knows_the_week() -> None:
    made = backtest(rhythm(140), 14, 1)
    assert sum(made.weights.values()) == pytest.approx(1) and made.mean.shape == (14,) and made.errors.shape[1] == 14
    assert made.mean[5] > 3 * made.mean[6] and len(made.errors) > 8
    assert set(made.losses) >= {"the mean of Theta, ETS and CES", "the mean of the last weeks"}


def test_last_year_counts_most_where_it_is_better() -> None:
    year = 20 + 18 * np.sin(2 * np.pi * np.arange(208) / 52) + 30 * (np.arange(208) % 52 == 50)
    values = np.random.default_rng(0).poisson(np.maximum(1, year)).astype(float)
    made = backtest(values, 8, 7, origins=12, stride=4)
    expected = np.array([year[(208 + step) % 52] for step in range(8)])
    assert made.method == "the same weeks of last year" and np.abs(made.mean - expected).mean() < 6, (made.weights, made.mean, expected)


def test_two_years_of_days_know_last_year() -> None:
    """The weeks before the peak came twice: the second time last year tells more than the weeks so far."""
    days = np.arange(700)
    rate = 8 * np.where(days % 364 >= 300, 3, 1) * np.resize([1, 1, 1, 1.2, 1.5, 2, 0.2], 700)
    values = np.random.default_rng(0).poisson(rate).astype(float)[:664]  # until the peak begins again
    made = backtest(values, 28, 1)
    assert made.weights["the same weeks of last year"] > 0.1 and len(made.errors) >= 26
    assert made.mean.sum() > 1.2 * values[-28:].sum()


@pytest.mark.parametrize(("n", "horizon", "season", "stride", "known"), [(730, 28, 7, 7, 427), (104, 8, 52, 1, 61), (24, 3, 12, 1, 15)])
def test_earlier_dates_are_left_out_for_last_year_only_where_enough_remain(
    n: int, horizon: int, season: int, stride: int, known: int
) -> None:
    every = _cuts(known + horizon - 1, horizon, season, 52, stride)
    assert every and max(every) < known, "none knows last year"
    few = _cuts(known + horizon + 2 * stride, horizon, season, 52, stride)
    assert min(few) < known <= max(few), "too few would remain"
    most = _cuts(n, horizon, season, 52, stride)
    assert min(most) >= known and len(most) >= 4 and max(most) == n - horizon


def test_rare_sales() -> None:
    values = (np.random.default_rng(0).random(400) < 0.1).astype(float)
    made = backtest(values, 28, 1)
    assert is_intermittent(values) and made.method == "the plain mean"
    assert 1 < made.mean.sum() < 6


@pytest.mark.parametrize("period", [1, 7])
def test_slow_movers_of_a_constant_rate_get_their_plain_mean(period: int) -> None:
    """A forecast that follows chance is off by more: Croston's by half as much again."""
    off, plain = [], []
    for seed in range(60):
        values = np.random.default_rng(seed).poisson(0.3, 540 // period).astype(float)
        made = backtest(values, 28 // period, period)
        off.append(abs(made.mean.mean() / 0.3 - 1))
        plain.append(abs(values.mean() / 0.3 - 1))
    assert len(off) == 60 and float(np.mean(off)) < 1.22 * float(np.mean(plain))


def test_a_slow_mover_whose_level_changed_gets_its_new_level() -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        for before, now in ((0.05, 0.3), (0.4, 0.05)):
            made = backtest(np.concatenate([rng.poisson(before, 400), rng.poisson(now, 200)]).astype(float), 28, 1)
            assert abs(made.mean.mean() - now) < 0.5 * abs(before - now), (seed, before, now, made.weights)


def test_another_method_counts_only_where_it_was_clearly_better() -> None:
    rng = np.random.default_rng(0)
    usual, same, better = rng.normal(0, 2, (40, 4)), rng.normal(0, 1.9, (40, 4)), rng.normal(0, 0.2, (40, 4))
    assert _chosen({"a": usual, "b": same}, 4) == {"a": 1, "b": 0}
    assert _chosen({"a": usual, "b": same, "c": better}, 4) == {"a": 0, "b": 0, "c": 1}
    assert _chosen({"a": usual[:3], "c": better[:3]}, 4) == {"a": 1, "c": 0}, "three spans tell nothing"
    assert _chosen({"a": usual[:8], "c": better[:8]}, 1) == {"a": 1, "c": 0}, "neighbouring dates share most of their periods"


def test_a_forecast_is_never_below_zero_and_never_runs_away() -> None:
    falling = np.maximum(0, np.linspace(30, 0, 60) + np.random.default_rng(0).normal(0, 2, 60))
    assert backtest(falling, 28, 1).mean.min() >= 0
    rising = np.exp(np.linspace(0, 5, 60))
    assert backtest(rising, 28, 1).mean.max() <= 2 * rising.max()


def test_a_series_that_never_changes() -> None:
    assert backtest(np.full(120, 5.0), 14, 1).mean == pytest.approx(np.full(14, 5.0))
    assert backtest(np.full(120, 5.0), 8, 7).mean == pytest.approx(np.full(8, 5.0))


def test_a_short_series_has_a_forecast_and_no_errors() -> None:
    made = backtest(np.array([3.0, 4, 5, 3, 4, 5, 3, 4, 5, 3, 4, 5]), 13, 7)
    assert len(made.errors) == 0 and np.isfinite(made.mean).all()


def test_spreads_cover_what_comes() -> None:
    rng = np.random.default_rng(0)
    scales = rng.uniform(0.5, 4, 60)
    errors = [scale * rng.standard_t(4, (12, 5)) for scale in scales]
    high, inside = spreads([*errors, np.zeros((2, 5))], 0.95), []
    assert high[-1] is None, "two earlier dates tell nothing"
    for scale, spread in zip(scales, high, strict=False):
        assert spread is not None
        inside.append((scale * rng.standard_t(4, (200, 5)) <= spread).mean())
    assert len(inside) == 60 and abs(float(np.mean(inside)) - 0.95) < 0.015


def test_quantiles_are_rounded_outwards() -> None:
    errors = np.arange(1.0, 11.0)[:, None]
    assert quantiles(errors, 0.9).tolist() == [10] and quantiles(errors, 0.1).tolist() == [1] and quantiles(errors, 0.99).tolist() == [10]
