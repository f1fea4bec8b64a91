"""The learning curve: a power law through measured points, forecasts with their reliability, and the labels that gain most.

Accuracy as a function of training rows n follows a - b * n^-c closely (Hestness et al. 2017; Rosenfeld et al. 2020): it rises to a ceiling
a, and the gap shrinks by a constant factor with every doubling.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smidgen.core.forms import LabelForm
from smidgen.core.rows import Row, Text
from smidgen.judge.sections import AccuracyForecast, ClassRow, CurvePoint, LabelWorth, LearningCurve
from smidgen.stats import kernel_ridge
from smidgen.stats.intervals import Floats

EXTRA = (200, 2000)
_EXPONENTS = np.geomspace(0.05, 2.0, 80)  # published exponents of text classifiers lie between 0.1 and 1
_DRAWS = 400
_LEAST_SIZES = 4  # a curve of three parameters always fits three points and shows nothing
_FARTHEST = 4.0  # times the largest measured size: beyond it the curve is a guess
_WIDEST = 0.06  # an interval wider than six points is not a forecast
_NOISE_FLOOR = 0.001


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """accuracy = ceiling - gap * n^-exponent."""

    ceiling: float
    gap: float
    exponent: float

    def at(self, n: float) -> float:
        """The fitted value at n rows."""
        return float(self.ceiling - self.gap * n**-self.exponent)


def fit(sizes: Floats, values: Floats) -> PowerLaw:
    """Least squares with 0 <= ceiling <= 1 and gap >= 0. For each exponent of a grid the rest is linear, so there is no local minimum."""
    found = _fits(sizes, values[None, :])
    return PowerLaw(*(float(column[0]) for column in found))


def _fits(sizes: Floats, values: Floats) -> tuple[Floats, Floats, Floats]:
    """Fit (draws, points) values: ceilings, gaps and exponents, each (draws,)."""
    best = np.full(len(values), np.inf)
    ceilings, gaps, exponents = (np.zeros(len(values)) for _ in range(3))
    for exponent in _EXPONENTS:
        x = sizes**-exponent
        spread = ((x - x.mean()) ** 2).sum()
        gap = np.maximum(0.0, -((values - values.mean(axis=1, keepdims=True)) * (x - x.mean())).sum(axis=1) / spread)
        ceiling = values.mean(axis=1) + gap * x.mean()
        # An accuracy cannot exceed 1: fix the ceiling at 1 and fit only the gap.
        over = ceiling > 1.0
        gap = np.where(over, np.maximum(0.0, ((1.0 - values) * x).sum(axis=1) / (x * x).sum()), gap)
        ceiling = np.where(over, 1.0, ceiling)
        error = ((ceiling[:, None] - gap[:, None] * x - values) ** 2).sum(axis=1)
        better = error < best - 1e-15
        best[better], ceilings[better], gaps[better], exponents[better] = error[better], ceiling[better], gap[better], exponent
    return ceilings, gaps, exponents


def learn(
    points: Sequence[tuple[int, float]],
    *,
    extra: Sequence[int] = EXTRA,
    seed: int = 0,
    per_class: Sequence[ClassRow] = (),
    by_label: Mapping[str, Sequence[tuple[int, float]]] | None = None,
) -> LearningCurve:
    """The curve, its forecasts for `extra` more rows each, and the labels for which more rows are worth most.

    Args:
        points: measured (training rows, accuracy), in any order; several seeds at one size are welcome. The largest size is the model's
            own.
        seed: of the resamples behind the band.
        per_class: the report's class rows, with `train`; for the worth of labels.
        by_label: per label, (training rows of the label, recall) at the measured sizes, if measured.
    """
    groups: dict[int, list[float]] = defaultdict(list)
    for n, value in points:
        if n > 0 and math.isfinite(value):
            groups[int(n)].append(float(value))
    sizes = np.array(sorted(groups), dtype=np.float64)
    means = np.array([np.mean(groups[int(n)]) for n in sizes])
    shown = tuple(
        CurvePoint(n=n, value=float(np.mean(groups[n])), low=min(groups[n]), high=max(groups[n]))
        if len(groups[n]) > 1
        else CurvePoint(n=n, value=groups[n][0])
        for n in sorted(groups)
    )
    why_not = _unfit(sizes, means)
    if why_not:
        return LearningCurve(points=shown, why_not=why_not)
    curve = fit(sizes, means)
    now = sizes[-1]
    ceilings, gaps, exponents = _fits(sizes, _redrawn(sizes, means, curve, groups, seed))

    def drawn(n: float) -> Floats:
        return np.asarray(ceilings - gaps * n**-exponents)

    forecasts = tuple(_forecast(more, curve, float(now), drawn) for more in extra)
    # Drawn only as far as it is trusted.
    farthest = max([float(now), *(float(forecast.n) for forecast in forecasts if forecast.trusted)])
    grid = np.unique(np.round(np.geomspace(sizes[0], farthest, 40)))
    band = tuple(_band_point(float(n), curve, drawn(float(n))) for n in grid)
    # The labels' gains rest on the same curve: without a trusted forecast there are none.
    reducible = min(1.0, max(0.0, (curve.ceiling - curve.at(float(now))) / max(1 - curve.at(float(now)), 1e-9)))
    trusted = any(forecast.trusted for forecast in forecasts)
    labels = worth(per_class, exponent=curve.exponent, by_label=by_label, reducible=reducible) if trusted else ()
    return LearningCurve(
        points=shown, fitted=True, ceiling=curve.ceiling, exponent=curve.exponent, band=band, forecasts=forecasts, labels=labels
    )


def _unfit(sizes: Floats, means: Floats) -> str:
    if len(sizes) < _LEAST_SIZES:
        return f"accuracy was measured at {len(sizes)} training sizes; a curve needs at least {_LEAST_SIZES}"
    if sizes[-1] < 3 * sizes[0]:
        return "the measured sizes lie too close together to show a curve"
    curve = fit(sizes, means)
    rise = curve.at(float(sizes[-1])) - curve.at(float(sizes[0]))
    miss = float(np.sqrt(np.mean([(curve.at(float(n)) - value) ** 2 for n, value in zip(sizes, means, strict=True)])))
    if rise <= 0 or miss > 0.25 * rise:
        return "accuracy does not rise steadily with training rows, so the curve says nothing about more of them"
    return ""


def _redrawn(sizes: Floats, means: Floats, curve: PowerLaw, groups: Mapping[int, Sequence[float]], seed: int) -> Floats:
    """(draws, points) resampled accuracies: the curve plus noise.

    The noise is the residuals' variance or that between seeds, whichever is larger. With so few points the variance itself is uncertain,
    so it is drawn from the scaled inverse chi-square distribution.
    """
    rng = np.random.default_rng(seed)
    residuals = means - np.array([curve.at(float(n)) for n in sizes])
    freedom = max(1, len(sizes) - 3)
    variance = float((residuals**2).sum()) / freedom
    seeds = [np.var(values, ddof=1) / len(values) for values in groups.values() if len(values) > 1]
    if seeds:
        variance = max(variance, float(np.mean(seeds)))
        freedom += sum(len(values) - 1 for values in groups.values() if len(values) > 1)
    scale = np.sqrt(max(variance, _NOISE_FLOOR**2) * freedom / rng.chisquare(freedom, size=(_DRAWS, 1)))
    fitted = means - residuals
    return np.asarray(np.clip(fitted + scale * rng.standard_normal((_DRAWS, len(sizes))), 0.0, 1.0))


def _band_point(n: float, curve: PowerLaw, values: Floats) -> CurvePoint:
    low, high = np.quantile(values, [0.025, 0.975])
    value = curve.at(n)
    return CurvePoint(n=int(n), value=value, low=max(0.0, min(float(low), value)), high=min(1.0, max(float(high), value)))


def _forecast(more: int, curve: PowerLaw, now: float, drawn: Callable[[float], Floats]) -> AccuracyForecast:
    then = now + more
    point = _band_point(then, curve, drawn(then))
    gains = drawn(then) - drawn(now)
    gain = curve.at(then) - curve.at(now)
    gain_low, gain_high = (float(bound) for bound in np.quantile(gains, [0.025, 0.975]))
    low, high = point.low or 0.0, point.high or 1.0
    why = ""
    if then > _FARTHEST * now:
        why = f"{more:,} more rows are over {_FARTHEST - 1:g} times what was measured"
    elif high - low > _WIDEST:
        why = f"the points leave {100 * (high - low):.0f} points of room"
    return AccuracyForecast(
        extra=more,
        n=int(then),
        value=point.value,
        low=low,
        high=high,
        gain=gain,
        gain_low=max(0.0, min(gain_low, gain)),
        gain_high=max(gain_high, gain),
        trusted=not why,
        why=why,
    )


_LEAST_WORTH = 5e-5
"""Gains below this would print as 0.00 points."""


def worth(
    per_class: Sequence[ClassRow],
    *,
    exponent: float = 0.5,
    by_label: Mapping[str, Sequence[tuple[int, float]]] | None = None,
    reducible: float = 1.0,
    extra: int = 20,
    limit: int = 12,
) -> tuple[LabelWorth, ...]:
    """The labels for which `extra` more rows are expected to bring most accuracy, best first.

    A label's error is assumed to fall with its training rows k as k^-c: with `extra` more it falls by 1 - (k / (k + extra))^c. c is the
    label's own slope if its recall was measured at three sizes or more, else the curve's. The expected gain is that fall times the
    label's error times its share of the test rows. The error is shrunk by one row towards that of all labels, so that a label with two
    test rows does not lead the list by luck. Only the `reducible` share of errors counts: if the curve has levelled off, more rows of
    one label bring no more than the curve allows.
    """
    rows = [row for row in per_class if row.recall is not None and row.support > 0 and row.train]
    total = sum(row.support for row in rows)
    if not total:
        return ()
    wrong = {row.label: round(row.support * (1 - row.recall.value)) for row in rows if row.recall is not None}
    overall = sum(wrong.values()) / total
    found = []
    for row in rows:
        k = float(row.train or 1)
        slope = _slope((by_label or {}).get(row.label, ()), exponent)
        share = (wrong[row.label] + overall) / (row.support + 1)
        gain = reducible * share * (row.support / total) * (1 - (k / (k + extra)) ** slope)
        found.append(LabelWorth(label=row.label, train=int(k), support=row.support, errors=wrong[row.label], extra=extra, worth=gain))
    found.sort(key=lambda entry: (-entry.worth, entry.label))
    return tuple(entry for entry in found if entry.errors and entry.worth >= _LEAST_WORTH)[:limit]


def _slope(points: Sequence[tuple[int, float]], otherwise: float) -> float:
    """The rate at which a label's errors fall: the slope of log error against log rows, in 0.1..1."""
    usable = [(k, max(1e-3, 1 - recall)) for k, recall in points if k > 0]
    if len({k for k, _ in usable}) < 3:
        return otherwise
    x, y = np.log([k for k, _ in usable]), np.log([error for _, error in usable])
    slope = -float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())
    return min(1.0, max(0.1, slope))


