"""The statistics of a change are what they are called, against independent computations of each."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from smidgen.stats.drift_statistics import (
    FOLDS,
    NEIGHBOURS,
    RIDGE,
    CategoryDrift,
    NeighbourDrift,
    TextPresence,
    ValueDrift,
    VectorDrift,
    WordDrift,
    find_presence,
)


def apart(earlier: int, later: int) -> TextPresence:
    """Two stretches without a text in common, and none twice: as many units as requests."""
    found = find_presence([f"a{number}" for number in range(earlier)], [f"b{number}" for number in range(later)])
    assert found is not None and found.n == earlier + later
    return found


def test_values_in_order_are_kolmogorovs_distance() -> None:
    rng = np.random.default_rng(0)
    where = apart(120, 40)
    values = np.round(np.concatenate([rng.normal(size=120), rng.normal(0.7, size=40)]), 1)  # with ties
    found = ValueDrift(where, values).statistic(where.later[None])[0]
    assert found == pytest.approx(stats.ks_2samp(values[:120], values[120:]).statistic)
    values[3] = values[130] = np.nan
    found = ValueDrift(where, values).size(where.later[None])[0]
    assert found == pytest.approx(stats.ks_2samp(np.delete(values[:120], 3), np.delete(values[120:], 10)).statistic)


def test_kinds_are_chi_square_and_total_variation() -> None:
    rng = np.random.default_rng(1)
    where = apart(200, 100)
    kinds = np.concatenate([rng.integers(0, 5, 200), rng.integers(0, 4, 100)])
    found = CategoryDrift(where, kinds)
    table = np.array([np.bincount(kinds[:200], minlength=5), np.bincount(kinds[200:], minlength=5)])
    # Of a table of two rows, the later one's part of chi-square is the share that the earlier one has of all.
    whole = stats.chi2_contingency(table, correction=False).statistic
    assert found.statistic(where.later[None])[0] == pytest.approx(whole * 200 / 300)
    shares = table / table.sum(axis=1, keepdims=True)
    assert found.size(where.later[None])[0] == pytest.approx(np.abs(shares[1] - shares[0]).sum() / 2)
    before, after = found.shares(where.later[None])
    assert np.allclose([before[0], after[0]], shares)


def test_a_text_is_scored_by_a_classifier_that_has_not_seen_it() -> None:
    rng = np.random.default_rng(2)
    where = apart(80, 40)
    vectors = rng.normal(size=(120, 6))
    vectors[80:, 0] += 1.5
    found = VectorDrift(where, vectors, seed=3)
    scores = found.scores(where.later[None])[0]
    folds = np.random.default_rng([3, 5]).permutation(120) % FOLDS
    middle = vectors - vectors.mean(axis=0)
    target = where.contrast(where.later[None])[0]
    assert len(set(folds.tolist())) == FOLDS == 5
    for fold in range(FOLDS):
        seen, held = middle[folds != fold], middle[folds == fold]
        weights = np.linalg.solve(seen.T @ seen + RIDGE * np.eye(6), seen.T @ target[folds != fold])
        assert np.allclose(held @ weights, scores[folds == fold])
    assert found.size(where.later[None])[0] == pytest.approx(stats.ks_2samp(scores[:80], scores[80:]).statistic)
    apart_by = scores[80:].mean() - scores[:80].mean()
    assert found.statistic(where.later[None])[0] == pytest.approx(apart_by / scores.std())


def test_the_nearest_texts_of_each_are_counted() -> None:
    rng = np.random.default_rng(4)
    where = apart(700, 100)
    vectors = rng.normal(size=(800, 5))
    vectors[700:] += [3, 0, 0, 0, 0]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -1)
    near = np.argsort(-alike, axis=1)[:, :NEIGHBOURS]
    found = NeighbourDrift(where, vectors)
    later = where.drawn(np.random.default_rng(0), 1)
    for one in (where.later[None], later):
        count = one[0][near].sum(axis=1)  # of the neighbours, later ones
        scores = found.scores(one)[0]
        assert np.allclose(scores, count / 100 - (NEIGHBOURS - count) / 700)
        chosen = one[0] > 0
        assert found.statistic(one)[0] == pytest.approx(scores[chosen].mean() - scores[~chosen].mean())
        assert found.size(one)[0] == pytest.approx(stats.ks_2samp(count[chosen], count[~chosen]).statistic)
    assert found.statistic(where.later[None])[0] > 10 * abs(found.statistic(later)[0])


def test_new_words_are_in_two_later_texts_and_in_no_earlier_one() -> None:
    earlier = ["where is my parcel", "my refund", "cancel it", "a lamp"]
    later = ["klarna refund", "pay by klarna", "my lamb"]
    where = find_presence(earlier, later)
    assert where is not None
    names = sorted({word for text in (*earlier, *later) for word in text.split()})
    texts = [*earlier[1:], *later]  # blocks of three: the first request fills none
    found = WordDrift(where, [{names.index(word) for word in text.split()} for text in texts])
    new = found.new(where.later[None])[0]
    assert {names[found.numbers[place]]: count for place, count in enumerate(new) if count} == {"klarna": 2.0}
    assert found.statistic(where.later[None])[0] == pytest.approx(2 / 3)
    assert WordDrift(where, [set()] * 6).statistic(where.later[None]).tolist() == [0.0]


def test_a_text_in_both_stretches_weighs_on_both_sides() -> None:
    where = find_presence(["a", "b", "a", "c"], ["a", "d"])
    assert where is not None and where.blocks.tolist() == [3, 1, 1, 1]
    found = CategoryDrift(where, np.array([0, 1, 1, 1]))
    before, after = found.shares(where.later[None])
    assert before[0].tolist() == [0.5, 0.5] and after[0].tolist() == [0.5, 0.5]
    assert found.size(where.later[None])[0] == 0.0


def test_of_each_text_it_is_known_in_how_many_blocks_it_stands() -> None:
    # Blocks of three: "old" is left out for not filling one, then (a b c), (a a d), and the later (e a e).
    found = find_presence(["old", "a", "b", "c", "a", "a", "d"], ["e", "a", "e"])
    assert found is not None and (found.n, found.number, found.size) == (5, 3, 3)
    assert found.blocks.tolist() == [3, 1, 1, 1, 1]  # a b c d e
    assert found.later.tolist() == [1.0, 0.0, 0.0, 0.0, 1.0]
    assert found.earlier_at.tolist() == [5, 2, 3, 6, -1] and found.later_at.tolist() == [1, -1, -1, -1, 2]
    assert (found.earlier_texts, found.later_texts) == (4, 2)


def test_the_longer_later_stretch_gives_its_newest() -> None:
    found = find_presence(["a", "b"], ["x", "y", "a", "z"])
    assert found is not None and (found.number, found.size) == (2, 2)
    assert found.later_at.tolist() == [2, -1, 3]


def test_there_is_nothing_to_compare_without_two_sides() -> None:
    assert find_presence([], ["a"]) is None and find_presence(["a"], []) is None
    assert find_presence(["a", "b", "a", "b"], ["b", "a"]) is None  # every text in every block


def test_a_permutation_moves_texts_among_those_that_stand_in_as_many_blocks() -> None:
    earlier = [f"t{number}" for number in range(30)] + ["often"] * 10 + [f"u{number}" for number in range(20)]
    found = find_presence(earlier, ["often", *(f"n{number}" for number in range(19))])
    assert found is not None and sorted(set(found.blocks.tolist())) == [1, 2]
    drawn = found.drawn(np.random.default_rng(0), 500)
    assert drawn.shape == (500, found.n)
    for count in (1, 2):
        chosen = found.blocks == count
        assert (drawn[:, chosen].sum(axis=1) == found.later[chosen].sum()).all()
    once = found.blocks == 1
    expected = found.later[once].mean()
    assert np.abs(drawn[:, once].mean(axis=0) - expected).max() < 0.1
    assert np.allclose(found.contrast(drawn).sum(axis=1), 0)  # either side adds up to one


def test_a_client_that_repeats_itself_is_one_witness() -> None:
    earlier = [f"t{number}" for number in range(100)]
    found = find_presence(earlier, ["help"] * 60 + [f"n{number}" for number in range(40)])
    assert found is not None and found.later_texts == 41
    weights = found.contrast(found.later[None])[0]
    assert np.isclose(weights.max(), 1 / 41)
