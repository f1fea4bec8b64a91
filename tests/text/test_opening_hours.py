"""Opening hours: of a week in one text, by season, and of a day."""

from __future__ import annotations

import datetime

import pytest

from smidgen.text.opening_hours import Hours, read_day, read_exact_day, read_opening_hours


def hours(day: Hours) -> str:
    return ",".join(f"{a / 3600:g}-{b / 3600:g}" for a, b in day) or "x"


def shown(text: str) -> str | None:
    found = read_opening_hours(text)
    return None if found is None else " ".join(hours(found.on(day)) for day in range(7))


@pytest.mark.parametrize(
    ("text", "week"),
    [
        ("Mo-Fr 09:00-18:00; Sa 10:00-14:00", "9-18 9-18 9-18 9-18 9-18 10-14 x"),
        ("Tu-Su 10:00-13:00,14:00-18:00", "x" + " 10-13,14-18" * 6),
        ("Mo-Su 9:00-17:00; We off; PH off", "9-17 9-17 x 9-17 9-17 9-17 9-17"),
        ("Fr-Mo 10-18", "10-18 x x x 10-18 10-18 10-18"),
        ("Mon-Fri 9am-5pm, Sat 10 am - 2 pm", "9-17 9-17 9-17 9-17 9-17 10-14 x"),
        ("Montag geschlossen, Dienstag bis Sonntag 10 bis 18 Uhr", "x 10-18 10-18 10-18 10-18 10-18 10-18"),
        ("täglich 10-17 Uhr, montags geschlossen", "x 10-17 10-17 10-17 10-17 10-17 10-17"),
        ("Tuesdays to Sundays 10-17", "x 10-17 10-17 10-17 10-17 10-17 10-17"),
        ("Mo, Mi und Fr 8-12", "8-12 x 8-12 x 8-12 x x"),
        ("18:00-02:00", " ".join(["18-24"] * 7)),
        ("24/7", " ".join(["0-24"] * 7)),
        ("daily 9:00-17:00", " ".join(["9-17"] * 7)),
        ("closed", " ".join("x" * 7)),
    ],
)
def test_hours_as_door_signs_write_them(text: str, week: str) -> None:
    assert shown(text) == week


@pytest.mark.parametrize(
    ("text", "summer", "winter"),
    [
        ("Apr-Oct Mo-Su 10:00-18:00", "10-18", "x"),
        ("Apr-Oct: Mo-Su 10:00-18:00; Nov-Mar: Sa,Su 11:00-16:00", "10-18", "11-16"),
        ("Oct-Mar Sa-Su 10:00-16:00", "x", "10-16"),
        ("Mo-Su 10:00-18:00; Dec 05 off", "10-18", "x"),
        ("Mo-Su 09:00-17:00; Dec,Jan Mo-Su 10:00-15:00", "9-17", "10-15"),
        ("April bis Oktober täglich 10 bis 18 Uhr", "10-18", "x"),
        ("May 15-Sep 30 09:00-18:00; PH 10:00-12:00", "9-18", "x"),
        ("15. März - 5. Dezember Mo-So 9:00-17:00", "9-17", "9-17"),
        ("Apr-Oct 10-18; Mo off", "10-18", "x"),
        ("Jul 1-10 10:00-20:00; Dec 1-24 16:00-21:00", "10-20", "16-21"),
    ],
)
def test_hours_by_season(text: str, summer: str, winter: str) -> None:
    found = read_opening_hours(text)
    assert found is not None and found.dated
    days = datetime.date(2027, 7, 4), datetime.date(2026, 12, 5)
    assert [hours(found.on(day.weekday(), day)) for day in days] == [summer, winter]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "sunrise-sunset",
            "on request",
            "Mo off",
            "Mo-Fr",
            "",
            "25-26",
            "9-9",
            "Mo " * 200,
            "Easter-Oct 10:00-18:00",
            "Apr-Oct",
            "Dec 25 off",
        ),
        *("Apr 10-18", "Apr-Oct Mo-Fr 10:00-18:00, Sa 10:00-14:00", "2026 Apr-Oct 10:00-18:00", "week 10-40 Mo-Fr 09:00-18:00"),
        *("Apr 40-May 50 10:00-18:00", "Su[1] 10:00-12:00"),
    ],
)
def test_what_is_not_understood_is_not_guessed(text: str) -> None:
    assert read_opening_hours(text) is None


@pytest.mark.parametrize(
    ("text", "day"),
    [("", "x"), ("09:00-17:30", "9-17.5"), ("09:00-12:00, 13:00-24:00", "9-12,13-24"), ("9-17", None), ("09:00-12:00,", None), (" ", None)],
)
def test_hours_of_a_day_in_the_strict_form(text: str, day: str | None) -> None:
    found = read_exact_day(text)
    assert (None if found is None else hours(found)) == day


def test_hours_of_a_day_in_any_words_say_which_part_is_not_understood() -> None:
    found = list(read_day("9-12:30; 2 pm to nobody; 15", "[,;]", r"\s*(?:-|to)\s*"))
    assert found == [("9-12:30", 9 * 3600, 45000), ("2 pm to nobody", 14 * 3600, None), ("15", None, None)]
