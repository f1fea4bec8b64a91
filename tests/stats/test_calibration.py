"""Temperature scaling and calibration scores against known answers."""

from __future__ import annotations

import numpy as np
import pytest

from smidgen.stats.calibration import (
    blend_probabilities,
    brier,
    expected_calibration_error,
    fit_blend_weight,
    fit_temperature,
    fit_temperature_multi_label,
    negative_log_likelihood,
    reliability,
    sigmoid,
    softmax,
)


def drawn(n=20_000, outputs=6, temperature=1.0, seed=0):
    """Logits, and targets drawn from their softmax: calibrated by construction, then sharpened by `temperature`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2.5, size=(n, outputs))
    shares = softmax(logits)
    targets = (shares.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return logits * temperature, targets


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_temperature_is_recovered(temperature):
    logits, targets = drawn(temperature=temperature)
    assert fit_temperature(logits, targets) == pytest.approx(temperature, rel=0.04)


def test_temperature_is_the_minimum():
    optimize = pytest.importorskip("scipy.optimize")
    logits, targets = drawn(n=3000, temperature=2.2)
    best = optimize.minimize_scalar(lambda t: negative_log_likelihood(logits, targets, t), bounds=(0.1, 10), method="bounded").x
    assert fit_temperature(logits, targets) == pytest.approx(best, rel=0.02)


def test_multi_label_temperature_is_recovered():
    rng = np.random.default_rng(4)
    logits = rng.normal(scale=2, size=(8000, 5))
    targets = rng.random((8000, 5)) < sigmoid(logits)
    assert fit_temperature_multi_label(logits * 2.5, targets) == pytest.approx(2.5, rel=0.05)


def test_all_right_does_not_become_certain():
    logits = np.eye(4)[np.arange(200) % 4] * 8.0
    temperature = fit_temperature(logits, np.arange(200) % 4)
    assert 0.99 < softmax(logits, temperature).max(axis=1).mean() < 0.9999
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, dtype=int)) == 1.0
    assert 0.05 <= fit_temperature(-logits, np.arange(200) % 4) <= 20.0


def test_calibration_error_before_and_after():
    logits, targets = drawn(temperature=3.0)

    def error(temperature):
        shares = softmax(logits, temperature)
        return expected_calibration_error(shares.max(axis=1), shares.argmax(axis=1) == targets)

    assert error(1.0) > 0.1
    assert error(fit_temperature(logits, targets)) < 0.015


def test_calibration_error_by_hand():
    confidence = np.array([0.6] * 4 + [0.9] * 4)
    correct = np.array([1, 0, 0, 1, 1, 1, 1, 1])
    assert expected_calibration_error(confidence, correct, bins=2) == pytest.approx((0.1 * 4 + 0.1 * 4) / 8)
    found = reliability(confidence, correct, bins=2)
    assert [(entry.confidence, entry.accuracy, entry.n) for entry in found] == [(pytest.approx(0.6), 0.5, 4), (pytest.approx(0.9), 1.0, 4)]


def test_bins_are_equal_and_do_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(0)
    scores = rng.random(1500).round(3)
    right = rng.random(1500) < scores
    found = reliability(scores, right)
    assert len(found) == 15 and sum(entry.n for entry in found) == 1500
    assert all(80 <= entry.n <= 120 for entry in found)
    order = rng.permutation(1500)
    again = reliability(scores[order], right[order])
    assert [(entry.accuracy, entry.n) for entry in again] == [(entry.accuracy, entry.n) for entry in found]
    assert len(reliability(np.ones(50), np.ones(50))) == 1
    assert np.isnan(expected_calibration_error([], []))


def test_proper_scores_are_sklearns():
    metrics = pytest.importorskip("sklearn.metrics")
    logits, targets = drawn(n=400)
    shares = softmax(logits)
    assert negative_log_likelihood(logits, targets) == pytest.approx(metrics.log_loss(targets, shares))
    correct = shares.argmax(axis=1) == targets
    assert brier(shares.max(axis=1), correct) == pytest.approx(metrics.brier_score_loss(correct, shares.max(axis=1)))


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="finite"):
        fit_temperature([[np.nan, 0.0]], [0])
    with pytest.raises(ValueError, match="rows, outputs"):
        fit_temperature([0.0, 1.0], [0])
    with pytest.raises(ValueError, match="one length"):
        brier([0.5], [1, 0])


def noisy(gold: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    table = rng.normal(size=(len(gold), 5))
    table[np.arange(len(gold)), gold] += strength
    return table


def test_the_blend_of_independent_classifiers_beats_both() -> None:
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 5, 4000)
    first, second = noisy(gold, rng, 2.0), noisy(gold, rng, 1.6)
    weight, temperatures = fit_blend_weight(first[:2000], second[:2000], gold[:2000])
    assert weight > 0.3
    together = blend_probabilities((first, second), (1.0, weight), temperatures)

    def right(table: np.ndarray) -> float:
        return float(np.mean(table[2000:].argmax(1) == gold[2000:]))

    assert right(together) > max(right(first), right(second)) + 0.02


def test_a_second_classifier_that_is_wrong_gets_no_weight() -> None:
    rng = np.random.default_rng(1)
    gold = rng.integers(0, 5, 2000)
    weight, _ = fit_blend_weight(noisy(gold, rng, 3.0), noisy((gold + 1) % 5, rng, 1.5), gold)
    assert weight == 0


def test_the_blend_is_a_sum_of_log_probabilities() -> None:
    first, second = np.array([[2.0, 0.0]]), np.array([[0.0, 1.0]])
    found = blend_probabilities((first, second), (1.0, 0.5), (1.0, 2.0))
    one = first - np.log(np.exp(first).sum())
    two = second / 2 - np.log(np.exp(second / 2).sum())
    assert found == pytest.approx(one + 0.5 * two)
