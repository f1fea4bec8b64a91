"""Sides of texts: for ever the same, in the shares that were asked for, and independent of one another."""

from __future__ import annotations

import math

from smidgen.data.splits import CHOOSING_SHARE, SplitSide, assign_held_side, assign_side

KEY = "0123456789abcdef" * 2
TEXTS = [f"message number {number} about a parcel" for number in range(6000)]


def test_a_text_keeps_its_side_whatever_becomes_of_its_spelling() -> None:
    sides = [assign_side(text, KEY, 0.3) for text in TEXTS]
    assert sides == [assign_side(f"  {text.upper()}!", KEY, 0.3) for text in TEXTS]
    assert sides != [assign_side(text, "f" * 32, 0.3) for text in TEXTS]


def test_the_shares_are_the_ones_that_were_asked_for() -> None:
    counts = {one: sum(assign_side(text, KEY, 0.3) is one for text in TEXTS) for one in SplitSide}
    held = len(TEXTS) - counts[SplitSide.LEARNING]
    assert abs(held / len(TEXTS) - 0.3) < 4 * math.sqrt(0.21 / len(TEXTS))
    assert abs(counts[SplitSide.CHOOSING] / held - CHOOSING_SHARE) < 4 * math.sqrt(0.25 / held)
    assert {assign_side(text, KEY, 0.0) for text in TEXTS} == {SplitSide.LEARNING}


def test_what_is_held_out_elsewhere_is_shared_out_likewise() -> None:
    """The two draws have nothing to do with each other: among texts held out by another key the shares are the same."""
    both = [(assign_side(text, KEY, 0.3), assign_held_side(text, KEY)) for text in TEXTS]
    assert all(one is other for one, other in both if one is not SplitSide.LEARNING)
    learnt = [other for one, other in both if one is SplitSide.LEARNING]
    assert abs(learnt.count(SplitSide.CHOOSING) / len(learnt) - CHOOSING_SHARE) < 4 * math.sqrt(0.25 / len(learnt))


def test_a_pair_of_texts_has_one_side() -> None:
    pairs = [(text, "and an answer") for text in TEXTS[:200]]
    assert [assign_side(pair, KEY, 0.5) for pair in pairs] == [assign_side(pair, KEY, 0.5) for pair in pairs]
    assert len({assign_side(pair, KEY, 0.5) for pair in pairs}) == 3
