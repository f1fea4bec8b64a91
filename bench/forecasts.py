"""Forecasts of weekly series (M4), and stock that lasts until the next delivery in a made shop whose future is known."""

from __future__ import annotations

import csv
import datetime
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import data, results
from bench.context import Context

NAME = "forecasts"
COLUMNS = ("system", "sMAPE", "95 %", "smidgen ahead by", "95 %", "90 % interval covers", "95 %", "its width", "seconds")
SMAPE, COVER, SUFFICE = 8.7, (0.88, 0.92), 0.93
_HORIZON, _WEEKS, _ORIGINS, _STRIDE = 13, 260, 12, 4
_SHOP_DATES, _SHOP_STRIDE = 12, 14
"""Days of the made shop at which all its items are forecast."""


def run(context: Context) -> None:
    """smidgen, naive, Theta and AutoETS on M4's weekly series; then the made shop."""
    known, came = _series(context.data)
    if context.quick:
        known, came = known[:12], came[:12]
    section = results.Section(
        NAME,
        "What will be sold",
        f"The {len(known)} weekly series of the M4 competition, the 13 weeks of its test. Every side learns the last {_WEEKS} weeks. "
        "smidgen's weights of methods and its intervals come from earlier dates of the same series; what else there is to choose was "
        "chosen on series that end 13, 26 and 39 weeks earlier. sMAPE is the mean over series; its interval and that of the difference "
        "are by bootstrap over series. The interval's share of covered weeks is over all series and weeks, its own interval by bootstrap "
        "over series; its width is the median over series, as a share of the series' usual level. The peers' intervals are their own.",
        COLUMNS,
        facts={"load before": results.load_average()},
        versions=_versions(),
    )
    found = {name: _measured(made, known, came) for name, made in _systems().items()}
    ours = found["smidgen"]
    section.rows = [_row(name, one, ours) for name, one in found.items()]
    mean = float(ours["smape"].mean())
    covered = float(ours["covered"].mean())
    section.goals = [
        results.at_most("sMAPE", SMAPE, mean, "%", ".2f"),
        results.at_least("90 % interval covers at least", COVER[0], covered),
        results.Goal("90 % interval covers at most", f"{COVER[1]:.0%}", f"{covered:.2%}", covered <= COVER[1]),
        *(_below(name, mean, float(one["smape"].mean())) for name, one in found.items() if name != "smidgen"),
    ]
    share, told = _shop(context)
    section.goals.append(results.at_least("pieces that should suffice with 95 % do, in the made shop", SUFFICE, share))
    section.notes = [told]
    results.publish(context, section)


def _below(name: str, ours: float, theirs: float) -> results.Goal:
    """A goal to be below a peer's sMAPE."""
    return results.Goal(f"sMAPE below that of {name}", f"below {theirs:.2f} %", f"{ours:.2f} %", ours < theirs)


def _series(folder: Path) -> tuple[list[Any], list[Any]]:
    """Training and test values of each series."""
    import numpy as np

    files = [folder / "m4-weekly" / f"Weekly-{part}.csv" for part in ("train", "test")]
    tables = []
    for file in files:
        if not file.is_file():
            raise data.NoData(f"{file} is not here")
        rows = list(csv.reader(file.read_text(encoding="utf-8").splitlines()))[1:]
        tables.append({row[0]: np.array([float(cell) for cell in row[1:] if cell]) for row in rows})
    return list(tables[0].values()), [tables[1][name] for name in tables[0]]


def _versions() -> Mapping[str, str]:
    import importlib.metadata

    return {"statsforecast": importlib.metadata.version("statsforecast")}


def _systems() -> dict[str, Callable[[Sequence[Any]], list[tuple[Any, Any, Any]]]]:
    """From series to their forecasts, lower and upper ends."""
    from smidgen.plans.stock.models import need_statsforecast

    models = need_statsforecast()
    return {
        "smidgen": _own,
        "naive": _peer(models.Naive()),
        "Theta": _peer(models.Theta(season_length=1)),
        "Theta, season of a year": _peer(models.Theta(season_length=52)),
        "AutoETS": _peer(models.AutoETS(season_length=1)),
        "mean of naive, Theta and AutoETS": _mean([models.Naive(), models.Theta(season_length=1), models.AutoETS(season_length=1)]),
    }


def _own(known: Sequence[Any]) -> list[tuple[Any, Any, Any]]:
    from smidgen.plans.stock.models import backtest, spreads

    made = [backtest(values[-_WEEKS:], _HORIZON, 7, _ORIGINS, _STRIDE) for values in known]
    ends = [spreads([one.errors for one in made], level) for level in (0.05, 0.95)]
    return [
        (one.mean, one.mean + one.scale * low, one.mean + one.scale * high)
        for one, low, high in zip(made, *ends, strict=True)  # type: ignore[operator]
    ]


