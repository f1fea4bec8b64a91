"""Forecasts of many series: in several processes, and once only."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from smidgen.plans.stock import backtests
from smidgen.plans.stock.models import backtest

pytest.importorskip("statsforecast")
SERIES = [np.random.default_rng(seed).poisson(3 + seed, 70).astype(float) for seed in range(4)]


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    backtests._cache.clear()
    yield
    backtests._cache.clear()


@pytest.mark.thorough
def test_two_processes_give_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtests, "threads", lambda: 2)
    monkeypatch.setattr(backtests, "SERIES_PER_HELPER", 2)
    expected = [backtest(values, 7, 1) for values in SERIES]
    found = backtests.backtests(SERIES, 7, 1)
    assert [one.method for one in found] == [one.method for one in expected] and len(found) == 4
    assert all(
        np.array_equal(one.mean, other.mean) and np.array_equal(one.errors, other.errors)
        for one, other in zip(found, expected, strict=True)
    )


def test_a_series_is_forecast_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []
    monkeypatch.setattr(backtests, "backtest", lambda values, horizon, period: tried.append(horizon) or backtest(values, horizon, period))
    first = backtests.backtests(SERIES[:2], 7, 1)
    assert backtests.backtests([SERIES[1], SERIES[0]], 7, 1) == [first[1], first[0]] and tried == [7, 7]
    backtests.backtests(SERIES[:1], 8, 1)
    assert tried == [7, 7, 8]


def test_few_series_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtests, "_pool", lambda helpers: pytest.fail("a process was started"))
    assert len(backtests.backtests(SERIES[:2], 7, 1)) == 2


def test_a_process_that_may_start_none_forecasts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtests, "_pool", lambda helpers: pytest.fail("a process was started"))
    monkeypatch.setattr(backtests, "current_process", lambda: SimpleNamespace(daemon=True))
    monkeypatch.setattr(backtests, "SERIES_PER_HELPER", 1)
    monkeypatch.setattr(backtests, "threads", lambda: 2)
    assert len(backtests.backtests(SERIES[:1], 7, 1)) == 1


def test_series_of_a_process_that_broke_are_forecast_here(monkeypatch: pytest.MonkeyPatch) -> None:
    from concurrent.futures import ThreadPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    here = backtests._alone
    monkeypatch.setattr(backtests, "threads", lambda: 2)
    monkeypatch.setattr(backtests, "SERIES_PER_HELPER", 2)
    calls: list[int] = []

    def breaking(*given: object) -> object:
        calls.append(1)
        if len(calls) == 1:
            raise BrokenProcessPool("the helper is gone")
        return here(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(backtests, "ProcessPoolExecutor", lambda most, mp_context: ThreadPoolExecutor(most))
    monkeypatch.setattr(backtests, "_alone", breaking)
    assert [one.method for one in backtests.backtests(SERIES, 7, 1)] == [backtest(values, 7, 1).method for values in SERIES]
