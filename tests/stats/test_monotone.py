"""Isotonic regression against scikit-learn."""

import json

import numpy as np
import pytest

from smidgen.stats.quality_estimation import fit_isotonic, isotonic_values


@pytest.mark.parametrize("n", [1, 2, 7, 300])
def test_it_is_scikit_learns(n):
    sklearn = pytest.importorskip("sklearn.isotonic")
    rng = np.random.default_rng(n)
    x = rng.integers(0, 100, n) / 100
    y = np.clip(x + rng.normal(0, 0.3, n), 0, 1)
    model = sklearn.IsotonicRegression(out_of_bounds="clip").fit(x, y)
    at = np.linspace(-0.5, 1.5, 101)
    assert isotonic_values(fit_isotonic(x, y), at) == pytest.approx(model.predict(at), abs=1e-9)


def test_it_is_json_ready_and_never_falls():
    knots = json.loads(json.dumps(fit_isotonic([0.2, 0.1, 0.9, 0.5], [0.4, 0.6, 0.8, 0.1])))
    assert knots["x"] == sorted(knots["x"]) and knots["y"] == sorted(knots["y"])
    assert isotonic_values(knots, [-1, 2]).tolist() == [knots["y"][0], knots["y"][-1]]


def test_no_level_rests_on_too_few_points():
    rng = np.random.default_rng(0)
    x = rng.random(200)
    y = (rng.random(200) < x).astype(float)
    thin, thick = fit_isotonic(x, y), fit_isotonic(x, y, least=20)
    assert len(thick["x"]) < len(thin["x"])
    assert thick["y"] == sorted(thick["y"])
    assert thick["y"][0] > 0 and thick["y"][-1] < 1
    assert fit_isotonic(x, y, least=1000)["y"] == pytest.approx([y.mean()] * 2)


@pytest.mark.parametrize(("x", "y", "words"), [([], [], "one length"), ([1], [1, 2], "one length"), ([float("nan")], [0], "not a number")])
def test_what_cannot_be_fitted(x, y, words):
    with pytest.raises(ValueError, match=words):
        fit_isotonic(x, y)
