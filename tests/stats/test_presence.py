"""Where distinct texts stand in two stretches of a stream: each text is one unit, however often it came."""

from __future__ import annotations

import numpy as np

from smidgen.stats.drift_statistics import find_presence


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
