"""Units, shapes, pieces and windows."""

from __future__ import annotations

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
