"""Tables of places: their hours and their kinds."""

from __future__ import annotations

import pytest

from smidgen.plans.solving import ProblemTable
from smidgen.plans.trips.places import read_places
from smidgen.text.opening_hours import Hours


def hours(day: Hours) -> str:
    return ",".join(f"{a / 3600:g}-{b / 3600:g}" for a, b in day) or "x"


def table(**cells: str) -> ProblemTable:
    cells = {"Name": "Castle", "lat": "38.7", "lon": "-9.1", **cells}
    return ProblemTable("p.csv", tuple(cells), [(1, cells)])


def test_a_table_of_places_has_hours_of_the_week_in_one_column() -> None:
    (place,) = read_places(table(category="castle;history", duration="1.5 h", opening_hours="Tu-Su 10-18"), located=True)
    assert (place.kind, place.tags, place.lasts) == ("castle", {"castle", "history"}, 5400)
    assert place.hours is not None and [hours(place.hours.on(day)) for day in range(7)] == ["x", *["10-18"] * 6]
    (place,) = read_places(table(opening_hours="when the sun shines"), located=True)
    assert place.hours is None and place.words == "when the sun shines"


@pytest.mark.parametrize(
    ("cells", "kind", "tags"),
    [
        ({"tourism": "theme_park", "amenity": ""}, "theme park", {"theme park"}),
        ({"tourism": "", "amenity": "cafe", "shop": "bakery"}, "cafe", {"cafe", "bakery"}),
        ({"historic": "yes", "amenity": "no"}, "historic", {"historic"}),
        ({"@type": "node", "leisure": "park"}, "park", {"park"}),
        ({"heritage:type": "unesco", "leisure": "park"}, "park", {"park"}),
        ({"kind": "museum", "leisure": "park"}, "museum", {"museum"}),
        ({"type": "museum", "leisure": "park"}, "museum", {"museum"}),
        ({}, "", set()),
    ],
)
def test_kinds_as_openstreetmap_has_them(cells: dict[str, str], kind: str, tags: set[str]) -> None:
    (place,) = read_places(table(**cells), located=True)
    assert (place.kind, place.tags) == (kind, tags)
