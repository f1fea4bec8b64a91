"""Names as people write them, and known ones in a text."""

from __future__ import annotations

import pytest

from smidgen.text import names

SAME = [
    ("St. Anne's Rd", "saint annes road"),
    ("the Anchor", "Anchor"),
    ("van two", "Van 2"),
    ("van no. 2", "van #2"),
    ("Fox & Hounds", "fox and hounds"),
    ("Uferstr.", "Uferstraße"),
    ("Dr. Okoro", "doctor okoro"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_names_that_are_the_same(one: str, other: str) -> None:
    assert names.folded(one) == names.folded(other)


KNOWN = names.by_folded(
    ["Hope Street", "Hope Street Dental", "Kerr", "The Plough", "Van 3", "A46", "Carter's Yard", "7", "Twice", "twice", "Fox & Hounds"]
)


def test_too_short_names_and_those_that_are_two_are_not_looked_for() -> None:
    assert sorted(KNOWN.values()) == sorted(
        ["Hope Street", "Hope Street Dental", "Kerr", "The Plough", "Van 3", "A46", "Carter's Yard", "Fox & Hounds"]
    )


FOUND = [
    ("Hope Street dental is shut, hope street is not", [("Hope Street dental", "Hope Street Dental"), ("hope street", "Hope Street")]),
    ("hold up in Carters Yard.", [("Carters Yard", "Carter's Yard")]),
    ("the a46 is full, so van three waits", [("a46", "A46"), ("van three", "Van 3")]),
    ("Is Kerr's order ready (Kerr)?", [("Kerr", "Kerr"), ("Kerr", "Kerr")]),
    ("A snow plough, and The Plough", [("Plough", "The Plough")]),
    ("the fox and hounds, 7", [("fox and hounds", "Fox & Hounds")]),
    ("Hopestreet or Kerry", []),
    ("", []),
]


@pytest.mark.parametrize(("text", "found"), FOUND, ids=[text[:20] for text, _ in FOUND])
def test_known_names_are_found_whole(text: str, found: list[tuple[str, str]]) -> None:
    assert [(text[start:end], name) for start, end, name in names.find(text, KNOWN)] == found
