"""The chain over tags, against every path counted by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from smidgen.text import tagging


def counted(emissions: np.ndarray, between: np.ndarray) -> dict[tuple[int, int, int], float]:
    """The probability of every span, from all the paths there are."""
    kinds = (emissions.shape[1] - 1) // 4
    may, opens, closes = tagging.allowed_transitions(kinds)
    total, found = 0.0, {}
    for path in itertools.product(range(emissions.shape[1]), repeat=len(emissions)):
        if not (opens[path[0]] and closes[path[-1]] and all(may[a, b] for a, b in itertools.pairwise(path))):
            continue
        weight = np.exp(sum(emissions[i, t] for i, t in enumerate(path)) + sum(between[a, b] for a, b in itertools.pairwise(path)))
        total += weight
        place = 0
        while place < len(path):
            if path[place] == 0:
                place += 1
                continue
            kind, part = divmod(path[place] - 1, 4)
            last = place
            while part != tagging.SINGLE and (path[last] - 1) % 4 != tagging.END:
                last += 1
            found[place, last, kind] = found.get((place, last, kind), 0.0) + weight
            place = last + 1
    return {span: weight / total for span, weight in found.items()}


@pytest.mark.parametrize(("units", "kinds", "seed"), [(1, 1, 0), (4, 2, 1), (5, 1, 2), (6, 1, 3)])
def test_probabilities_of_spans_are_exact(units: int, kinds: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    tags = tagging.tag_count(kinds)
    emissions, between = 2 * rng.normal(size=(units, tags)), rng.normal(size=(tags, tags))
    wanted = counted(emissions, between)
    got = {(a, b, kind): chance for a, b, kind, chance in tagging.TagChain(between).spans(emissions, least=1e-9)}
    assert set(got) == {span for span, chance in wanted.items() if chance >= 1e-9}
    assert all(got[span] == pytest.approx(wanted[span], abs=1e-9) for span in got)


def test_unlikely_spans_are_left_out_and_likely_ones_are_in_order() -> None:
    rng = np.random.default_rng(4)
    found = tagging.TagChain(np.zeros((5, 5))).spans(3 * rng.normal(size=(30, 5)), least=0.2)
    assert found
    assert all(chance >= 0.2 for *_, chance in found)
    assert found == sorted(found)


def test_a_long_text_and_extreme_weights_stay_numbers() -> None:
    rng = np.random.default_rng(5)
    found = tagging.TagChain(np.full((9, 9), 300.0)).spans(1e4 * rng.normal(size=(3_000, 9)))
    assert all(0 <= chance <= 1 for *_, chance in found)
    assert tagging.TagChain(np.zeros((5, 5))).spans(np.zeros((0, 5))) == []


def test_tags_spell_out_spans() -> None:
    assert tagging.bioes_tags([(0, 0, 0), (2, 4, 1)], 6).tolist() == [4, 0, 5, 6, 7, 0]


@pytest.mark.parametrize("shape", [(4, 4), (5, 9), (1, 1), (6, 6)])
def test_a_table_of_no_number_of_kinds_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="transitions"):
        tagging.TagChain(np.zeros(shape))
