"""Trips: which places to see on which day, from a table of places and wishes in words."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from smidgen.core.errors import InputError, RecipeError
from smidgen.core.settings import Settings, setting
from smidgen.plans.routing import tables
from smidgen.plans.routing.distances import NEVER
from smidgen.plans.routing.events import known_as
from smidgen.plans.routing.map import MapRoute, drawn_map
from smidgen.plans.routing.problem import clock, counted, seconds_of
from smidgen.plans.routing.sources import travel_times
from smidgen.plans.routing.tile_map import CREDIT, LEAFLET, TILES, tile_map, tiles_of
from smidgen.plans.solving import Change, ProblemTable, Solution, SolutionTable, Solver, Statement, Status
from smidgen.plans.trips.places import PLACE_COLUMNS, kind_columns, nameless, read_places, tags_of
from smidgen.plans.trips.trip import SCHEMA, Trip, TripDay, TripPlan, planned, shown_wish, weekday_of, wished
from smidgen.text import dates
from smidgen.text.opening_hours import WEEKDAYS

_SHOWN = 12
"""Places that an error lists."""


class TripSettings(Settings):
    """Places, days, and what is wished from the start."""

    places: str = setting(
        ...,
        "Table of places: name, latitude, longitude; if you like kind, minutes, price, score, tags, and hours from monday to sunday.",
        file=True,
    )
    start: str = setting(..., "Name of the place in the table where each day begins and ends.")
    matrix: str | None = setting(
        None, "Table of travel minutes between all places: a row for each origin, a column for each target.", file=True
    )
    valhalla: str | None = setting(None, "URL of a Valhalla server that computes travel times; https, or http of this machine.")
    kmh: float = setting(30.0, "Speed in km/h by straight line: 4.5 on foot, 15 by bicycle, 30 to 50 by car.", ge=1, le=130)
    pause: int = setting(10, "Minutes added to each leg, for parking and queues.", ge=0, le=240)
    days: int = setting(1, "Number of days.", ge=1, le=14)
    weekday: str | None = setting(None, "Weekday of the first day (default: that of the date, else Saturday).")
    date: str | None = setting(
        None, "Day on which the trip begins, as 2026-12-05: it tells the weekday, and opening hours that depend on the month."
    )
    begins: str = setting("9:30", "Time of day at which each day begins.")
    ends: str = setting("18:00", "Time of day at which each day ends.")
    budget: float | None = setting(None, "Budget per person for entry prices, over all days.", ge=0)
    lunch: str = setting("", "Lunch on each day: a tag of the places for it, or any. Empty: none is planned.")
    eating: str = setting("restaurant, cafe", "Kinds of places for lunch.")
    tiles: str | None = TILES
    leaflet: str | None = LEAFLET
    credit: str = CREDIT
    seed: int = setting(0, "Seed of the search.", ge=0)


class TripSolver(Solver):
    """Day plans from places and wishes. Nothing is looked up anywhere: a plan names only places of the table."""

    name = "trips"
    title = "Trips"
    summary = "Plan days out from a table of places, and change the plan by wishes."
    settings = TripSettings
    changes: Mapping[str, Any] = SCHEMA
    examples = (
        "Two days, with kids, no museums, lunch at a lake, not more than 40 euro.",
        "We want to see the castle in any case.",
        "Leave out the zoo.",
        "Back at 16:00 each day.",
    )

    def read(self, settings: TripSettings, tables_given: Mapping[str, ProblemTable]) -> Trip:
        """Read the places from the table, with the days of the settings."""
        places = read_places(tables_given["places"], located=settings.matrix is None)
        names = [place.name for place in places]
        start = next((place for place, name in enumerate(names) if name.casefold() == settings.start.strip().casefold()), None)
        if start is None:
            there = f"trips.start: the table of places has: {', '.join(names[:_SHOWN])}{', …' if len(names) > _SHOWN else ''}"
            raise RecipeError("plans.start_is_not_in_table_of_places", value=settings.start, mistakes=[there])
        spots = [place.spot for place in places]
        remarks = [*_column_remarks(tables_given["places"]), "Opening hours and prices are those of the table; ask before you go."]
        travel = travel_times(spots, tables_given.get("matrix"), settings.valhalla, settings.kmh)
        if settings.matrix is None and not settings.valhalla:
            remarks.append(f"Travel times are straight lines, 1.3 times as long, at {settings.kmh:g} km/h.")
        ways = travel.seconds + 60 * settings.pause * (1 - np.eye(len(names), dtype=np.int64))
        travel = replace(travel, seconds=np.minimum(ways, NEVER))
        day = None if settings.date is None else dates.read(settings.date)
        if settings.date is not None and day is None:
            raise InputError("plans.day_of_trip_is_no_date", value=settings.date)
        date = None if day is None else datetime.date.fromisoformat(day)
        weekday = weekday_of(settings.weekday or "saturday") if date is None else date.weekday()
        if settings.weekday and weekday_of(settings.weekday) != weekday:
            value = f"{settings.date}, {settings.weekday}"
            raise InputError("plans.date_is_another_weekday", value=value, weekday=WEEKDAYS[weekday].title())
        trip = Trip(
            places=tuple(place for place in places if place.name != names[start]),
            travel=travel,
            start=spots[start],
            days=settings.days,
            weekday=weekday,
            begins=seconds_of(settings.begins, "the beginning of the day"),
            ends=seconds_of(settings.ends, "the end of the day"),
            budget=math.inf if settings.budget is None else settings.budget,
            eating=frozenset(word.strip().casefold() for word in settings.eating.split(",") if word.strip()),
            seed=settings.seed,
            tiles=tiles_of(settings.tiles, settings.leaflet, settings.credit),
            date=date,
        )
        trip = replace(trip, remarks=(*remarks, *trip.not_read()))
        if trip.ends <= trip.begins:
            raise InputError("plans.day_ends_before_it_begins", value=f"{settings.begins}–{settings.ends}")
        return wished(trip, {"lunch": settings.lunch}) if settings.lunch else trip

    def changed(self, problem: Trip, change: Change) -> Trip:
        """The trip with changed wishes."""
        return wished(problem, change)

    def shown_change(self, problem: Trip, change: Change) -> str:
        """The wishes as an edit of the trip."""
        return shown_wish(problem, wished(problem, change))

    def about(self, result: Mapping[str, Any], name: str) -> list[Statement]:
        """On which day and when the plan visits a place."""
        visits = {visit["place"]: (day, visit) for day in result["days"] for visit in day["visits"]}
        found = known_as(name, visits, "place of the plan")
        day, visit = visits[found]
        return [Statement(f"{found}: day {day['day']}, {day['weekday'].title()}, from {visit['begins']} to {visit['ends']}.")]

    def names(self, problem: Trip) -> dict[str, list[str]]:
        """Names of places, and their tags."""
        return {"place": [place.name for place in problem.places], "tag": list(tags_of(problem.places))}

    def solve(self, problem: Trip, seconds: float, before: Mapping[str, Any] | None = None) -> Solution:
        """Choose and order the visits of each day."""
        plan = planned(problem, seconds)
        days = [_day_facts(number, day) for number, day in enumerate(plan.days, start=1)]
        seen = sum(len(day.visits) for day in plan.days)
        price = round(sum(visit.place.price for day in plan.days for visit in day.visits), 2)
        totals: dict[str, Any] = {"days": len(days), "places": seen, "price": price, "known": len(problem.places)}
        if math.isfinite(problem.budget):
            totals["budget"] = problem.budget
        status: Status = "infeasible" if not seen else "partly" if plan.unserved else "solved"
        result = {"totals": totals, "days": days, "unserved": list(plan.unserved)}
        shown = _map_routes(problem, plan)
        picture = drawn_map("Map of the trip", shown)
        page = tile_map("Map of the trip", shown, (), problem.tiles) if problem.tiles is not None else b""
        return Solution(
            status=status,
            result=result,
            statements=_statements(totals, plan, days),
            remarks=problem.remarks,
            tables={"trip": _visit_table(plan)},
            pictures={"map": picture} if picture else {},
            files={"map.html": page} if page else {},
        )


def _column_remarks(table: ProblemTable) -> list[str]:
    kinds = kind_columns(table)
    roles = PLACE_COLUMNS if kinds == ("kind",) else (*(role for role in PLACE_COLUMNS if role != "kind"), *kinds)
    remarks = tables.column_remarks(table, roles)
    if kinds == ("kind",):
        return remarks
    remarks.append(f"The kind of a place is the first that is filled in of: {', '.join(kinds)}.")
    left_out = nameless(table)
    return [*remarks, f"{table.file} has rows without a name, which are left out: {left_out:,}."] if left_out else remarks


def _day_facts(number: int, day: TripDay) -> dict[str, Any]:
    return {
        "day": number,
        "weekday": WEEKDAYS[day.weekday],
        "leaves": clock(day.leaves),
        "back": clock(day.back),
        "km": round(day.metres / 1000, 1),
        "price": round(sum(visit.place.price for visit in day.visits), 2),
        "visits": [{"place": visit.place.name, "begins": clock(visit.begins), "ends": clock(visit.ends)} for visit in day.visits],
    }


def _statements(totals: Mapping[str, Any], plan: TripPlan, days: list[dict[str, Any]]) -> list[Statement]:
    if not totals["places"]:
        statements = [Statement("No plan is possible: no place besides the start is open, near and within the budget.")]
    else:
        limit = f" of {totals['budget']:g}" if "budget" in totals else ""
        seen = f"{counted(totals['days'], 'day')} with {totals['places']} of {totals['known']} places"
        text = f"{seen}, for {totals['price']:g}{limit} a person."
        statements = [Statement(text, dict(totals))]
    statements += [Statement(text) for text in plan.unserved]
    for day in days:
        visits = "; ".join(f"{visit['begins']} {visit['place']}" for visit in day["visits"]) or "nothing"
        text = f"Day {day['day']}, {day['weekday'].title()}: leave at {day['leaves']}; {visits}; back at {day['back']}."
        statements.append(Statement(text if day["visits"] else f"Day {day['day']}, {day['weekday'].title()}: nothing fits."))
    return statements


def _visit_table(plan: TripPlan) -> SolutionTable:
    rows = []
    for number, day in enumerate(plan.days, start=1):
        for order, visit in enumerate(day.visits, start=1):
            times = (clock(visit.arrives), clock(visit.begins), clock(visit.ends))
            place = visit.place
            rows.append(
                (
                    number,
                    WEEKDAYS[day.weekday],
                    order,
                    place.name,
                    place.kind,
                    *times,
                    place.price,
                    place.spot.latitude,
                    place.spot.longitude,
                )
            )
    columns = ("day", "weekday", "step", "place", "kind", "arrives", "begins", "ends", "price", "latitude", "longitude")
    return SolutionTable("Places of each day", columns, rows)


def _map_routes(trip: Trip, plan: TripPlan) -> list[MapRoute]:
    routes = []
    for number, day in enumerate(plan.days, start=1):
        stops = [(visit.place.name, point) for visit in day.visits if (point := visit.place.spot.point)]
        note = f"{counted(len(day.visits), 'place')}, {day.metres / 1000:.1f} km, back {clock(day.back)}"
        routes.append(MapRoute(f"Day {number}", note, trip.start.point, trip.start.point, stops))
    return routes


part = TripSolver()
