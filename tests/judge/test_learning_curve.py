"""The power law is recovered, its interval covers, and it knows when it knows nothing."""

import numpy as np
import pytest

from smidgen.judge import learning_curve
from smidgen.judge.sections import ClassRow, Measured

SIZES = (250, 500, 1000, 2000, 4000, 8000)


def truth(n, ceiling=0.95, gap=2.0, exponent=0.45):
    return ceiling - gap * n**-exponent


def test_the_law_is_recovered():
    found = learning_curve.fit(np.array(SIZES, float), np.array([truth(n) for n in SIZES]))
    assert found.ceiling == pytest.approx(0.95, abs=0.004)
    assert found.exponent == pytest.approx(0.45, rel=0.06)
    assert found.at(10_000) == pytest.approx(truth(10_000), abs=0.002)


def test_the_fit_is_no_worse_than_scipys():
    optimize = pytest.importorskip("scipy.optimize")
    rng = np.random.default_rng(3)
    sizes, values = np.array(SIZES, float), np.array([truth(n) for n in SIZES]) + rng.normal(scale=0.004, size=len(SIZES))
    ours = learning_curve.fit(sizes, values)

    def error(p):
        return ((p[0] - p[1] * sizes ** -p[2] - values) ** 2).sum()

    theirs = optimize.minimize(error, [0.9, 1.0, 0.5], bounds=[(0, 1), (0, None), (0.05, 2.0)])
    assert error([ours.ceiling, ours.gap, ours.exponent]) <= theirs.fun * 1.02 + 1e-9


def test_a_ceiling_never_lies_over_one():
    sizes = np.array(SIZES, float)
    found = learning_curve.fit(sizes, 1.05 - 2.0 * sizes**-0.3)
    assert found.ceiling <= 1.0 and found.at(1e9) <= 1.0


def test_forecasts_cover():
    hits = total = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        points = [(n, truth(n) + rng.normal(scale=0.003)) for n in SIZES]
        curve = learning_curve.learn(points, seed=seed)
        assert curve.fitted
        for forecast in curve.forecasts:
            hits += forecast.low <= truth(forecast.n) <= forecast.high
            total += 1
    assert total == 120
    assert hits / total >= 0.88


def test_gains_are_told_and_not_negative():
    curve = learning_curve.learn([(n, truth(n)) for n in SIZES])
    few, many = curve.forecasts
    assert (few.extra, few.n, many.extra, many.n) == (200, 8200, 2000, 10_000)
    assert 0 < few.gain < many.gain and few.trusted and many.trusted
    assert many.gain == pytest.approx(truth(10_000) - truth(8000), abs=0.001)
    assert 0 <= many.gain_low <= many.gain <= many.gain_high
    assert curve.band[0].n == 250 and curve.band[-1].n == 10_000
    assert curve == learning_curve.learn([(n, truth(n)) for n in reversed(SIZES)])


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([], "0 training sizes"),
        ([(100, 0.5), (200, 0.6), (400, 0.7)], "3 training sizes"),
        ([(100, 0.5), (110, 0.51), (120, 0.53), (130, 0.54)], "too close together"),
        ([(100, 0.9), (200, 0.8), (400, 0.7), (800, 0.6)], "does not rise steadily"),
        ([(100, 0.7), (200, 0.9), (400, 0.6), (800, 0.85), (1600, 0.7)], "does not rise steadily"),
    ],
)
def test_what_cannot_be_extrapolated_is_not(points, reason):
    curve = learning_curve.learn(points)
    assert not curve.fitted and reason in curve.why_not and curve.forecasts == () and len(curve.points) == len(points)


def test_far_forecasts_are_not_trusted():
    curve = learning_curve.learn([(n, truth(n)) for n in (50, 100, 200, 400)])
    few, many = curve.forecasts
    assert "times what was measured" in many.why and not many.trusted
    assert few.extra == 200


def test_seeds_at_one_size_are_averaged():
    curve = learning_curve.learn([(n, truth(n) + shift) for n in SIZES for shift in (-0.01, 0.01)])
    assert len(curve.points) == len(SIZES)
    assert (curve.points[0].low, curve.points[0].high) == pytest.approx((truth(250) - 0.01, truth(250) + 0.01))


def row(label, recall, support, train):
    return ClassRow(label=label, recall=Measured(value=recall, low=0, high=1, n=support), support=support, train=train)


def test_labels_that_are_common_wrong_and_thin_lead():
    rows = [
        row("fat and wrong", 0.7, 50, 900),
        row("thin and wrong", 0.7, 50, 20),
        row("thin and rare", 0.7, 10, 20),
        row("right", 1.0, 50, 20),
    ]
    ranked = learning_curve.worth(rows)
    assert [entry.label for entry in ranked] == ["thin and wrong", "thin and rare", "fat and wrong"]
    assert ranked[0].errors == 15 and all(entry.worth > 0 for entry in ranked)
    # 0.304 of 50 of 160 rows are wrong; 20 more rows on 20 mend 1 - 2^-0.5 of them.
    assert ranked[0].worth == pytest.approx((15 + 33 / 160) / 51 * 50 / 160 * (1 - 0.5**0.5))
    assert learning_curve.worth([]) == ()


def test_a_measured_slope_counts():
    rows = [row("steep", 0.7, 50, 100), row("flat", 0.7, 50, 100)]
    measured = {"steep": [(25, 0.0), (50, 0.4), (100, 0.7)], "flat": [(25, 0.69), (50, 0.695), (100, 0.7)]}
    assert [entry.label for entry in learning_curve.worth(rows, by_label=measured)] == ["steep", "flat"]


def test_what_is_no_forecast_is_not_drawn_as_one():
    noisy = learning_curve.learn([(n, truth(n) + shift) for n, shift in zip(SIZES, (0.05, -0.05, 0.05, -0.04, 0.05, 0.0), strict=False)])
    sure = learning_curve.learn([(n, truth(n)) for n in SIZES], per_class=[row("thin", 0.7, 50, 20)])
    assert not any(forecast.trusted for forecast in noisy.forecasts)
    assert max((point.n for point in noisy.band), default=0) <= max(SIZES) and noisy.labels == ()
    farthest = max(forecast.n for forecast in sure.forecasts if forecast.trusted)
    assert max(point.n for point in sure.band) == farthest > max(SIZES)
    assert sure.labels


def test_rows_of_a_label_bring_no_more_than_the_curve_promises():
    """Where accuracy has levelled off, twenty rows more of one label do not bring what two hundred of all do not."""
    rows = [row("thin and wrong", 0.7, 50, 20), row("fat", 0.9, 50, 90), row("right", 1.0, 50, 20)]
    free, bound = learning_curve.worth(rows), learning_curve.worth(rows, reducible=0.1)
    assert [entry.label for entry in free][: len(bound)] == [entry.label for entry in bound]
    assert bound[0].worth == pytest.approx(0.1 * free[0].worth)
    assert learning_curve.worth(rows, reducible=0.0) == ()
    flat = learning_curve.learn([(50, 0.9), (100, 0.95), (200, 0.9599), (400, 0.96), (800, 0.96)], per_class=rows)
    gain = max(forecast.gain for forecast in flat.forecasts if forecast.trusted)
    assert all(entry.worth <= gain + 0.002 for entry in flat.labels)
