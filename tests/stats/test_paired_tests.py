"""Tests of a challenger against a champion: by hand, against scipy, and by Monte Carlo: the level holds, and what is better is found."""

from __future__ import annotations

import numpy as np
import pytest

from smidgen.stats.risk_bounds import better_p_value, not_worse_p_value, sign_test

RUNS = 500
LEVEL = 0.05
MOST = LEVEL + 3 * (LEVEL * (1 - LEVEL) / RUNS) ** 0.5
"""What a test at the level may reject of 500 runs: three standard errors over it."""


def test_the_sign_test_by_hand() -> None:
    assert sign_test(5, 0) == pytest.approx(1 / 32)
    assert sign_test(4, 0) == pytest.approx(1 / 16)
    assert sign_test(0, 5) == 1.0 and sign_test(0, 0) == 1.0
    assert sign_test(3, 3) > 0.5


@pytest.mark.parametrize(("gained", "lost"), [(9, 2), (30, 14), (120, 100), (1, 7)])
def test_the_sign_test_is_scipys(gained: int, lost: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    assert sign_test(gained, lost) == pytest.approx(float(stats.binomtest(gained, gained + lost, 0.5, alternative="greater").pvalue))


def test_whole_changes_are_tested_by_their_signs() -> None:
    change = np.array([1.0] * 9 + [-1.0] * 2 + [0.0] * 50)
    assert better_p_value(change, LEVEL) == sign_test(9, 2)


def test_nothing_is_known_without_rows_and_what_cannot_be_is_refused() -> None:
    assert better_p_value(np.zeros(0), LEVEL) == 1.0 and not_worse_p_value(np.zeros(0), 0.1, LEVEL) == 1.0
    for change in (np.array([1.1]), np.array([[0.0]])):
        with pytest.raises(ValueError, match="changes"):
            better_p_value(change, LEVEL)
    with pytest.raises(ValueError, match="margin"):
        not_worse_p_value(np.zeros(3), 1.5, LEVEL)
    assert not_worse_p_value(np.ones(500), 1.0, LEVEL) == 1.0


def whole(rng: np.random.Generator, n: int, gain: float, loss: float) -> np.ndarray:
    return rng.choice([1.0, -1.0, 0.0], n, p=[gain, loss, 1 - gain - loss])


def graded(rng: np.random.Generator, n: int, mean: float) -> np.ndarray:
    """Rare and large losses against many small gains: what a t-test's level breaks on. The mean is `mean`."""
    rare = rng.random(n) < 0.02
    return np.where(rare, -0.9, (mean + 0.018) / 0.98)


def rejected(change: list[np.ndarray], test: str, margin: float = 0.0) -> float:
    values = [better_p_value(one, LEVEL) if test == "better" else not_worse_p_value(one, margin, LEVEL) for one in change]
    return float(np.mean([value <= LEVEL for value in values]))


@pytest.mark.parametrize("n", [20, 300])
def test_what_is_not_better_is_seldom_called_better(n: int) -> None:
    rng = np.random.default_rng(n)
    share = rejected([whole(rng, n, 0.06, 0.06) for _ in range(RUNS)], "better")
    assert share <= MOST
    assert rejected([graded(rng, n, 0.0) for _ in range(RUNS)], "better") <= MOST
    t = np.array([_t_rejects(graded(rng, 60, 0.0)) for _ in range(RUNS)])
    assert t.mean() > MOST  # the case is a hard one: a t-test does not hold its level on it


def _t_rejects(change: np.ndarray) -> bool:
    spread = change.std(ddof=1)
    return bool(spread == 0 or change.mean() / (spread / len(change) ** 0.5) > 1.671)


@pytest.mark.parametrize("margin", [0.02, 0.1])
def test_what_is_worse_by_the_margin_is_seldom_called_not_worse(margin: float) -> None:
    rng = np.random.default_rng(7)
    assert rejected([whole(rng, 300, 0.05, 0.05 + margin) for _ in range(RUNS)], "not worse", margin) <= MOST
    assert rejected([graded(rng, 300, -margin) for _ in range(RUNS)], "not worse", margin) <= MOST


def test_what_is_better_is_found() -> None:
    rng = np.random.default_rng(11)
    assert rejected([whole(rng, 400, 0.10, 0.04) for _ in range(RUNS)], "better") > 0.8
    assert rejected([rng.uniform(-0.2, 0.4, 400) for _ in range(RUNS)], "better") > 0.95
    assert rejected([whole(rng, 600, 0.03, 0.03) for _ in range(RUNS)], "not worse", 0.05) > 0.8
