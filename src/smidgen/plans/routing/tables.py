"""Reading the tables of a routing problem: every cell that cannot be used is named with its file, row, column and value."""

from __future__ import annotations

import difflib
import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from smidgen.core.errors import DataError, InputError
from smidgen.plans.routing.distances import NEVER, WINDING, beeline
from smidgen.plans.routing.network import StreetPiece
from smidgen.plans.routing.problem import DAY, NO_LIMIT, PLACES, Break, Spot, Stop, Van, clock
from smidgen.plans.routing.table_rows import NamedColumns, TableRow, rows_of
from smidgen.plans.routing.travel import Travel
from smidgen.plans.solving import ProblemTable

STOP_COLUMNS = (
    *("name", "address", "latitude", "longitude", "demand", "opens", "closes", "window", "minutes", "priority", "optional", "skills"),
    *("road", "house", "postcode", "town"),
)
VAN_COLUMNS = (
    *("name", "capacity", "starts", "ends", "start", "start_latitude", "start_longitude", "skills"),
    *("break_minutes", "break_from", "break_until", "end", "end_latitude", "end_longitude"),
)
"""The roles that columns of the two tables may have; see `table_rows.NAMES`."""
_FAR, _NEAR = 300_000.0, 100_000.0
"""Metres from the middle of the others: a swapped coordinate lies beyond `_FAR`, and within `_NEAR` once it is swapped back."""


def read_stops(table: ProblemTable, *, located: bool) -> list[Stop]:
    """The stops. `located`: whether each must have coordinates."""
    rows = rows_of(table)
    stops = [_stop(row, located) for row in rows]
    unique_names(rows, [stop.name for stop in stops])
    unswapped(rows, [stop.spot for stop in stops])
    return stops


def _stop(row: TableRow, located: bool) -> Stop:
    window = row.window("window") or (0, DAY)
    opens, closes = row.time("opens", window[0]), row.time("closes", window[1])
    if closes < opens:
        row.fail("plans.window_in_row_ends_before_it_begins", "closes", value=row.text("closes"), begins=row.text("opens"))
    road = " ".join(filter(None, (row.text("road", ""), row.text("house", ""))))
    town = " ".join(filter(None, (row.text("postcode", ""), row.text("town", ""))))
    return Stop(
        spot=spot_of(row, "name", "latitude", "longitude", located),
        address=row.text("address", "") or ", ".join(filter(None, (road, "" if town == row.text("name") else town))),
        demand=math.ceil(round(row.number_of("demand", 0.0, least=0, most=1e6) * PLACES, 6)),
        opens=opens,
        closes=closes,
        service=row.minutes("minutes", most=24 * 60),
        priority=int(row.number_of("priority", 1.0, least=1, most=9)),
        optional=row.truth("optional"),
        skills=row.words("skills"),
    )


def spot_of(row: TableRow, name: str, latitude: str, longitude: str, located: bool) -> Spot:
    """The place of a row, by the names of its columns. `located`: whether it must have coordinates."""
    given = row.text(latitude, ""), row.text(longitude, "")
    if not located and not all(given):
        return Spot(row.text(name), None, None)
    for column, value in ((latitude, given[0]), (longitude, given[1])):
        if not value:
            if row.column(column) is None:
                row.text(column)
            row.fail("plans.coordinate_is_missing", column, value="")
    high = row.number_of(latitude, least=-180, most=180)
    if abs(high) > 90:
        row.fail("plans.latitude_is_beyond_90_degrees", latitude, value=given[0])
    return Spot(row.text(name), high, row.number_of(longitude, least=-180, most=180))


def unique_names(rows: Sequence[TableRow], names: Sequence[str]) -> None:
    """Raise DataError for a name that occurs twice."""
    seen: dict[str, int] = {}
    for row, name in zip(rows, names, strict=True):
        if name.casefold() in seen:
            row.fail("plans.name_occurs_twice", "name", value=name, other=seen[name.casefold()])
        seen[name.casefold()] = row.number


def column_remarks(table: ProblemTable, roles: Iterable[str]) -> list[str]:
    """Remarks on columns that have an unusual name, and on unused ones."""
    return NamedColumns(table).remarks(table.file, roles)


def unswapped(rows: Sequence[TableRow], spots: Sequence[Spot]) -> None:
    """Raise DataError for a row whose latitude and longitude are exchanged: far from the others, and near them once exchanged back."""
    points = [spot.point for spot in spots if spot.point is not None]
    if len(points) < 3:
        return
    middle = statistics.median(point[0] for point in points), statistics.median(point[1] for point in points)
    for row, spot in zip(rows, spots, strict=True):
        if spot.latitude is None or spot.longitude is None or abs(spot.longitude) > 90:
            continue
        if beeline((spot.latitude, spot.longitude), middle) > _FAR and beeline((spot.longitude, spot.latitude), middle) < _NEAR:
            value = f"{spot.latitude:g}, {spot.longitude:g}"
            row.fail("plans.latitude_and_longitude_look_swapped", "latitude", value=value)


def read_vans(table: ProblemTable, *, located: bool, known: Mapping[str, Spot] = MappingProxyType({})) -> list[Van]:
    """The vans. `known`: places by name in lower case; a van may name one as its start or its end instead of giving coordinates."""
    rows = rows_of(table)
    vans = [_van(row, located, known) for row in rows]
    unique_names(rows, [van.name for van in vans])
    return vans


