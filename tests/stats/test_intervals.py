"""Intervals against scipy, and their coverage by simulation."""

import math

import numpy as np
import pytest

from smidgen.stats.intervals import bootstrap, mcnemar, mean_share, paired_change, paired_grades, wilson, z_value


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 20), (3, 20), (20, 20), (940, 1000), (2897, 3080)])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_wilson_is_scipys(successes, n, confidence):
    stats = pytest.importorskip("scipy.stats")
    expected = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    assert wilson(successes, n, confidence) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_by_hand():
    # Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_wilson_knows_nothing_without_rows_and_refuses_what_cannot_be():
    assert wilson(0, 0) == (0.0, 1.0)
    for successes, n in [(2, 1), (-1, 3), (0, -1)]:
        with pytest.raises(ValueError, match="impossible"):
            wilson(successes, n)


@pytest.mark.parametrize(("share", "n"), [(0.5, 30), (0.94, 100), (0.94, 1000), (0.99, 300)])
def test_wilson_covers(share, n):
    rng = np.random.default_rng(1)
    draws = rng.binomial(n, share, size=4000)
    covered = np.mean([low <= share <= high for low, high in (wilson(int(k), n) for k in draws)])
    assert 0.92 <= covered <= 0.98


def test_z_value():
    assert z_value(0.95) == pytest.approx(1.959963985)
    with pytest.raises(ValueError, match="between 0 and 1"):
        z_value(1.0)


def test_bootstrap_of_a_share_is_close_to_wilson_and_repeats():
    counts = np.array([940, 60])
    first = bootstrap(counts, lambda drawn: drawn[:, 0] / drawn.sum(axis=1), seed=3)
    assert first == bootstrap(counts, lambda drawn: drawn[:, 0] / drawn.sum(axis=1), seed=3)
    assert first == pytest.approx(wilson(940, 1000), abs=0.003)
    assert first != bootstrap(counts, lambda drawn: drawn[:, 0] / drawn.sum(axis=1), seed=4)


def test_bootstrap_without_rows():
    assert all(math.isnan(bound) for bound in bootstrap(np.array([0, 0]), lambda drawn: drawn[:, 0]))


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (5, 5), (3, 12), (40, 70), (0, 2000)])
def test_mcnemar_is_the_exact_binomial_test(gained, lost):
    stats = pytest.importorskip("scipy.stats")
    expected = stats.binomtest(gained, gained + lost, 0.5).pvalue if gained + lost else 1.0
    assert mcnemar(gained, lost) == pytest.approx(expected, rel=1e-9)


def test_paired_change_by_hand():
    before = np.array([1, 1, 1, 0, 0, 1, 1, 1, 1, 1], dtype=bool)
    after = np.array([0, 0, 0, 1, 0, 1, 1, 1, 1, 1], dtype=bool)
    change = paired_change(before, after)
    assert (change.value, change.gained, change.lost, change.n) == (-0.2, 1, 3, 10)
    # Agresti and Min 2005: centre (1 - 3)/12, variance (1 + 3 + 1 - 4/12)/144.
    half = 1.959963985 * math.sqrt(5 - 4 / 12) / 12
    assert (change.low, change.high) == pytest.approx((-2 / 12 - half, -2 / 12 + half))
    assert change.p == pytest.approx(0.625)


def test_paired_change_has_a_width_where_nothing_changed():
    right = np.ones(200, dtype=bool)
    change = paired_change(right, right)
    assert change.value == 0 and change.low < 0 < change.high and change.p == 1.0
    assert paired_change(right[:0], right[:0]).low == -1.0
    with pytest.raises(ValueError, match="one length"):
        paired_change(right, right[:3])


def test_paired_change_covers():
    rng = np.random.default_rng(5)
    truth = 0.03 - 0.05
    hits = 0
    for _ in range(2000):
        cells = rng.choice(4, p=[0.90, 0.03, 0.05, 0.02], size=300)  # both right, gained, lost, both wrong
        change = paired_change((cells == 0) | (cells == 2), (cells == 0) | (cells == 1))
        hits += change.low <= truth <= change.high
    assert 0.925 <= hits / 2000 <= 0.98


@pytest.mark.parametrize("n", [40, 3000])
def test_the_interval_of_a_mean_is_the_normal_one_and_repeats(n):
    values = np.random.default_rng(n).beta(4, 2, n)
    half = z_value(0.95) * values.std() / math.sqrt(n)
    found = mean_share(values)
    assert found == mean_share(values) != mean_share(values, seed=1)
    assert found == pytest.approx((values.mean() - half, values.mean() + half), abs=0.15 * half)


def test_a_mean_without_spread_has_an_interval():
    assert mean_share(np.ones(20)) == wilson(20, 20)
    assert mean_share(np.zeros(20)) == wilson(0, 20)
    assert mean_share(np.array([])) == (0.0, 1.0)
    low, high = mean_share(np.full(30, 0.5))
    assert low < 0.5 < high
    with pytest.raises(ValueError, match="lie in 0"):
        mean_share(np.array([0.5, 1.5]))


def test_paired_grades():
    rng = np.random.default_rng(0)
    before = rng.random(500)
    after = np.clip(before + rng.normal(0.02, 0.1, 500), 0, 1)
    change = paired_grades(before, after)
    assert change.value == pytest.approx(after.mean() - before.mean())
    half = z_value(0.95) * (after - before).std() / math.sqrt(500)
    assert (change.low, change.high) == pytest.approx((change.value - half, change.value + half), abs=0.15 * half)
    assert change.gained + change.lost <= 500 and change.gained > change.lost and change.p is None
    # The interval over pairs is far narrower than that of either mean.
    assert change.high - change.low < 0.5 * np.diff(mean_share(before))[0]


def test_paired_grades_without_change_and_without_rows():
    same = paired_grades(np.full(100, 0.4), np.full(100, 0.4))
    assert (same.value, same.gained, same.lost) == (0.0, 0, 0)
    assert -0.025 < same.low < 0 < same.high < 0.025
    assert (paired_grades(np.array([]), np.array([])).low, paired_grades(np.array([]), np.array([])).high) == (-1.0, 1.0)
    with pytest.raises(ValueError, match="one length"):
        paired_grades(np.zeros(2), np.zeros(3))
