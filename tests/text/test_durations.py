"""Stretches of time, as people write them."""

from __future__ import annotations

import pytest

from smidgen.text import durations

MINUTES = {
    "20 min": 20, "add ten mins": 10, "twenty-five minutes": 25, "15 more minutes": 15, "an hour": 60, "half an hour": 30,
    "a half hour": 30, "a quarter of an hour": 15, "three quarters of an hour": 45, "an hour and a half": 90,
    "one and a half hours": 90, "1.5 h": 90, "1h30": 90, "1 hour 20 min": 80, "a couple of hours": 120, "for the next hour": 60,
    "3 days": 4320, "2-3 weeks": 30240, "a fortnight": 20160, "5 working days": 7200, "eine halbe Stunde": 30, "zwei Wochen": 20160,
    "30-minute delay": 30, "+20": None, "a few minutes": None, "half a day": None, "the hour": None, "5m": None, "a month": None,
}  # fmt: skip


@pytest.mark.parametrize("words", MINUTES)
def test_they_are_read_in_seconds(words: str) -> None:
    found = MINUTES[words]
    assert durations.read(words) == (None if found is None else 60 * found)
    assert len(durations.find(words)) == (found is not None)


def test_they_are_found_without_the_words_around() -> None:
    text = "We lose about twenty minutes more on Mill Lane, and from tomorrow it takes two to three weeks instead of ten days."
    assert [text[start:end] for start, end in durations.find(text)] == ["twenty minutes", "three weeks", "ten days"]


@pytest.mark.parametrize(
    ("words", "days"),
    [
        ("10 working days", "14 days"),
        ("about ten business days", "about 14 days"),
        ("1 working day", "3 days"),
        ("5-10 Werktage", "5-14 days"),
        ("drei Arbeitstage", "5 days"),
        ("12 working-days", "18 days"),
        ("10 days", "10 days"),
        ("some working days", "some working days"),
        ("1 hour on working days", "1 hour on working days"),
    ],
)
def test_working_days_are_five_a_week(words: str, days: str) -> None:
    assert durations.in_calendar_days(words) == days