def _van(row: TableRow, located: bool, known: Mapping[str, Spot]) -> Van:
    leaves, back = row.time("starts", 0), row.time("ends", DAY)
    if back <= leaves:
        row.fail("plans.shift_ends_before_it_begins", "ends", value=row.text("ends"), begins=row.text("starts"))
    start = _van_place(row, "start", located, known)
    end = start if row.text("end", start.name) == start.name else _van_place(row, "end", located, known)
    return Van(
        name=row.text("name"),
        capacity=math.floor(round(row.number_of("capacity", NO_LIMIT / PLACES, least=0, most=NO_LIMIT / PLACES) * PLACES, 6)),
        leaves=leaves,
        back=back,
        start=start,
        end=end,
        skills=row.words("skills"),
        rest=_break(row, leaves, back),
    )


def _van_place(row: TableRow, role: str, located: bool, known: Mapping[str, Spot]) -> Spot:
    latitude, longitude = f"{role}_latitude", f"{role}_longitude"
    name = row.text(role, "")
    if name.casefold() in known and not (row.text(latitude, "") or row.text(longitude, "")):
        return known[name.casefold()]
    if located and row.column(latitude) is None:
        raise DataError(
            "plans.it_is_not_known_where_van_is",
            value=name,
            latitude=latitude,
            longitude=longitude,
            role=role,
            file=row.table.file,
            row=row.number,
            column=role,
        )
    return spot_of(row, role, latitude, longitude, located)


def _break(row: TableRow, leaves: int, back: int) -> Break | None:
    seconds = row.minutes("break_minutes", most=8 * 60)
    opens, closes = row.time("break_from", leaves), row.time("break_until", back)
    if closes < opens:
        row.fail("plans.break_cannot_begin_then", "break_until", value=row.text("break_until", ""), opens=clock(opens))
    return Break(seconds, opens, closes) if seconds else None


def read_streets(table: ProblemTable, kmh: float) -> list[StreetPiece]:
    """The pieces of streets, from a table with one point a row; the points of a street follow one another. `kmh`: where none is given."""
    pieces: list[StreetPiece] = []
    last: tuple[str, tuple[float, float]] | None = None
    for row in rows_of(table):
        name = row.text("street")
        point = row.number_of("latitude", least=-90, most=90), row.number_of("longitude", least=-180, most=180)
        if last is not None and last[0] == name and last[1] != point:
            pieces.append(StreetPiece(name, last[1], point, row.number_of("kmh", kmh, least=1, most=130), row.truth("oneway")))
        last = (name, point)
    if not pieces:
        raise DataError("plans.no_street_has_two_points", value=table.file)
    return pieces


def read_matrix(table: ProblemTable, spots: Sequence[Spot], kmh: float) -> Travel:
    """Travel times from a table of minutes: a row for each origin, a column for each target, named as the places are. It may differ by
    direction. Lengths are those of the coordinates, or of the minutes at `kmh`."""
    if len(table.columns) < 2:
        raise DataError("plans.table_of_travel_times_has_one_column", value=table.file, file=table.file)
    first = table.columns[0]
    lines: dict[str, TableRow] = {}
    for row in rows_of(table):
        name = row.text(first.strip().casefold())
        if name in lines:
            row.fail("plans.origin_occurs_twice", first, value=name, other=lines[name].number)
        lines[name] = row
    targets = [column.strip() for column in table.columns[1:]]
    for missing in [name for name in targets if name not in lines]:
        raise DataError("plans.table_of_travel_times_lacks_row", value=missing, rows=len(lines), columns=len(targets), file=table.file)
    for name, row in lines.items():
        if name not in targets:
            row.fail("plans.table_of_travel_times_lacks_column", first, value=name)
    for spot in spots:
        if spot.name not in lines:
            near = difflib.get_close_matches(spot.name, targets, n=1)
            raise DataError(
                "plans.place_has_no_travel_times_but_one_is_near" if near else "plans.place_has_no_travel_times",
                value=spot.name,
                near=near[0] if near else None,
                file=table.file,
            )
    names = [spot.name for spot in spots]
    seconds = np.zeros((len(names), len(names)), dtype=np.int64)
    for i, origin in enumerate(names):
        for j, target in enumerate(names):
            if i != j:
                column = target.casefold()
                blank = lines[origin].text(column, "") == ""
                seconds[i, j] = NEVER if blank else math.ceil(lines[origin].number_of(column, least=0, most=10_000) * 60)
    return Travel(tuple(names), seconds, _lengths(spots, seconds, kmh), "matrix")


def _lengths(spots: Sequence[Spot], seconds: Any, kmh: float) -> Any:
    points = [spot.point for spot in spots if spot.point is not None]
    if len(points) < len(spots):
        return np.where(seconds >= NEVER, 0, np.round(seconds * kmh / 3.6)).astype(np.int64)
    return np.array([[round(beeline(one, other) * WINDING) for other in points] for one in points], dtype=np.int64)


def read_hours(text: str) -> tuple[float, ...]:
    """24 factors of travel time from words such as `7-9: 1.5, 16-18: 1.4`; hours that are not named have 1. Raises InputError."""
    factors = [1.0] * 24
    for part in filter(None, (part.strip() for part in re.split(r"[;,](?!\d)", text))):
        match = re.fullmatch(r"(\d{1,2})\s*[-–]\s*(\d{1,2})\s*[:=]\s*(\d+(?:[.,]\d+)?)", part)
        begin, end = (int(match.group(1)), int(match.group(2))) if match else (0, 0)
        factor = float(match.group(3).replace(",", ".")) if match else 0.0
        if not 0 <= begin < end <= 24 or not 0.2 <= factor <= 10:
            raise InputError("plans.slow_hours_cannot_be_read", value=part)
        for hour in range(begin, end):
            factors[hour] = factor
    return tuple(factors)
