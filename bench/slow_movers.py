"""Forecasts of made items that sell now and then, whose true rate is known."""

from __future__ import annotations

import importlib.metadata
from collections import Counter
from typing import Any

from bench import results
from bench.context import Context

NAME = "slow_movers"
_SIDES = ("smidgen", "plain mean", "Croston", "SBA", "TSB", "mean of SBA and TSB")
COLUMNS = ("periods", "demand", "series", *(f"{side}, off by" for side in _SIDES), "smidgen took the plain mean")
KINDS = ("constant", "in lots", "three times as much", "a quarter as much", "with a season")
_RATES = {1: (0.3, 0.7, 1.5, 3.0), 7: (0.1, 0.2, 0.4)}
"""Pieces a week, by the days of a period: such items are intermittent."""
_LENGTHS = ((1, 540), (1, 180), (7, 104))
_SERIES = 30
_WEEKS = 26
"""Weeks ago that the level changed."""
LIKE_MEAN = 1.1
"""Most that the forecast of constant demand may be off, in times of the plain mean."""


def run(context: Context) -> None:
    """smidgen, and each method by itself, on made demand of five kinds."""
    section = results.Section(
        NAME,
        "What sells now and then",
        "Made items: Poisson demand of a constant rate, lots of several pieces, a level that changed half a year ago to three times or "
        "a quarter of what it was, and a season of a year. Each figure is the mean over items of how far the forecast of the next four "
        "weeks is off the true expectation, as a share of it. The seeds are others than those by which the rule of smidgen was chosen. "
        "Croston (1972), SBA (Syntetos and Boylan 2005) and TSB (Teunter, Syntetos and Babai 2011) are statsforecast's; the last "
        "column of methods is the forecast of smidgen before. Of the public series at hand none is of items that sell now and then.",
        COLUMNS,
        facts={"load before": results.load_average()},
        versions={"statsforecast": importlib.metadata.version("statsforecast")},
    )
    for period, length in _LENGTHS[:1] if context.quick else _LENGTHS:
        for kind in KINDS:
            off, plain = _measured(kind, period, length, 4 if context.quick else _SERIES, min(context.seeds))
            words = f"{length} {'days' if period == 1 else 'weeks'}"
            series = len(off["smidgen"])
            section.rows.append([words, kind, str(series), *(f"{sum(off[side]) / series:.1%}" for side in _SIDES), f"{plain} of {series}"])
            if kind in ("constant", "in lots"):
                ours, theirs = (sum(off[side]) / series for side in ("smidgen", "plain mean"))
                wanted = f"at most {LIKE_MEAN} times {theirs:.1%}"
                section.goals.append(results.Goal(f"off by, {kind}, {words}", wanted, f"{ours:.1%}", ours <= LIKE_MEAN * theirs))
    results.publish(context, section)


def _measured(kind: str, period: int, length: int, each: int, seed: int) -> tuple[dict[str, list[float]], int]:
    """How far each side is off on each series, and how often smidgen took the plain mean."""
    import numpy as np

    from smidgen.plans.stock.models import backtest, is_intermittent, need_statsforecast

    models, horizon = need_statsforecast(), 28 // period
    peers = {"Croston": models.CrostonClassic(), "SBA": models.CrostonSBA(), "TSB": models.TSB(alpha_d=0.1, alpha_p=0.1)}
    off: dict[str, list[float]] = {side: [] for side in _SIDES}
    taken: Counter[str] = Counter()
    for number in range(each):
        for rate in _RATES[period]:
            made, expected = series(kind, rate, period, length + horizon, np.random.default_rng([seed, 1000 + number]))
            known, true = made[:length], float(expected[length:].sum())
            if not is_intermittent(known) or np.count_nonzero(known) < 3:
                continue
            ours = backtest(known, horizon, period)
            taken[ours.method] += 1
            said = {name: float(model.forecast(known, horizon)["mean"].sum()) for name, model in peers.items()}
            said |= {"smidgen": float(ours.mean.sum()), "plain mean": float(known.mean()) * horizon}
            said["mean of SBA and TSB"] = (said["SBA"] + said["TSB"]) / 2
            for side, sold in said.items():
                off[side].append(abs(sold - true) / true)
    return off, taken["the plain mean"]


def series(kind: str, rate: float, period: int, length: int, rng: Any) -> tuple[Any, Any]:
    """Pieces sold in each period, and what was to be expected. `rate`: pieces a week."""
    import numpy as np

    at = np.arange(length)
    expected = np.full(length, rate * period / 7)
    if kind == "with a season":
        expected = expected * (1 + 0.8 * np.sin(2 * np.pi * at * period / 364))
    elif kind == "in lots":
        lots = np.minimum(1.0, expected / 3.5)
        return (rng.binomial(1, lots) * (1 + rng.geometric(0.4, length))).astype(float), 3.5 * lots
    elif kind != "constant":
        expected[length - 28 // period - _WEEKS * 7 // period :] *= 3 if kind == "three times as much" else 0.25
    return rng.poisson(expected).astype(float), expected
