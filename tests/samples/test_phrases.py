"""Phrases become sentences, with the values that they state."""

from __future__ import annotations

import random

import pytest
from tools.sentences import phrases

from smidgen.text import clock


def test_alternatives_are_chosen_inside_out_and_blanks_left_between_are_closed() -> None:
    found = {phrases.chosen(random.Random(seed), "{street} (is (now|) closed|shut)( , sorry|)") for seed in range(200)}
    assert found == {f"{{street}} {said}{end}" for said in ("is now closed", "is closed", "shut") for end in ("", ", sorry")}


def test_marks_of_people_and_of_phrases_give_the_same() -> None:
    pieces = phrases.read_marked("[s:Mill Lane] is closed till [e:2], [l:a dozen=12] boxes", {"s": "streets", "e": "ends", "l": "load"})
    assert phrases.text_of(pieces) == "Mill Lane is closed till 2, a dozen boxes"
    assert phrases.values_of(pieces) == {"streets": ["Mill Lane"], "ends": ["2"], "load": ["a dozen"]}
    slots = {"street": lambda rng: "Mill Lane", "ends": lambda rng: "2"}
    made = phrases.marked(random.Random(0), "{street} is closed till {ends}", slots, {"street": "streets", "ends": "ends"})
    assert phrases.values_of(made) == {"streets": ["Mill Lane"], "ends": ["2"]}


@pytest.mark.parametrize("seed", range(300))
def test_values_stand_in_the_sentence_however_it_is_written(seed: int) -> None:
    rng = random.Random(seed)
    pieces = [("please, ", ""), ("Mill Lane", "streets"), (" is closed until ", ""), (phrases.times(rng), "ends"), (", thanks.", "")]
    written = phrases.written(rng, pieces)
    values = phrases.values_of(written)
    assert [len(own) for own in values.values()] == [1, 1] and all(own[0] in phrases.text_of(written) for own in values.values())


def test_every_time_that_is_made_can_be_read() -> None:
    rng = random.Random(1)
    unread = {words for words in (phrases.times(rng) for _ in range(3000)) if clock.read_alone(words) is None}
    assert unread == set()
    begins = [phrases.two_times(rng) for _ in range(3000)]
    assert all(clock.read_alone(one) and clock.read_alone(other) for one, other in begins)
