"""Tables of stops, vans, streets and times: each bad cell is named with its row and value."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from tests.studio.api.test_german import has_german

from smidgen.core.errors import DataError, InputError
from smidgen.plans.routing import tables
from smidgen.plans.routing.distances import NEVER
from smidgen.plans.routing.problem import Spot
from smidgen.plans.solvers.routes import VanRouteSettings, part
from smidgen.plans.solving import ProblemTable

STOPS = "name,address,latitude,longitude,demand,opens,closes,minutes"
VANS = "name,capacity,starts,ends,start,start_latitude,start_longitude"


def table(header: str, *lines: str, mark: str = ",") -> ProblemTable:
    columns = tuple(header.split(mark))
    return ProblemTable(
        "t.csv", columns, [(n, dict(zip(columns, line.split(mark), strict=False))) for n, line in enumerate(lines, start=1)]
    )


def stops(*lines: str) -> list[object]:
    return list(tables.read_stops(table(STOPS, *lines), located=True))


GOOD = ("A,Elm 1,48.1,11.5,3,8:00,12:00,5", "B,Elm 2,48.11,11.52,1,,,", "C,Elm 3,48.12,11.51,,,,")


def test_stops_and_vans_are_read_with_their_units() -> None:
    one, other, _ = tables.read_stops(table(STOPS, *GOOD), located=True)
    assert (one.demand, one.opens, one.closes, one.service) == (300, 8 * 3600, 12 * 3600, 300)
    assert (other.opens, other.closes, other.service) == (0, 24 * 3600, 0)
    (van,) = tables.read_vans(table(VANS, "V,2.5,7,15:30,Depot,48.1,11.5"), located=True)
    assert (van.capacity, van.leaves, van.back, van.end) == (250, 7 * 3600, 15 * 3600 + 1800, van.start)


def test_german_headers_and_decimal_commas() -> None:
    (stop,) = tables.read_stops(table("Kunde;Breite;Länge;Menge;von;bis", "A;48,137;11,575;2,5;8.30;17 Uhr", mark=";"), located=True)
    assert (stop.spot.latitude, stop.spot.longitude, stop.demand) == (48.137, 11.575, 250)
    assert (stop.opens, stop.closes) == (8 * 3600 + 1800, 17 * 3600)


FIRM = "Firma;Straße;Hausnr;PLZ;Stadt;Breitengrad;Längengrad;Kisten;Zeitfenster;Standzeit;Fax"


def firms(window: str, stands: str = "5 min") -> ProblemTable:
    return table(FIRM, f"Huber;Am Markt;12;80802;München;48,16;11,58;4;{window};{stands};089", mark=";")


@pytest.mark.parametrize(
    ("window", "hours"),
    [
        ("06:30-09:00", (6.5, 9)),
        ("7–10 Uhr", (7, 10)),
        ("von 8 bis 11.30", (8, 11.5)),
        ("vor 11:00", (0, 11)),
        ("after 2 pm", (14, 24)),
        ("between 8 and 10", (8, 10)),
        ("", (0, 24)),
    ],
)
def test_columns_of_a_firms_own_table_are_found(window: str, hours: tuple[float, float]) -> None:
    (stop,) = tables.read_stops(firms(window), located=True)
    assert (stop.opens / 3600, stop.closes / 3600) == hours
    assert (stop.spot.name, stop.address, stop.demand, stop.service) == ("Huber", "Am Markt 12, 80802 München", 400, 300)


@pytest.mark.parametrize("load", ["Paletten", "Menge Paletten", "Ladung (Kisten)", "Gewicht [kg]"])
@pytest.mark.parametrize("stands", ["Standzeit (min)", "Standzeit Minuten", "Dauer in Min."])
def test_a_columns_name_may_end_with_its_unit(load: str, stands: str) -> None:
    (stop,) = tables.read_stops(table(f"Kunde;lat;lon;{load};{stands}", "A;48,1;11,5;3;10", mark=";"), located=True)
    assert (stop.demand, stop.service) == (300, 600)


def test_a_cell_is_named_by_the_column_as_the_file_writes_it() -> None:
    with pytest.raises(DataError, match="these are no minutes: 'kurz'") as caught:
        tables.read_stops(firms("", "kurz"), located=True)
    assert caught.value.column == "Standzeit"


@pytest.mark.parametrize("stands", ["Standzeit (Std)", "Dauer (Tage)", "Service level"])
def test_another_unit_is_not_taken_for_minutes(stands: str) -> None:
    own = table(f"Kunde;lat;lon;{stands}", "A;48,1;11,5;2", mark=";")
    (stop,) = tables.read_stops(own, located=True)
    assert stop.service == 0 and tables.column_remarks(own, tables.STOP_COLUMNS)[-1] == f"t.csv has columns that are not used: {stands}."


def test_loads_and_capacities_in_different_units_are_refused() -> None:
    pytest.importorskip("pyvrp")

    def read(load: str, room: str) -> None:
        stops = table(f"name;lat;lon;{load}", "A;48.1;11.5;2", mark=";")
        vans = table(f"name;{room};start;lat;lon", "V;9;Depot;48.0;11.5", mark=";")
        part.read(VanRouteSettings(stops="s.csv", vans="v.csv"), {"stops": stops, "vans": vans})

    for load, room in (("Gewicht (kg)", "Nutzlast kg"), ("Menge", "Nutzlast Paletten"), ("Paletten", "Kapazität (Paletten)")):
        read(load, room)
    for load, room in (("Gewicht (kg)", "Nutzlast Paletten"), ("Kisten", "Kapazität (Paletten)")):
        with pytest.raises(DataError, match="loads and capacities are in different units") as caught:
            read(load, room)
        assert has_german(caught.value.what.removeprefix("t.csv: ")) and has_german(caught.value.todo)


def test_what_was_found_and_what_is_not_used_is_said() -> None:
    found, unused = tables.column_remarks(firms(""), tables.STOP_COLUMNS)
    assert "demand: Kisten" in found and "window: Zeitfenster" in found
    assert unused == "t.csv has columns that are not used: Fax."
    assert tables.column_remarks(table(STOPS, *GOOD), tables.STOP_COLUMNS) == []


@pytest.mark.parametrize(
    ("window", "said"), [("10:00-9:00", "ends before"), ("mornings", "no stretch of time"), ("8-10, 12-14", "no stretch")]
)
def test_a_window_that_cannot_be_read_is_named(window: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        tables.read_stops(firms(window), located=True)
    assert caught.value.column == "Zeitfenster"


def test_a_van_may_start_at_a_place_of_the_stops() -> None:
    known = {"depot": Spot("Depot", 48.1, 11.5)}
    (van,) = tables.read_vans(table("van,depot", "V,depot"), located=True, known=known)
    assert van.start == van.end == known["depot"]
    for header, line, value in (("van,depot", "V,Yard", "Yard"), ("van,capacity", "V,3", "")):
        with pytest.raises(DataError, match=r"not known where a van is.*name a row of the stops in the column 'start'") as caught:
            tables.read_vans(table(header, line), located=True, known=known)
        assert caught.value.value == value


BAD: Sequence[tuple[Sequence[str], int, str, str]] = (
    ((*GOOD, "D,Elm 4,,11.5,1,,,"), 4, "latitude", "a coordinate is missing"),
    ((*GOOD, "D,Elm 4,11.5,48.1,1,,,"), 4, "latitude", "look swapped"),
    ((*GOOD, "D,Elm 4,148.1,11.5,1,,,"), 4, "latitude", "swapped"),
    ((*GOOD, "D,Elm 4,48.1,11.5,1,14:00,9:00,"), 4, "closes", "the window ends before it begins"),
    ((*GOOD, "a,Elm 4,48.1,11.5,1,,,"), 4, "name", "the name occurs twice"),
    ((*GOOD, "D,Elm 4,48.1,11.5,-2,,,"), 4, "demand", "not between"),
    ((*GOOD, "D,Elm 4,48.1,11.5,many,,,"), 4, "demand", "this is no number"),
    ((*GOOD, "D,Elm 4,48.1,11.5,1.250.000,,,"), 4, "demand", "this is no number"),
    ((*GOOD, "D,Elm 4,48.1,11.5,1.250,,,"), 4, "demand", "this may be 1250 or 1.25"),
    ((*GOOD, "D,Elm 4,48.1,11.5,1,25:00,,"), 4, "opens", "this is no time of day"),
    ((*GOOD, ",Elm 4,48.1,11.5,1,,,"), 4, "name", "the cell is empty"),
    ((*GOOD, "D,Elm 4,48.1,11.5,1,,,nan"), 4, "minutes", "these are no minutes"),
)


@pytest.mark.parametrize(("lines", "row", "column", "said"), BAD, ids=[f"{bad[2]}-{number}" for number, bad in enumerate(BAD)])
def test_a_bad_cell_is_named(lines: Sequence[str], row: int, column: str, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        stops(*lines)
    assert (caught.value.row, caught.value.column, caught.value.file) == (row, column, "t.csv")


def test_a_missing_column_and_an_empty_table_are_named() -> None:
    with pytest.raises(DataError, match="a column is missing: 'latitude'"):
        tables.read_stops(table("name,latitde,longitude", "A,48,11"), located=True)
    with pytest.raises(DataError, match="no rows"):
        tables.read_stops(table(STOPS), located=True)


@pytest.mark.parametrize(
    ("line", "said"), [("V,5,15:00,7:00,Depot,48,11", "ends before it begins"), ("V,5,7:00,15:00,Depot,,11", "a coordinate is missing")]
)
def test_a_bad_van_is_named(line: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        tables.read_vans(table(VANS, line), located=True)


def spots(*names: str) -> list[Spot]:
    return [Spot(name, None, None) for name in names]


def test_a_matrix_may_differ_by_direction_and_have_gaps() -> None:
    travel = tables.read_matrix(table("from,A,B", "A,0,7.5", "B,,0"), spots("B", "A"), 30)
    assert travel.seconds.tolist() == [[0, NEVER], [450, 0]]


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (table("from,A,B", "A,0,1"), "a row is missing: 'B'"),
        (table("from,A", "A,0", "B,1"), "a column is missing: 'B'"),
        (table("from,A,B", "A,0,x", "B,1,0"), "this is no number: 'x'"),
        (table("from,A,B", "A,0,-4", "B,1,0"), "not between"),
        (table("from,A,Bb", "A,0,1", "Bb,1,0"), "not in the table of travel times: 'B'. Did you mean 'Bb'"),
        (table("from,A,B", "A,0,1", "A,1,0", "B,1,0"), "the origin occurs twice"),
    ],
)
def test_a_bad_matrix_is_named(made: ProblemTable, said: str) -> None:
    with pytest.raises(DataError, match=said):
        tables.read_matrix(made, spots("A", "B"), 30)


def test_slow_hours() -> None:
    factors = tables.read_hours("7-9: 1.5, 16-18=1,4")
    assert (factors[7], factors[8], factors[9], factors[16], factors[18]) == (1.5, 1.5, 1.0, 1.4, 1.0)
    mistakes: list[Callable[[], object]] = [
        lambda text=text: tables.read_hours(text) for text in ("9-7: 2", "all day", "7-9: 0", "7-25: 2")
    ]
    for mistake in mistakes:
        with pytest.raises(InputError, match="slow hours"):
            mistake()
    assert len(mistakes) == 4
