"""Texts that go round in circles: seen while they come, cut behind what they say once; and other texts left alone."""

from __future__ import annotations

import pytest

from smidgen.text.repetition import LEAST_REPETITION, RepetitionWatch, allowed, longest, period, spelt, without_repetition

BAD = "The patient has asthma and has been coughing for the past year.  " + "He has had a bad cough for the past year.  " * 40


def cut(text: str, most: int = LEAST_REPETITION, size: int = 4) -> str | None:
    """What there is of a text, coming in pieces, when it is seen; None where it never is."""
    loops = RepetitionWatch(most)
    return next((text[: at + size] for at in range(0, len(text), size) if loops.feed(text[at : at + size])), None)


def test_a_sentence_over_and_over_is_seen_soon_and_said_once() -> None:
    seen = cut(BAD)
    assert seen is not None and len(seen) < 65 + LEAST_REPETITION + 3 * 43
    said = "The patient has asthma and has been coughing for the past year.  He has had a bad cough for the past year."
    assert without_repetition(seen) == said == without_repetition(BAD) == without_repetition(BAD[:-20])


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_it_is_seen_whatever_pieces_it_comes_in(size: int) -> None:
    seen = cut(BAD, size=size)
    assert seen is not None and without_repetition(seen).endswith("He has had a bad cough for the past year.")


@pytest.mark.parametrize(
    "text",
    [
        "He is ill. He is ill.",
        "- " * 12,
        "A blue lamp, 40 cm. A red lamp, 40 cm. A green lamp, 40 cm. A black lamp, 40 cm. A white lamp, 40 cm.",
        " ".join(f"Row {number}: ten euros a piece, delivered within two days." for number in range(40)),
        "".join(f"He said it {number} times. " for number in range(100)),
        "",
        "x",
    ],
)
def test_other_texts_are_left_alone(text: str) -> None:
    assert cut(text) is None
    assert without_repetition(text) == text


def test_so_many_characters_may_go_round_as_are_allowed() -> None:
    line = "=" * 400
    assert cut(line) is not None and cut(line, most=800) is None and cut(line * 10, most=0) is None
    assert allowed(["plain", line]) == 800 and allowed(["plain"]) == allowed([]) == LEAST_REPETITION
    assert longest("some words before " + "tick tock " * 20 + "and behind") >= 190 and longest("nothing of the kind" * 2) == 0
    assert period("abc") == 0


def test_a_long_circle_is_seen_at_its_third_time_round() -> None:
    words = " ".join(f"word{number}" for number in range(60)) + ". "
    seen = cut(words * 10)
    assert seen is not None and 2.9 < len(seen) / len(words) < 3.3
    assert without_repetition(seen) == words.strip()


def test_tokens_are_watched_as_texts_are() -> None:
    ids = [5, 6, 7, *[100, 200, 300, 48_000, 150_000] * 20]
    loops = RepetitionWatch(40)
    assert [loops.feed(spelt([one])) for one in ids].index(True) < 3 + 40 + 5
    assert len(spelt([0, 0xD800, 0xFFFFF, 0x100000])) == 4
