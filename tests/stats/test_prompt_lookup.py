"""Writing with guesses, counted by hand."""

from __future__ import annotations

import pytest

from smidgen.students.decoder_training.engine_options import CHECKED, DraftedSteps, DraftSizes, simulate_drafting

TWO = DraftSizes(2, 3)
PROMPT = [1, 11, 12, 13, 14, 15, 16, 17, 18, 2]


def test_a_copy() -> None:
    """11 and 12 are written one by one. Then each step guesses three and writes a fourth: 13 to 16; then 17, 18, 2, and it has ended."""
    assert simulate_drafting(PROMPT, [11, 12, 13, 14, 15, 16, 17, 18, 2], TWO) == DraftedSteps(9, 4, 6, 6, (0, 1))


def test_half_a_copy() -> None:
    """Of 13, 14, 15 the last is wrong, and 99 is written in its place; 98 is written, then 17; 18, 2 and 11 are guessed after 16 and 17."""
    found = simulate_drafting(PROMPT, [11, 12, 13, 14, 99, 98, 16, 17, 18, 2], TWO)
    assert found == DraftedSteps(10, 7, 6, 4, (0, 1, 5, 6, 7))


def test_free_text_is_written_token_by_token() -> None:
    found = simulate_drafting(PROMPT, [31, 32, 33, 34], TWO)
    assert found == DraftedSteps(4, 4, 0, 0, (0, 1, 2, 3))
    assert found.a_step == found.gain() == 1.0


def test_a_text_that_repeats_itself() -> None:
    """Nothing of it is in the prompt; what it has written itself is looked up: 33 and 34, then 36 and, beyond the end, 31."""
    assert simulate_drafting(PROMPT, [31, 32, 33, 34, 35, 36, 31, 32, 33, 34, 35, 36], DraftSizes(2, 2)) == DraftedSteps(
        12, 10, 4, 3, (0, 1, 2, 3, 4, 5, 6, 7)
    )


def test_short_texts_and_the_first_token_are_not_looked_at() -> None:
    assert simulate_drafting([11, 12, 13], [11, 12, 13], TWO).guessed == 0
    first = [11, 12, 13, 14, 15, 16, 17, 18]
    assert simulate_drafting(first, [11, 12, 99], TWO).guessed == 0
    assert simulate_drafting([1, *first], [11, 12, 99], TWO).guessed == 3


def test_no_more_is_guessed_than_there_is_room_for() -> None:
    assert simulate_drafting(PROMPT, [11, 12, 13], TWO, room=3).guessed == 0
    assert simulate_drafting(PROMPT, [11, 12, 13, 14], TWO, room=4).guessed == 1
    assert simulate_drafting(PROMPT, [11, 12, 13, 14], TWO).guessed == 3


def test_what_a_guess_costs_is_counted_whether_it_is_right_or_wrong() -> None:
    copied, misled = DraftedSteps(17, 1, 16, 16), DraftedSteps(2, 2, 16, 0)
    assert copied.gain() == pytest.approx(17 / (1 + 16 * CHECKED)) and misled.gain() < 0.25
    assert copied.gain(0.1) == pytest.approx(17 / 2.6) and misled.gain(1.0) == pytest.approx(2 / 18)
    assert copied + misled == DraftedSteps(19, 3, 32, 16)
    assert (copied + misled).a_step == pytest.approx(19 / 3)
    assert DraftedSteps().a_step == DraftedSteps().gain() == 1.0
