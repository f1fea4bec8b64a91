"""Trips from the sample's places: wishes are kept, and no plan names a place that is not in the table."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.house.conftest import ROOT

from smidgen.cli.main import code
from smidgen.core.errors import DataError, InputError
from smidgen.plans.solvers.trips import TripSettings, part
from smidgen.plans.solving import ProblemTable
from smidgen.plans.statements import checked
from smidgen.plans.trips.trip import Trip, planned

SAMPLE = ROOT / "src" / "smidgen" / "samples" / "alderwick" / "places.csv"


def table(**changed: str) -> ProblemTable:
    """The sample's places, the first with some cells changed."""
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        rows: list[dict[str, Any]] = list(csv.DictReader(file))
    rows[1] |= changed
    return ProblemTable("places.csv", tuple(rows[0]), list(enumerate(rows, start=1)))


def trip(**settings: Any) -> Trip:
    return part.read(TripSettings(places="places.csv", start="Harbour Hotel", kmh=35, **settings), {"places": table()})


WISH = {"days": 2, "want": ["kids"], "avoid": ["museums"], "lunch": "at a lake", "budget": 40}


def test_wishes_are_kept() -> None:
    before = trip()
    asked = part.changed(before, WISH)
    assert part.shown_change(before, WISH) == (
        "Plan again: 2 days; at most 40 a person; prefer: kids; without: museum; lunch every day at a place with: lake."
    )
    plan = planned(asked, 0.5)
    known = {place.name: place for place in before.places}
    seen = [visit for day in plan.days for visit in day.visits]
    assert len(plan.days) == 2 and plan.unserved == () and {visit.place.name for visit in seen} <= set(known)
    assert len({visit.place.name for visit in seen}) == len(seen)
    assert sum(visit.place.price for visit in seen) <= 40 and not any(visit.place.kind == "museum" for visit in seen)
    place, legs = asked.travel.place, asked.travel.seconds
    for number, day in enumerate(plan.days):
        assert sum(visit.lunch for visit in day.visits) == 1
        assert all("lake" in visit.place.tags for visit in day.visits if visit.place.kind in ("restaurant", "cafe"))
        here, time = place["Harbour Hotel"], asked.begins
        for visit in day.visits:
            assert visit.begins >= time + legs[here, place[visit.place.name]] and visit.ends == visit.begins + visit.place.lasts
            assert any(opens <= visit.begins and visit.ends <= closes for opens, closes in asked.hours(visit.place, number))
            here, time = place[visit.place.name], visit.ends
        assert time + legs[here, place["Harbour Hotel"]] <= day.back <= asked.ends


def test_a_plan_in_sentences_with_tables_and_a_map() -> None:
    solution = checked(part.solve(part.changed(trip(), WISH), 0.3))
    assert solution.status == "solved" and "2 days with" in solution.statements[0].text
    assert len(solution.tables["trip"].rows) == solution.result["totals"]["places"] and "Day 2:" in solution.pictures["map"]


