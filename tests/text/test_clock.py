"""Times of day and days from today, as people write them."""

from __future__ import annotations

import datetime

import pytest

from smidgen.text import clock, numbers, relative_days, stretches

TIMES = {
    "at 7 pm": "19:00", "8:30pm": "20:30", "um 19.30 Uhr": "19:30", "half past seven": "07:30", "quarter to eight": "07:45",
    "halb acht": "07:30", "Viertel nach acht": "08:15", "zehn vor neun": "08:50", "noon": "12:00", "at midnight": "00:00",
    "um acht Uhr abends": "20:00", "12 am": "00:00", "twenty past 3 in the afternoon": "15:20", "six o'clock": "06:00",
    "£3.50": None, "7 days": None, "12.05.2027": None, "25:00": None, "FH-20417": None,
}  # fmt: skip
TODAY = datetime.date(2027, 3, 3)  # a Wednesday
DAYS = {
    "tomorrow": "2027-03-04", "übermorgen": "2027-03-05", "the day after tomorrow": "2027-03-05", "in two weeks": "2027-03-17",
    "next Tuesday": "2027-03-09", "am Freitag": "2027-03-05", "this Wednesday": "2027-03-03", "on Wednesday": "2027-03-10",
    "in 3 Tagen": "2027-03-06", "in einem Monat": "2027-04-03", "Friday week": "2027-03-12", "in a fortnight": "2027-03-17",
    "3 days from now": "2027-03-06", "Guten Morgen": None, "in the bath": None, "in 5000 days": None,
}  # fmt: skip


@pytest.mark.parametrize("words", TIMES)
def test_times_are_read(words: str) -> None:
    assert clock.read(words) == TIMES[words]
    assert bool(clock.find(words)) == (TIMES[words] is not None)


ALONE = {
    "3": "03:00", "three": "03:00", "1430": "14:30", "0900 hrs": "09:00", "16h": "16:00", "18h30": "18:30", "8.30": "08:30",
    "ten thirty": "10:30", "3ish": "03:00", "about 3": "03:00", "quarter of three": "02:45", "6 this evening": "18:00",
    "5 oclock": "05:00", "930": "09:30", "2 pm": "14:00", "lunch": None, "two hours": None, "25": None, "tomorrow": None, "1270": None,
    "end of day": None,
}  # fmt: skip


@pytest.mark.parametrize("words", ALONE)
def test_words_that_are_known_to_state_a_time(words: str) -> None:
    assert clock.read_alone(words) == ALONE[words]


def test_which_times_tell_the_half_of_the_day() -> None:
    told = ("3 pm", "15:00", "09:00", "0900", "16h", "noon", "8 in the morning")
    assert [clock.tells_half(words) for words in told] == [True] * len(told)
    assert not any(clock.tells_half(words) for words in ("3", "3:15", "half nine", "ten thirty", "1:30", "930"))


@pytest.mark.parametrize("words", DAYS)
def test_days_are_counted_from_today(words: str) -> None:
    assert relative_days.read(words, TODAY) == DAYS[words]


def test_a_month_later_is_in_the_next_month() -> None:
    assert relative_days.read("in a month", datetime.date(2027, 1, 31)) == "2027-02-28"
    assert relative_days.read("in two months", datetime.date(2027, 12, 31)) == "2028-02-29"


def test_german_numbers() -> None:
    said = {"vier Tage": 4, "zwölf": 12, "einundzwanzig": 21, "ein halbes Dutzend": 6, "ein Dutzend Eier": 12, "zwei Dutzend": 24}
    said |= {"siebzehn": 17, "dreihundertfünfundzwanzig": 325, "dreissig": 30}
    assert {words: numbers.read(words) for words in said} == said
    assert numbers.read("ein Brot") is None and numbers.read("zweizehn") is None


def test_stretches_by_their_form() -> None:
    text = "FH-20417, ann@example.com or 0171 2345678, tomorrow at 7 pm, 3 March, 5kg"
    found = {text[start:end]: kind for start, end, kind in stretches.stretches(text)}
    assert found == {
        **{"FH-20417": "code", "ann@example.com": "email", "0171 2345678": "phone", "tomorrow": "day", "7 pm": "time"},
        **{"3 March": "day", "5": "number"},
    }
