"""Dates in words: found where they stand, read as what they say."""

from __future__ import annotations

import pytest

from smidgen.text import dates


@pytest.mark.parametrize(
    ("words", "date"),
    [
        ("2026-03-03", "2026-03-03"),
        ("3/4/2026", "2026-04-03"),
        ("03.04.26", "2026-04-03"),
        ("17/01/2026", "2026-01-17"),
        ("01/17/2026", "2026-01-17"),
        ("3 March", "2025-03-03"),
        ("the 3rd of May, 2024", "2024-05-03"),
        ("March 3rd, 2026", "2026-03-03"),
        ("3. März 2026", "2026-03-03"),
        ("1er février 2026", "2026-02-01"),
        ("14 Feb.", "2025-02-14"),
        ("14/02", "2025-02-14"),
        ("3-Mar-2026", "2026-03-03"),
        ("29 February 2024", "2024-02-29"),
        ("29 February 2025", None),
        ("30 Feb", None),
        ("5 out of 2", None),
        ("4.5", "2025-05-04"),
        ("yesterday", None),
        ("12/05/87", "1987-05-12"),
        ("3 March 68", "2068-03-03"),
        ("3 March 10:30", "2025-03-03"),
        ("3 March, 10.30", "2025-03-03"),
        ("3 March 10h", "2025-03-03"),
        ("3 March 10 am", "2025-03-03"),
        ("3 March 26", "2026-03-03"),
        ("", None),
    ],
)
def test_dates_are_read(words: str, date: str | None) -> None:
    assert dates.read(words, True, 2025) == date


def test_what_the_words_do_not_tell_the_reader_does() -> None:
    assert dates.read("03/04/2026", day_first=False) == "2026-03-04" and dates.either_way("03/04/2026")
    assert dates.read("3 March") is None and not dates.has_year("3 March") and dates.has_year("3 March 2026")
    assert not dates.either_way("17/01/2026") and not dates.either_way("3 March")


def test_which_of_two_numbers_is_the_day_is_told_where_one_can_be_no_month() -> None:
    assert [dates.order(words) for words in ("14/3/26", "3/14/26", "31.12")] == [True, False, True]
    assert [dates.order(words) for words in ("3/4/26", "3/3/26", "2026-03-14", "14 March", "")] == [None] * 5


def test_two_digits_are_a_year_by_their_century_or_a_count() -> None:
    assert dates.read("12/05/87", pivot=88) == "2087-05-12" and dates.read("12/05/20", pivot=20) == "1920-05-12"
    assert dates.has_short_year("12/05/87") and dates.has_short_year("3 March '26")
    assert not dates.has_short_year("3 March 2026") and not dates.has_short_year("3 March")
    assert dates.without_count("3 March, 12") == "3 March"
    assert [dates.without_count(words) for words in ("12/05/87", "3 March '26", "3 March 2026", "12")] == [
        *("12/05/87", "3 March '26", "3 March 2026", "12")
    ]


def test_they_are_found_where_they_stand() -> None:
    text = "FH-20417 came on 3 March, not 2026-03-01 or on April 2nd; 12 of 30 were broken."
    assert [text[start:end] for start, end in dates.find(text)] == ["3 March", "2026-03-01", "April 2nd"]
