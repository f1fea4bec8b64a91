"""Texts that somebody wrote to keep a server busy: how long they are read grows with their length, and not with its square."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import pytest

from smidgen.privacy import identifiers
from smidgen.privacy.redactor import KnownValues, Redactor

READ = """
import sys
from smidgen.privacy import identifiers, text_patterns

text = sys.argv[1] * (1_000_000 // len(sys.argv[1]))
print(sum(1 for _ in (*text_patterns.labelled_spans(text), *identifiers.card_spans(text))))
"""
PATIENCE = 60
"""Seconds: many times what they take, and a small part of what they took when every place was read to the end."""


@pytest.mark.parametrize("piece", ["MRN-", "plate ", "license no ", "card number is ", "exp "])
def test_patterns_come_to_an_end(piece: str) -> None:
    done = subprocess.run([sys.executable, "-c", READ, piece], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stdout == "0\n"


def steps(work: Callable[[], object]) -> int:
    """How often a function of Python is begun, or a generator gone on with."""
    seen = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal seen
        seen += event == "call"

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return seen


def cards(count: int) -> list[tuple[str, int, int]]:
    stripes = "4111111111111111=27121010000012345678? " * count
    return list(identifiers.card_spans(stripes + "card 4111 1111 1111 1111; " * count))


def numbers(count: int) -> str:
    """Long numbers, and as many dates that may stay as they are."""

    def dates(text: str) -> Iterable[tuple[str, int, int]]:
        return [("date", place, place + 4) for place in range(0, 5 * count, 5)]

    return Redactor(dates, allowed=frozenset({"date"})).mask("June " * count + "account 1234567890 ; " * count)


def test_pieces_are_not_compared_with_all_others() -> None:
    assert [kind for kind, _, _ in cards(2)] == ["track", "track", "card", "card"]
    assert numbers(2) == "June June account [NUMBER_1] ; account [NUMBER_1] ; "
    for work in (cards, numbers):
        few, many = steps(lambda work=work: work(100)), steps(lambda work=work: work(400))
        assert few > 100 and many < 6 * few, "four times as many pieces take four times as many steps"


def test_values_of_many_lengths_with_one_first_word_are_bounded() -> None:
    """Each length would be looked for behind each such word."""
    known = KnownValues()
    for length in range(1, 2000):
        known.add("https://a/" + "b" * length, "url")
    assert len(known._shapes["https"]) == 190
    assert list(known.find("see https://a/" + "b" * 190)) == [(4, 204, "url")]
