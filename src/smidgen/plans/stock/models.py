"""Forecast a series with statsforecast, and learn from its own past how wrong that is.

The series is cut at several earlier dates, and each method forecasts what came next. The forecast is a mean of the methods, each weighed by
how well it did. The errors of that mean give the intervals. Of a series that sells now and then one method forecasts: the plain mean, or
one that was clearly better.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import MissingExtra

Values: TypeAlias = NDArray[np.float64]

MIN_FIRST_PART = 12
"""Minimum number of periods in the first part of a series that is cut."""
_ORIGINS = 52
_MIN_ORIGINS = 4
"""Minimum number of earlier dates to estimate the scatter from."""
_WINDOW = 5 * 52
"""Latest periods that a model of weeks learns from; of days, two years."""
_INTERMITTENT = 1.32
"""Mean distance of periods with sales from which on a series is intermittent (Syntetos, Boylan and Croston 2005)."""
_LONG_SEASON = 24
"""Longest season that exponential smoothing takes itself; of a longer one the series is freed first (MSTL)."""
_CLEARLY = 2.0
"""Standard errors by which another method must have been better than the plain mean, of a series that sells now and then."""
_MIN_SPANS = 4.0
"""Minimum number of separate spans of the horizon for that comparison."""
_LEVEL_DAYS = 91
"""Minimum days before and after a change of the level."""
_CHANGED = 3.2
"""Standard errors from which on a change is clear. Chosen on made series with a change and without, with other seeds than the bench's."""
_SEASON = {1: 7, 7: 52, 30: 12}
"""Periods of a season, by the days of a period."""
_STEP = {1: 0.02, 7: 0.1, 30: 0.3}
"""How much of TSB's probability of a sale each new period decides, by the days of a period: of a week as much as of its days together."""
_SEVERAL = 2.0
"""How much the mean of several models counts beside another method with the same error."""
_RECENT = 8
"""Weeks that are compared with the same weeks of the year before."""


class _Forecaster(Protocol):
    def fit(self, y: Values) -> Any: ...

    def forward(self, y: Values, h: int) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Backtest:
    """A forecast of one series, with the errors of the same method in its past.

    Attributes:
        mean: (h,) the forecast of each period.
        errors: (origins, h) what came minus what was forecast, in units of `scale` at each earlier date.
        scale: what an error of 1 is today.
        weights: of each method in the forecast, by its words.
        losses: mean absolute error of each method in the past; NaN without a past.
    """

    mean: Values
    errors: Values
    scale: float
    weights: Mapping[str, float]
    losses: Mapping[str, float]

    @property
    def method(self) -> str:
        """The method that counts most, in words."""
        return max(self.weights, key=lambda words: self.weights[words])


def is_intermittent(values: Values) -> bool:
    """Whether sales of a series are mostly zero, with single sales between."""
    return len(values) > _INTERMITTENT * int(np.count_nonzero(values))


def backtest(values: Values, horizon: int, period: int, origins: int = _ORIGINS, stride: int | None = None) -> Backtest:
    """The forecast of the next `horizon` periods.

    Args:
        values: (n,) without gaps, the latest last; at least `MIN_FIRST_PART`.
        horizon: periods to forecast.
        period: days of a period: 1, 7 or 30 (a month). Days have a season of a week; weeks and months have one of a year.
        origins: most earlier dates that it is tried at.
        stride: periods between these dates (default: a week).

    Raises MissingExtra without statsforecast.
    """
    values = np.asarray(values, dtype=np.float64)[-(730 if period == 1 else _WINDOW) :]
    season = _SEASON[period]
    stride = stride or (7 if period == 1 else 1)
    cuts = _cuts(len(values), horizon, season, origins, stride)
    rare = is_intermittent(values)
    methods = _intermittent_methods(season, period) if rare else _smooth_methods(season, len(values), cuts)
    floor = 0.0 if values.min() >= 0 else -np.inf
    found: dict[str, tuple[Values, Values]] = {}
    scales = np.array([_scale(values[:cut], period) for cut in cuts])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for words, method in methods.items():
            made = method(values, cuts, horizon)
            if made is None:
                continue
            made = np.maximum(made, floor)
            came = np.array([values[cut : cut + horizon] for cut in cuts]).reshape(len(cuts), horizon)
            found[words] = (made[-1], (came - made[:-1]) / scales[:, None])
    losses = {words: float(np.abs(own * scales[:, None]).mean()) if len(cuts) else float("nan") for words, (_, own) in found.items()}
    weights = _chosen({words: own * scales[:, None] for words, (_, own) in found.items()}, stride) if rare else _weights(losses)
    mean = sum((weights[words] * forecast for words, (forecast, _) in found.items()), np.zeros(horizon))
    errors = sum((weights[words] * own for words, (_, own) in found.items()), np.zeros((len(cuts), horizon)))
    return Backtest(mean, errors, _scale(values, period), weights, losses)


