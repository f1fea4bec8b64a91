"""Units, shapes, pieces and windows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from smidgen.text import tagging


def test_units_at_each_level() -> None:
    text = "Pay £45kg_x, now"
    words = {level: [text[a:b] for a, b in tagging.units(text, level)] for level in tagging.LEVELS}
    assert words["words"] == ["Pay", "£", "45kg", "_", "x", ",", "now"]
    assert words["runs"] == ["Pay", "£", "45", "kg", "_", "x", ",", "now"]
    assert words["characters"] == list(text.replace(" ", ""))


def test_the_level_is_the_coarsest_that_spans_do_not_cut_through() -> None:
    assert tagging.coarsest_level([("take 45 kg", [(5, 7, 0)])]) == "words"
    assert tagging.coarsest_level([("take 45kg", [(5, 7, 0)])]) == "runs"
    assert tagging.coarsest_level([("我住在柏林", [(3, 5, 0)])]) == "characters"
    assert tagging.coarsest_level([("nothing here", [])]) == "words"


def test_spans_take_the_units_that_they_touch() -> None:
    units = [(0, 4), (5, 9), (10, 14)]
    assert tagging.unit_spans(units, [(0, 4, 1), (6, 14, 0)]) == [(0, 0, 1), (1, 2, 0)]
    assert tagging.unit_spans(units, [(0, 6, 1), (7, 9, 0)]) == [(0, 1, 1)]
    assert tagging.unit_spans(units, [(4, 5, 1)]) == []
    assert tagging.unit_spans([], [(0, 1, 0)]) == []


@pytest.mark.parametrize(
    ("word", "shape"),
    [("lamp", 0), ("12", 0), ("£", 0), ("Lamp", 1), ("APC", 2), ("A", 3), ("mRNA", 4), ("p53", 5), ("FH20231", 6), ("Wt1", 7), ("ß", 0)],
)
def test_shapes(word: str, shape: int) -> None:
    assert tagging.word_shape(word) == shape
    assert shape < tagging.SHAPES


def test_a_unit_takes_its_pieces_and_one_without_pieces_is_left_out() -> None:
    text = "APC\N{ZERO WIDTH SPACE} polyposis"
    offsets = [(0, 3), (5, 9), (9, 14)]
    found = tagging.read_units(text, [7, 8, 9], offsets, "words")
    assert [text[a:b] for a, b in found.units] == ["APC", "polyposis"]
    assert found.pieces.tolist() == [[0, 1], [1, 3]]
    assert found.shapes == [2, 0, 0]


def test_a_piece_of_two_units_serves_both() -> None:
    found = tagging.read_units("45kg", [3], [(0, 4)], "runs")
    assert found.pieces.tolist() == [[0, 1], [0, 1]]


@pytest.mark.parametrize("pieces", [0, 1, 30, 31, 45, 46, 100, 1_000])
def test_each_piece_is_answered_by_one_window(pieces: int) -> None:
    found = tagging.cut_windows(pieces, 30)
    answered = [place for window in found for place in range(window.own, window.own_end)]
    assert answered == list(range(pieces))
    assert all(window.start <= window.own and window.own_end <= window.end and window.end - window.start <= 30 for window in found)
    # Away from the ends of the text a piece is seen with a good part of a window on both sides.
    inner = [min(place - w.start, w.end - 1 - place) for w in found for place in range(w.own, w.own_end) if 30 <= place < pieces - 30]
    assert min(inner, default=7) >= 6


def test_pooled_scores_are_means() -> None:
    scores = np.arange(12, dtype=np.float32).reshape(6, 2)
    assert tagging.pool_pieces(scores, np.array([[0, 1], [1, 4], [3, 6]])).tolist() == [[0, 1], [4, 5], [8, 9]]


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


@pytest.mark.parametrize("shape", [(4, 4), (5, 9), (2, 2), (6, 6)])
def test_a_table_of_no_number_of_kinds_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="transitions"):
        tagging.TagChain(np.zeros(shape))
