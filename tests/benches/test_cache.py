"""The bench of the semantic cache: what counts as answered, and as the same."""

from __future__ import annotations

import numpy as np
from bench import cache
from bench.cache import Hits

from smidgen.text.meaningful_words import differ

ASKED = [("Where is my card?", "card"), ("Is it 3?", "three"), ("far", "far")]
KEPT = [("where is the card", "card"), ("Where is my card?", "odd"), ("Is it 4?", "four"), ("near", "near")]
SCORES = np.array([[0.9, 1.0, 0.1, 0.0], [0.0, 0.0, 0.99, 0.0], [0.1, 0.1, 0.1, 0.5]])


def test_the_nearest_other_text_answers_unless_a_telling_word_differs() -> None:
    assert cache.count(ASKED, KEPT, SCORES, 0.85, None) == Hits(3, 2, 1)
    assert cache.count(ASKED, KEPT, SCORES, 0.85, differ) == Hits(3, 1, 1)
    assert cache.count(ASKED, KEPT, SCORES, 0.95, differ) == Hits(3, 0, 0)


def test_the_table_has_a_row_for_each_similarity() -> None:
    (row,) = cache.table("a", [[0.9, [4, 2, 1], [4, 0, 0]]])
    assert row == ["a", "0.9", "2 (50.0%)", "50.0%", "9.5% to 90.5%", "0 (0.0%)", "-", "0.0% to 100.0%"]
    assert len(row) == len(cache.COLUMNS)
