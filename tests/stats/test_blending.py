"""Two classifiers that err on different texts are better together."""

from __future__ import annotations

import numpy as np
import pytest

from smidgen.stats.calibration import blend_probabilities, fit_blend_weight


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