# Measure how accuracy grows with training rows in seconds, without training the student again and again.
#
# A head is fitted in closed form (`stats/kernel_ridge.py`) on the frozen base's vectors of an eighth, a quarter, half and all of the
# training rows, and tested on the test rows. The student makes fewer errors than this stand-in, but they are assumed to fall at the same
# rate. So the stand-in's error at each size is scaled by the ratio of the two at full size.

_SHARES = (0.125, 0.25, 0.5, 1.0)
_DRAWS_OF_FEW = 3
ABOUT = (
    "Measured with a kernel head on the frozen base at each size, up to 3 draws, and scaled to this model's errors at full size: "
    "the rate at which errors fall is taken to be the same."
)
_MOST_ROWS = 10_000
_MANY = 4_000
"""Rows from which one draw is as informative as three of fewer rows, and takes seconds."""
_LANDMARKS = 2048
"""Landmarks of the head. Fewer would keep it from learning from further rows, and so show more rows as useless."""


def measure(
    rows: Sequence[Row],
    test: Sequence[Row],
    form: LabelForm,
    accuracy: float,
    embed: Callable[[Sequence[Text]], NDArray[np.float32]],
    seed: int,
) -> list[tuple[int, float]]:
    """(rows, accuracy) at each size and draw, for a model that has `accuracy` with all rows. Empty if a curve cannot be measured: several
    labels per text, or too few rows. `embed`: makes vectors of texts, (n, width)."""
    index = {label: number for number, label in enumerate(form.labels)}
    rows = [row for row in rows if isinstance(row.output, str) and row.output in index]
    test = [row for row in test if isinstance(row.output, str) and row.output in index]
    if form.multi_label or len(rows) < 8 * len(index) or not test:
        return []
    rng = np.random.default_rng([seed, 11])
    rows = [rows[number] for number in rng.permutation(len(rows))[:_MOST_ROWS]]
    test = [test[number] for number in rng.permutation(len(test))[:_MOST_ROWS]]
    vectors, targets = embed([row.input for row in rows]), np.array([index[row.output] for row in rows])
    asked, gold = embed([row.input for row in test]), np.array([index[row.output] for row in test])
    found: list[tuple[int, float]] = []
    for share in _SHARES:
        n = round(share * len(rows))
        for _ in range(_DRAWS_OF_FEW if n <= _MANY else 1):
            drawn = rng.permutation(len(rows))[:n]
            said = kernel_ridge.fit_classifier(vectors[drawn], targets[drawn], len(index), _LANDMARKS).scores(asked)
            found.append((n, float((said.argmax(axis=1) == gold).mean())))
    whole = 1 - found[-1][1]
    scale = (1 - accuracy) / whole if whole > 0 else 1.0
    return [(n, max(0.0, 1 - scale * (1 - value))) for n, value in found]
