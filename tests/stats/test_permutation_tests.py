"""P-values by permutation hold their level where frequent texts are unlike the rare ones, stop early, and see what changed."""

from __future__ import annotations

import numpy as np
import pytest

from smidgen.stats.drift_statistics import ENOUGH, CategoryDrift, TextPresence, ValueDrift, find_presence, holm, permutation_test

POOL = 1000
RANKS = 1 / np.arange(1, POOL + 1)


def stream(seed: int, changed: float = 0.0) -> tuple[TextPresence, np.ndarray[tuple[int, ...], np.dtype[np.int64]]]:
    """Requests of a pool of texts, a few of which make up much of the traffic; from the later stretch a share is of other texts."""
    rng = np.random.default_rng(seed)
    earlier, later = (rng.choice(POOL, size, p=RANKS / RANKS.sum()) for size in (450, 150))
    later = np.where(rng.random(150) < changed, POOL + rng.integers(0, POOL, 150), later)
    where = find_presence(earlier.tolist(), later.tolist())
    assert where is not None
    return where, np.where(where.later_at >= 0, later[where.later_at], earlier[where.earlier_at])


def p_values(seed: int, changed: float = 0.0, most: int = 99) -> dict[str, float]:
    """Of a stream: p-values of labels and lengths, which frequent texts have others of than rare ones."""
    where, texts = stream(seed, changed)
    rng = np.random.default_rng(7)
    labels, lengths = rng.integers(0, 6, 2 * POOL), rng.normal(size=2 * POOL)
    labels[:40], lengths[:40] = 0, lengths[:40] - 2
    labels[POOL:], lengths[POOL:] = 7, lengths[POOL:] + 1
    found = permutation_test(
        where, {"labels": CategoryDrift(where, labels[texts]), "lengths": ValueDrift(where, lengths[texts])}, most, seed
    )
    return {name: one.p for name, one in found.items()}


def test_the_level_holds_where_texts_repeat_and_the_frequent_ones_are_unlike_the_rare() -> None:
    """Taken once in each stretch without blocks, or by request, this null is rejected far more often than the level."""
    found = [p_values(seed) for seed in range(150)]
    for name in ("labels", "lengths"):
        ps = np.array([one[name] for one in found])
        # 0.1 and 0.3 of 150, each with three standard deviations.
        assert (ps <= 0.1).mean() <= 0.175 and (ps <= 0.3).mean() <= 0.415, name
        assert (ps <= 0.5).mean() >= 0.3, name  # and it is no p-value that is never small


def test_a_change_is_seen() -> None:
    found = [p_values(100 + seed, changed=0.6) for seed in range(5)]
    assert max(max(one.values()) for one in found) <= 0.05


def test_one_client_that_repeats_a_text_is_no_change() -> None:
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        earlier, later = (rng.choice(5000, size, replace=False) for size in (900, 300))
        later[:200] = 6000  # two thirds of the requests, and one text
        where = find_presence(earlier.tolist(), later.tolist())
        assert where is not None
        texts = np.where(where.later_at >= 0, later[where.later_at], earlier[where.earlier_at])
        found.append(permutation_test(where, {"kinds": CategoryDrift(where, texts % 3)}, 99, 0)["kinds"])
    # By request every one of them would be certain, and of a size of 0.4.
    assert sum(one.p <= 0.1 for one in found) <= 6 and max(one.size for one in found) < 0.2


def test_drawing_stops_where_the_value_is_nothing_special_and_is_the_same_again() -> None:
    where, texts = stream(3)
    shift = {"labels": CategoryDrift(where, texts % 6)}
    first = permutation_test(where, shift, 100_000, 5)["labels"]
    assert first.drawn < 20_000 and first.p == ENOUGH / first.drawn
    assert permutation_test(where, shift, 100_000, 5)["labels"] == first
    # Where few reach it all are drawn, and the observed one counts among them.
    changed, texts = stream(3, changed=0.5)
    whole = permutation_test(changed, {"new": CategoryDrift(changed, (texts >= POOL).astype(np.int64))}, 300, 5)["new"]
    assert (whole.drawn, whole.p) == (300, 1 / 301)
    assert 0.3 < whole.size < 0.7 and whole.observed > whole.by_chance


def test_holm() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    assert holm({"a": 0.6, "b": 0.5}) == pytest.approx({"a": 1.0, "b": 1.0})
    assert holm({}) == {}