def _peer(model: Any) -> Callable[[Sequence[Any]], list[tuple[Any, Any, Any]]]:
    def made(known: Sequence[Any]) -> list[tuple[Any, Any, Any]]:
        found = []
        for values in known:
            # A series shorter than two seasons has none to learn.
            own = type(model)(season_length=1) if getattr(model, "season_length", 1) > 1 and len(values) < 2 * 52 + 1 else model
            one = own.forecast(values[-_WEEKS:], _HORIZON, level=[90])
            found.append((one["mean"], one["lo-90"], one["hi-90"]))
        return found

    return made


def _mean(parts: Sequence[Any]) -> Callable[[Sequence[Any]], list[tuple[Any, Any, Any]]]:
    def made(known: Sequence[Any]) -> list[tuple[Any, Any, Any]]:
        import numpy as np

        nothing = np.full(_HORIZON, np.nan)
        means = [np.mean([part.forecast(values[-_WEEKS:], _HORIZON)["mean"] for part in parts], axis=0) for values in known]
        return [(mean, nothing, nothing) for mean in means]

    return made


def _measured(made: Callable[[Sequence[Any]], list[tuple[Any, Any, Any]]], known: Sequence[Any], came: Sequence[Any]) -> dict[str, Any]:
    import numpy as np

    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = made(known)
    seconds = time.perf_counter() - began
    smape = [200 * np.mean(np.abs(true - mean) / (np.abs(true) + np.abs(mean))) for (mean, _, _), true in zip(found, came, strict=True)]
    covered = [((true >= low) & (true <= high)).mean() for (_, low, high), true in zip(found, came, strict=True)]
    width = [np.mean(high - low) / np.abs(values[-26:]).mean() for (_, low, high), values in zip(found, known, strict=True)]
    return {"smape": np.array(smape), "covered": np.array(covered), "width": float(np.median(width)), "seconds": seconds}


def _span(values: Any) -> tuple[float, float]:
    """The 95 % interval of a mean, by bootstrap over series."""
    import numpy as np

    drawn = np.random.default_rng(0).integers(len(values), size=(2000, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _row(name: str, one: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    ahead = one["smape"] - ours["smape"]
    own = name == "smidgen"
    low, high = _span(one["covered"])
    blind = one["width"] != one["width"]
    return [
        name,
        f"{one['smape'].mean():.2f}",
        "{:.2f} to {:.2f}".format(*_span(one["smape"])),
        "" if own else f"{ahead.mean():+.2f}",
        "" if own else "{:+.2f} to {:+.2f}".format(*_span(ahead)),
        "" if blind else f"{one['covered'].mean():.2%}",
        "" if blind else f"{low:.1%} to {high:.1%}",
        "" if blind else f"{one['width']:.3f}",
        results.number(one["seconds"]),
    ]


def _shop(context: Context) -> tuple[float, str]:
    """How often the pieces that should suffice for a lead time and a week do, in the made shop: the share, and a sentence."""
    import numpy as np

    from smidgen.plans.solving import ProblemTable
    from smidgen.plans.stock.cleaning import clean_sales
    from smidgen.plans.stock.demand import forecast_demands
    from smidgen.plans.stock.sales import read_sales
    from tools import shop_sales

    header = ("date", "sku", "quantity", "promotion")
    days = _SHOP_STRIDE * (2 if context.quick else _SHOP_DATES) + 60
    past, future = shop_sales.made(days)
    rows = [dict(zip(header, map(str, row), strict=True)) for row in sorted([*past, *future])]
    leads = {item.sku: item.lead for item in shop_sales.ITEMS}
    inside: dict[bool, list[bool]] = {True: [], False: []}
    bought, needed = 0.0, 0.0
    for number in range(2 if context.quick else _SHOP_DATES):
        cut = (shop_sales.LAST + datetime.timedelta(days=_SHOP_STRIDE * number)).isoformat()
        table = ProblemTable("sales.csv", header, list(enumerate((row for row in rows if row["date"] <= cut), 1)))
        history = read_sales(table)
        clean = [one for sales in history.items.values() if not (one := clean_sales(sales, history)).refused]
        spans = [leads[one.sales.item] + 7 for one in clean]
        for one, span, made in zip(clean, spans, forecast_demands(list(zip(clean, spans, strict=True)), history, 0.95), strict=True):
            until = (history.last + datetime.timedelta(days=span)).isoformat()
            sold = sum(max(0, int(row["quantity"])) for row in rows if row["sku"] == one.sales.item and cut < row["date"] <= until)
            inside[one.usual.mean() < 0.5].append(sold <= np.ceil(made.enough[span]))
            bought, needed = bought + float(np.ceil(made.enough[span])), needed + sold
    every, dates = [*inside[True], *inside[False]], 2 if context.quick else _SHOP_DATES
    told = (
        f"The made shop (`python -m tools.shop_sales`), {len(every)} forecasts of its items at {dates} dates, two weeks apart, after all "
        f"that was ever fitted: the pieces that should suffice for lead time and a week with 95 % do in {np.mean(every):.1%} "
        f"({np.mean(inside[False]):.1%} of steady items, {np.mean(inside[True]):.1%} of those that sell now and then). They are "
        f"{bought / needed:.2f} times what was sold."
    )
    return float(np.mean(every)), told
