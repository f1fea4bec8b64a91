"""Opening hours of a week in one text."""

from __future__ import annotations

import pytest

from smidgen.apps.trips.opening_hours import read_week
from smidgen.apps.trips.places import read_places
from smidgen.core.errors import DataError
from smidgen.core.solving import ProblemTable


def shown(text: str) -> str | None:
    week = read_week(text)
    return None if week is None else " ".join(",".join(f"{a / 3600:g}-{b / 3600:g}" for a, b in day) or "x" for day in week)


@pytest.mark.parametrize(
    ("text", "week"),
    [
        ("Mo-Fr 09:00-18:00; Sa 10:00-14:00", "9-18 9-18 9-18 9-18 9-18 10-14 x"),
        ("Tu-Su 10:00-13:00,14:00-18:00", "x" + " 10-13,14-18" * 6),
        ("Mo-Su 9:00-17:00; We off; PH off", "9-17 9-17 x 9-17 9-17 9-17 9-17"),
        ("Fr-Mo 10-18", "10-18 x x x 10-18 10-18 10-18"),
        ("Mon-Fri 9am-5pm, Sat 10 am - 2 pm", "9-17 9-17 9-17 9-17 9-17 10-14 x"),
        ("Montag geschlossen, Dienstag bis Sonntag 10 bis 18 Uhr", "x 10-18 10-18 10-18 10-18 10-18 10-18"),
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
    "text", ["Apr-Oct: Mo-Su 09:00-18:00", "sunrise-sunset", "on request", "Mo off", "Mo-Fr", "", "25-26", "9-9", "Mo " * 200]
)
def test_what_is_not_understood_is_not_guessed(text: str) -> None:
    assert read_week(text) is None


def test_a_table_of_places_has_hours_of_the_week_in_one_column() -> None:
    def table(hours: str) -> ProblemTable:
        cells = {"Name": "Castle", "lat": "38.7", "lon": "-9.1", "category": "castle;history", "duration": "1.5 h", "opening_hours": hours}
        return ProblemTable("p.csv", tuple(cells), [(1, cells)])

    (place,) = read_places(table("Tu-Su 10-18"), located=True)
    assert (place.kind, place.tags, place.lasts) == ("castle", {"castle", "history"}, 5400)
    assert place.hours == ((), *[((36000, 64800),)] * 6)
    with pytest.raises(DataError, match="no opening hours of a week") as caught:
        read_places(table("when the sun shines"), located=True)
    assert caught.value.column == "opening_hours"
