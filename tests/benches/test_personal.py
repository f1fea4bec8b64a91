"""How found personal data is scored: what counts, what does not, and that neither side is favoured."""

from __future__ import annotations

from bench import personal, redaction
from bench.personal import LOCATION, Row

TEXT = "Mr. Jan Novak of 5 High St, Brno, aged 44, works at Acme"
JAN, PLACE, ACME = (4, 13, "person"), (17, 32, LOCATION), (52, 56, "organisation")
ROW = Row(TEXT, (JAN, PLACE, ACME), ((0, 3), (39, 41)), "1")


def test_the_row_is_what_it_says() -> None:
    assert [TEXT[a:b] for a, b, _ in ROW.gold] == ["Jan Novak", "5 High St, Brno", "Acme"]
    assert [TEXT[a:b] for a, b in ROW.passed] == ["Mr.", "44"]


def test_what_touches_only_what_is_not_scored_is_held_against_nobody() -> None:
    age, title_and_name, elsewhere = (39, 41, "date"), (0, 13, "person"), (42, 47, "place")
    assert personal.counted(ROW, [age, title_and_name, elsewhere, JAN]) == [title_and_name, elsewhere, JAN]


def test_strict_wants_bounds_and_kind() -> None:
    assert personal.strict([ROW], [[JAN, PLACE, ACME]]).f1 == 1.0
    half = personal.strict([ROW], [[JAN, (17, 26, LOCATION), (52, 56, "place")]])
    assert (half.precision, half.recall) == (1 / 3, 1 / 3)
    assert personal.strict([ROW], [[]]).f1 == 0.0


def test_overlap_wants_the_kind_alone() -> None:
    scores = personal.by_overlap([ROW], [[(0, 13, "person"), (17, 26, LOCATION), (28, 32, LOCATION), (52, 56, "date")]])
    assert (scores.precision, scores.recall) == (3 / 4, 2 / 3)


def test_covered_counts_letters_whatever_the_kind() -> None:
    assert personal.covered([ROW], [[(0, 13, "id")]]) == 8 / (8 + 11 + 4)


def test_of_overlapping_findings_the_surest_is_taken_then_the_longest() -> None:
    found = [("URL", 5, 16, 0.5), ("EMAIL_ADDRESS", 0, 16, 1.0), ("PERSON", 20, 25, 0.85), ("LOCATION", 20, 30, 0.85)]
    assert personal.apart(found) == [("EMAIL_ADDRESS", 0, 16), ("LOCATION", 20, 30)]


def test_intervals_are_over_templates() -> None:
    rows = [Row(TEXT, ROW.gold, (), str(number % 4)) for number in range(400)]
    found = [list(ROW.gold) if number % 4 else [] for number in range(400)]
    scores = personal.strict(rows, found)
    assert scores.recall == 0.75
    assert scores.high - scores.low > 0.3, "four templates say little, however many rows they have"


def test_every_kind_that_is_scored_can_be_found_by_both_sides() -> None:
    kinds = set(personal.GOLD.values())
    assert len(kinds) == 9
    assert kinds == set(personal.SMIDGEN.values()) == set(personal.PRESIDIO.values()) == set(redaction.KINDS)