def test_what_cannot_be_is_said_with_its_reason() -> None:
    asked = part.changed(trip(), {"must": ["toy museum", "Owl Sanctuary"], "weekday": "monday", "budget": 8, "lunch": "any"})
    solution = checked(part.solve(asked, 0.2))
    told = " ".join(statement.text for statement in solution.statements)
    assert solution.status == "partly"
    assert "Toy Museum does not fit in: it is closed on these days" in told
    assert "Owl Sanctuary does not fit in: it costs 9, and the budget is 8." in told
    assert "No lunch on day 1" in told
    nothing = checked(part.solve(replace(trip(), begins=3 * 3600, ends=3 * 3600 + 60), 0.1))
    assert nothing.status == "infeasible" and nothing.statements[0].text.startswith("No plan is possible")


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"want": ["skiing"]}, "no place of the table has this tag"),
        ({"must": ["Eiffel Tower"]}, "no place has this name"),
        ({"weekday": "someday"}, "no weekday"),
        ({"ends": "08:00"}, "ends before it begins"),
        ({"lunch": "rooftop"}, "has this tag"),
        ({"days": 1}, "changes nothing"),
    ],
)
def test_a_wish_for_what_is_not_there_is_refused(wish: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        part.changed(trip(), wish)


def test_a_later_wish_takes_an_earlier_one_back() -> None:
    asked = part.changed(part.changed(trip(), {"avoid": ["museum"], "skip": ["Little Zoo"]}), {"want": ["museum"], "must": ["Little Zoo"]})
    assert (asked.avoid, asked.skip, asked.must) == (frozenset(), frozenset(), {"Little Zoo"})


def test_a_place_that_has_to_be_seen_is_seen_among_avoided_ones() -> None:
    asked = part.changed(trip(), {"avoid": ["museum"], "must": ["Toy Museum"]})
    museums = [visit.place.name for day in planned(asked, 0.2).days for visit in day.visits if "museum" in visit.place.tags]
    assert museums == ["Toy Museum"]


@pytest.mark.parametrize(
    ("cells", "column", "said"),
    [
        ({"monday": "10 to late"}, "monday", "no opening hours"),
        ({"monday": "17:00-9:00"}, "monday", "closes before it opens"),
        ({"price": "a donation"}, "price", "no number"),
        ({"price": "€ 5 £"}, "price", "no number"),
        ({"price": "1,250 €"}, "price", "1250 or 1.25"),
        ({"name": "little zoo"}, "name", "occurs twice"),
    ],
)
def test_a_bad_cell_is_named(cells: dict[str, str], column: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        part.read(TripSettings(places="places.csv", start="Harbour Hotel"), {"places": table(**cells)})
    assert caught.value.column == column


@pytest.mark.parametrize(("cell", "price"), [("£8.50", 8.5), ("9,50 €", 9.5), ("12 EUR", 12), ("free", 0), ("Eintritt frei", 0), ("", 0)])
def test_a_price_with_its_currency(cell: str, price: float) -> None:
    read = part.read(TripSettings(places="places.csv", start="Harbour Hotel"), {"places": table(price=cell)})
    assert next(place.price for place in read.places if place.name == "Alderwick Castle") == price


def test_the_start_must_be_in_the_table() -> None:
    with pytest.raises(
        InputError, match=r"the start is not in the table[\s\S]*\n  - trips.start: the table of places has: Harbour Hotel, "
    ):
        part.read(TripSettings(places="places.csv", start="Nowhere"), {"places": table()})
    assert part.read(TripSettings(places="places.csv", start="harbour hotel"), {"places": table()}).start.name == "Harbour Hotel"


def test_swapped_coordinates_of_a_place_are_named() -> None:
    castle = table().rows[1][1]
    swapped = {"latitude": castle["longitude"], "longitude": castle["latitude"]}
    with pytest.raises(DataError, match="latitude and longitude look swapped") as caught:
        part.read(TripSettings(places="places.csv", start="Harbour Hotel"), {"places": table(**swapped)})
    assert caught.value.row == 2


def test_a_table_with_the_start_alone_has_no_plan() -> None:
    start = ProblemTable("places.csv", table().columns, table().rows[:1])
    told = part.solve(part.read(TripSettings(places="places.csv", start="Harbour Hotel"), {"places": start}), 0.1)
    assert told.status == "infeasible" and told.statements[0].text.startswith("No plan is possible: no place besides the start")


def seasons(**settings: Any) -> Trip:
    """Places whose hours depend on the date, or are not understood."""
    rows = [
        {"name": "Hotel", "lat": "48.0", "lon": "11.0", "tourism": "hotel", "opening_hours": ""},
        {
            "name": "Open-air pool",
            "lat": "48.01",
            "lon": "11.0",
            "tourism": "",
            "leisure": "water_park",
            "opening_hours": "May-Sep 09:00-19:00",
        },
        {"name": "Hut", "lat": "48.0", "lon": "11.01", "tourism": "", "amenity": "pub", "opening_hours": "sunrise-sunset"},
        {"name": "Museum", "lat": "48.01", "lon": "11.01", "tourism": "museum", "opening_hours": "Tu-Su 10:00-17:00"},
        {"name": "", "lat": "48.01", "lon": "11.02", "amenity": "bench", "opening_hours": ""},
    ]
    columns = ("name", "lat", "lon", "tourism", "amenity", "leisure", "opening_hours", "@id")
    given = ProblemTable("osm.csv", columns, list(enumerate(rows, start=1)))
    return part.read(TripSettings(places="osm.csv", start="Hotel", **settings), {"places": given})


def test_hours_of_a_season_need_a_date_and_are_never_guessed() -> None:
    plain = seasons()
    assert plain.remarks[:4] == (
        "Columns found in osm.csv: latitude: lat, longitude: lon, window: opening_hours.",
        "osm.csv has columns that are not used: @id.",
        "The kind of a place is the first that is filled in of: tourism, amenity, leisure.",
        "osm.csv has rows without a name, which are left out: 1.",
    )
    dated = "Left out, since their opening hours depend on the date and no date is given for the trip: Open-air pool (May-Sep 09:00-19:00)."
    unclear = "Left out, since their opening hours are not understood: Hut (sunrise-sunset)."
    assert plain.remarks[-2:] == (unclear, dated) and seasons(date="2027-07-03").remarks[-1] == unclear

    def seen(trip: Trip) -> set[str]:
        return {visit.place.name for day in planned(trip, 0.1).days for visit in day.visits}

    assert seen(plain) == {"Museum"} == seen(seasons(date="2026-12-05"))
    assert seen(seasons(date="2027-07-03")) == {"Museum", "Open-air pool"}
    said = planned(part.changed(plain, {"must": ["Hut"]}), 0.1).unserved
    assert said == ("Hut does not fit in: its opening hours are not read.",)


def test_a_date_tells_the_weekday_and_goes_on_with_it() -> None:
    summer = seasons(date="27.9.2027", days=7)
    pool = next(place for place in summer.places if place.name == "Open-air pool")
    assert summer.weekday == 0 and [bool(summer.hours(pool, day)) for day in range(7)] == [True] * 4 + [False] * 3
    wish = {"weekday": "sunday"}
    assert part.shown_change(summer, wish) == "Plan again: beginning on Sunday, 2027-10-03."
    with pytest.raises(InputError, match="It is a Monday"):
        seasons(date="2027-09-27", weekday="sunday")
    with pytest.raises(InputError, match="the day of the trip is no date"):
        seasons(date="soon")


def test_a_plan_with_a_date_is_changed_again(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("name,lat,lon\nHotel,48.0,11.0\nPond,48.01,11.0\n", encoding="utf-8")
    given = [f"trips.places={tmp_path / 'p.csv'}", "trips.start=Hotel", 'trips.date="2026-12-07"']
    out = str(tmp_path / "plan")
    assert code(["solve", "trips", *(word for one in given for word in ("--set", one)), "--out", out, "--seconds", "0.1"]) == 0
    assert code(["solve", out, "--change", '{"days": 2}', "--yes", "--seconds", "0.1"]) == 0
    plan = json.loads((tmp_path / "plan" / "plan.json").read_text(encoding="utf-8"))
    assert [day["weekday"] for day in plan["result"]["days"]] == ["monday", "tuesday"]
