"""Expected grades: from probabilities alone, and with signs that tell more; never from chance."""

import json

import numpy as np
import pytest

from smidgen.stats.quality_estimation import expected_grades, fit_grading, fit_isotonic, isotonic_values


def made(n, seed, told):
    """Probabilities, a sign that lowers the grade by a third where `told`, and grades."""
    rng = np.random.default_rng(seed)
    likely = rng.uniform(0.5, 1.0, n)
    sign = (rng.random(n) < 0.7).astype(float)
    grades = np.clip(likely - 0.2 + rng.normal(0, 0.05, n) - (0.3 * (1 - sign) if told else 0), 0, 1)
    return np.column_stack([likely, sign]), grades


def test_a_sign_that_tells_something_is_used():
    signs, grades = made(300, 0, told=True)
    grading = json.loads(json.dumps(fit_grading(signs, grades)))
    assert grading["weights"][1] > 0.1
    new, right = made(300, 1, told=True)
    assert np.abs(expected_grades(grading, new) - right).mean() < 0.08
    assert expected_grades(grading, [[0.9, 0.0]])[0] < expected_grades(grading, [[0.9, 1.0]])[0] - 0.15


def test_chance_is_not_used():
    for seed in range(10):
        assert fit_grading(*made(200, seed, told=False))["weights"] == pytest.approx([1.0, 0.0], abs=0.06)


def test_grades_that_nothing_tells_of_are_expected_to_be_the_mean():
    rng = np.random.default_rng(0)
    signs, grades = rng.random((200, 2)), rng.random(200)
    found = expected_grades(fit_grading(signs, grades), rng.random((100, 2)))
    assert np.abs(found - grades.mean()).max() < 0.3
    assert np.abs(found - grades.mean()).mean() < 0.12


def test_few_texts_and_signs_that_never_vary():
    assert fit_grading(np.zeros((7, 1)), np.zeros(7)) is None
    steady = fit_grading(np.column_stack([np.full(20, 0.8), np.ones(20)]), np.linspace(0.4, 0.6, 20))
    assert expected_grades(steady, [[0.8, 1.0], [0.1, 0.0]]) == pytest.approx([0.5, 0.5])
    with pytest.raises(ValueError, match=r"\(n, k\)"):
        fit_grading(np.zeros(9), np.zeros(9))


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