def _cuts(n: int, horizon: int, season: int, origins: int, stride: int) -> list[int]:
    """Where the series is cut, the earliest first. The first part keeps two seasons, or half of the series.

    A method is compared with the others at all dates or not at all. So the earliest are left out where last year's weeks cannot be known
    yet, if enough later ones remain.
    """
    least = max(MIN_FIRST_PART, min(2 * season + horizon, n // 2))
    last = n - horizon
    cuts = list(range(last, least - 1, -stride))[:origins]
    late = [cut for cut in cuts if cut >= _year_in_periods(season).needed]
    return (late if len(late) >= max(_MIN_ORIGINS, len(cuts) / 2) else cuts)[::-1]


@dataclass(frozen=True)
class _Year:
    """A year in periods: its length, a week or a month, the latest periods that are compared with the year before, and the values that this
    needs."""

    length: int
    step: int
    recent: int

    @property
    def needed(self) -> int:
        return self.length + self.recent + self.step


def _year_in_periods(season: int) -> _Year:
    length, step = (364, 7) if season == 7 else (season, 1)
    return _Year(length, step, 2 if season == 12 else _RECENT * step)


def _scale(values: Values, period: int) -> float:
    """The usual size of a value in the latest half year, since errors grow with the series."""
    recent = np.abs(values[-26 * 7 // period :])
    return float(max(recent.mean(), np.abs(values).mean() * 0.3, 1e-9))


def _weights(losses: Mapping[str, float]) -> dict[str, float]:
    """The weight of each method in the forecast: by the inverse square of its error in the past.

    The first is a mean of several, and counts as much as they do. Without a past it alone counts.
    """
    usual = next(iter(losses))
    if not np.isfinite(losses[usual]):
        return {words: float(words == usual) for words in losses}
    least = max(1e-9, 1e-3 * max(losses.values()))
    raw = {words: (_SEVERAL if words == usual else 1.0) / max(least, loss) ** 2 for words, loss in losses.items()}
    return {words: weight / sum(raw.values()) for words, weight in raw.items()}


def _chosen(errors: Mapping[str, Values], stride: int) -> dict[str, float]:
    """The weight of each method of a series that sells now and then: the first counts alone, unless another was clearly better.

    They are compared by the squares of their errors over the whole horizon. An absolute error of a single period would prefer a forecast of
    zero: that is the median of most periods. Spans of neighbouring dates overlap, so they count as fewer.

    Args:
        errors: (origins, h) of each method, in pieces.
        stride: periods between the dates.
    """
    usual = next(iter(errors))
    taken, least = usual, 0.0
    for words, own in errors.items():
        gains = errors[usual].sum(axis=1) ** 2 - own.sum(axis=1) ** 2
        spans = len(gains) * min(1.0, stride / own.shape[1])
        if words == usual or spans < _MIN_SPANS:
            continue
        gain = float(gains.mean()) - _CLEARLY * float(gains.std(ddof=1)) / spans**0.5
        if gain > least:
            taken, least = words, gain
    return {words: float(words == taken) for words in errors}


_Method: TypeAlias = Callable[[Values, Sequence[int], int], Values | None]
"""From values, cuts and a horizon to (cuts + 1, horizon) forecasts: from each cut, and from the end. None where it does not fit."""


def _smooth_methods(season: int, n: int, cuts: Sequence[int]) -> dict[str, _Method]:
    least = cuts[0] if cuts else n
    own = season if least >= 2 * season + 1 else 1
    found: dict[str, _Method] = {"the mean of Theta, ETS and CES": _mean_of_three(own)}
    found["the same weeks of last year"] = _last_year(season)
    if season == 7:
        found["the mean of the last weeks"] = _last_weeks
    else:
        found["the last value"] = lambda values, cuts, h: np.array([np.full(h, values[cut - 1]) for cut in (*cuts, len(values))])
    return found


def _intermittent_methods(season: int, period: int) -> dict[str, _Method]:
    """Croston (1972), without its bias by Syntetos and Boylan (2005), and with a probability that falls by Teunter, Syntetos and Babai
    (2011)."""
    models = need_statsforecast()
    return {
        "the plain mean": lambda values, cuts, h: np.array(
            [np.full(h, _current_level(values[:end], period)) for end in (*cuts, len(values))]
        ),
        "Croston": _flat(models.CrostonClassic()),
        "Croston by Syntetos and Boylan": _flat(models.CrostonSBA()),
        "Croston by Teunter, Syntetos and Babai": _flat(models.TSB(alpha_d=0.1, alpha_p=_STEP[period])),
        "the same weeks of last year": _last_year(season),
    }


def _mean_of_three(season: int) -> _Method:
    def made(values: Values, cuts: Sequence[int], h: int) -> Values:
        models = need_statsforecast()
        ets = models.AutoETS(season_length=season if season <= _LONG_SEASON else 1, model="ZZZ" if season <= _LONG_SEASON else "ZZN")
        three = (
            models.Theta(season_length=season, decomposition_type="additive" if values.min() <= 0 else "multiplicative"),
            ets if season <= _LONG_SEASON else models.MSTL(season, trend_forecaster=ets),
            models.AutoCES(season_length=season),
        )
        parts = [found for model in three if (found := _forecasts_of(model, values, cuts, h)) is not None]
        return np.mean(parts, axis=0) if parts else np.array([np.full(h, values[:cut].mean()) for cut in (*cuts, len(values))])

    return made


def _forecasts_of(model: _Forecaster, values: Values, cuts: Sequence[int], h: int) -> Values | None:
    """Forecasts from each cut, fitted up to the first cut, and from the end, fitted on all values."""
    found = []
    try:
        for fitted, ends in ((cuts[0], cuts), (len(values), [len(values)])) if cuts else ((len(values), [len(values)]),):
            if np.ptp(values[:fitted]) == 0:  # models refuse a series that never changes
                found += [np.full(h, values[end - 1]) for end in ends]
                continue
            model.fit(values[:fitted])
            found += [_clipped(model.forward(values[:end], h)["mean"], values[:end]) for end in ends]
    except (ValueError, NotImplementedError, ZeroDivisionError, IndexError, np.linalg.LinAlgError):
        return None
    made = np.array(found, dtype=np.float64)
    return made if np.isfinite(made).all() else None


def _clipped(forecast: Values, values: Values) -> Values:
    """Clip a forecast to the range of the values, widened by itself on both sides: in a short series a trend can run away."""
    low, high = float(values.min()), float(values.max())
    return np.clip(forecast, low - (high - low), high + (high - low))


def _last_year(season: int) -> _Method:
    """Last year's weekdays, averaged with the week before and after, scaled by the recent change in sales."""
    span = _year_in_periods(season)
    year, step, recent = span.length, span.step, span.recent

    def made(values: Values, cuts: Sequence[int], h: int) -> Values | None:
        if h > year - step or (cuts[0] if cuts else len(values)) < span.needed:
            return None
        found = []
        for end in (*cuts, len(values)):
            then = np.array(
                [np.mean([values[end + j - year + shift] for shift in (-step, 0, step) if end + j - year + shift < end]) for j in range(h)]
            )
            before, now = values[end - year - recent : end - year].sum(), values[end - recent : end].sum()
            found.append(then * np.clip((now + 1) / (before + 1), 0.25, 4.0))
        return np.array(found)

    return made


def _last_weeks(values: Values, cuts: Sequence[int], h: int) -> Values | None:
    found = []
    for end in (*cuts, len(values)):
        weeks = values[max(0, end - 7 * _RECENT) : end]
        weeks = weeks[len(weeks) % 7 :].reshape(-1, 7)
        if not len(weeks):
            return None
        found.append(np.resize(weeks.mean(axis=0), h))
    return np.array(found)


def _current_level(values: Values, period: int) -> float:
    """The mean since the level last changed clearly: of all values, if it never did.

    The place of a change is where two means explain the counts best, by the likelihood ratio of Poisson counts. It is clear if the ratio is
    large beside how much more than such counts these scatter.
    """
    least = max(2, _LEVEL_DAYS // period)
    while len(values) >= 2 * least and values.sum() > 0:
        n, at = len(values), np.arange(least, len(values) - least + 1)
        before = values.cumsum()[at - 1]
        after = values.sum() - before
        gained = 2 * (_log_likelihood_gain(before, at * values.mean()) + _log_likelihood_gain(after, (n - at) * values.mean()))
        best = int(gained.argmax())
        fitted = np.where(np.arange(n) < at[best], before[best] / at[best], after[best] / (n - at[best]))
        scatter = max(1.0, float(((values - fitted) ** 2).sum() / values.sum()))
        if gained[best] < scatter * _CHANGED**2:
            break
        values = values[at[best] :]
    return float(values.mean())


def _log_likelihood_gain(counts: Values, expected: Values) -> Values:
    """The gain in the log-likelihood of Poisson counts at their own mean over the expected one, without constant terms."""
    return counts * np.log(np.maximum(counts, 1e-9) / expected)


def _flat(model: Any) -> _Method:
    return lambda values, cuts, h: np.array([model.forecast(values[:end], h)["mean"] for end in (*cuts, len(values))])


def need_statsforecast() -> Any:
    """`statsforecast.models`. Raises MissingExtra if it is not installed."""
    try:
        from statsforecast import models
    except ImportError as error:
        raise MissingExtra("statsforecast", "plans") from error
    return models


# Intervals, from the errors of the past.


def spreads(errors: Sequence[Values], level: float) -> list[Values | None]:
    """For each series what its errors stay below with a probability, by step: (h,); None for a series with too few earlier dates.

    How far a series scatters is its own mean absolute error. How often an error of a step is some times as large is learnt from all series
    together: each is compared with the mean of its series at other dates, as in split conformal prediction (Vovk et al. 2005). Not at the
    dates next to it: they share most of its periods, and so its errors.

    Args:
        errors: (origins, h) of each series; those of neighbouring dates share periods.
        level: such as 0.95; below 0.5 for the lower end.
    """
    usable = [own for own in errors if len(own) >= _MIN_ORIGINS]
    ratios = []
    for own in usable:
        dates = np.arange(len(own))
        apart = 1 if len(own) > 5 else 0  # of very few dates, all others count
        ratios += [own[place] / _mean_absolute_error(own[np.abs(dates - place) > apart]) for place in dates]
    if not ratios:
        return [None] * len(errors)
    tail = quantiles(np.array(ratios), level)
    return [tail * _mean_absolute_error(own) if len(own) >= _MIN_ORIGINS else None for own in errors]


def _mean_absolute_error(errors: Values) -> float:
    return max(float(np.abs(errors).mean()), 1e-6)


def quantiles(errors: Values, level: float) -> Values:
    """(h,) the quantile of each step's errors: the k-th smallest of n with k = level times n + 1, rounded outwards."""
    ordered = np.sort(errors, axis=0)
    place = level * (len(ordered) + 1)
    rank = int(np.ceil(place)) if level >= 0.5 else int(np.floor(place))
    found: Values = ordered[min(len(ordered), max(1, rank)) - 1]
    return found
