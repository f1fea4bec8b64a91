"""Routes: which van serves which stops, in which order and when; changed by a dispatcher's sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from smidgen.core.errors import DataError, InputError
from smidgen.core.settings import Settings, setting
from smidgen.plans.routing import events, papers, tables
from smidgen.plans.routing.map import MapRoute, Point, drawn_map
from smidgen.plans.routing.network import StreetNetwork
from smidgen.plans.routing.problem import Plan, Problem, Route, Rules, Spot, TakenBreak, Visit, clock, counted, seconds_of, units
from smidgen.plans.routing.solving import solved
from smidgen.plans.routing.sources import by_streets, travel_times
from smidgen.plans.routing.table_rows import NamedColumns
from smidgen.plans.routing.tile_map import CREDIT, LEAFLET, TILES, tile_map, tiles_of
from smidgen.plans.routing.travel import Travel
from smidgen.plans.routing.underway import underway
from smidgen.plans.solving import Change, ProblemTable, Solution, SolutionTable, Solver, Statement, Status

MAX_STOPS = 2_000
"""Memory and time grow with the square of the number of stops."""


class VanRouteSettings(Settings):
    """Stops, vans, travel times, and how a plan is weighed."""

    stops: str = setting(
        ...,
        "Table of stops: name, latitude, longitude; if you like address, demand, opens, closes, minutes, priority, optional, skills.",
        file=True,
    )
    vans: str = setting(
        ...,
        "Table of vans: name, capacity, starts, ends, start (a name) with start_latitude and start_longitude; if you like end, skills, "
        "and break_minutes with break_from and break_until.",
        file=True,
    )
    customers: str | None = setting(None, "Table of customers, like that of stops: where a new stop may be.", file=True)
    streets: str | None = setting(
        None, "Table of streets: street, latitude, longitude, a point a row; travel times follow them. If you like kmh, oneway.", file=True
    )
    matrix: str | None = setting(
        None, "Table of travel minutes between all places: a row for each origin, a column for each target.", file=True
    )
    valhalla: str | None = setting(None, "URL of a Valhalla server that computes travel times; https, or http of this machine.")
    kmh: float = setting(30.0, "Speed in km/h for straight lines, and for streets without a speed.", ge=1, le=130)
    slow_hours: str = setting("", "Rush hours with a travel time factor: 7-9: 1.5, 16-18: 1.4.")
    now: str = setting("", "Current time (10:30): what vans served before it stays. Empty: before the day.")
    swap: bool = setting(True, "Whether a stop may move to another van after its van left. Turn it off if its goods are on board.")
    van_minutes: int = setting(30, "Fixed cost of using a van, in minutes of driving.", ge=0, le=1440)
    optional_minutes: int = setting(60, "Value of an optional stop, in minutes of driving.", ge=0, le=1440)
    jam: float = setting(2.0, "Travel time factor on a jammed street when no delay is given.", ge=1, le=20)
    ice: float = setting(1.5, "Travel time factor on icy streets.", ge=1, le=20)
    detour: float = setting(1.6, "Travel time factor of a detour around a closed street, without a table of streets.", ge=1, le=20)
    tiles: str | None = TILES
    leaflet: str | None = LEAFLET
    credit: str = CREDIT
    seed: int = setting(0, "Seed of the search.", ge=0)


class RouteSolver(Solver):
    """Plan the routes of vans with PyVRP."""

    name = "routes"
    title = "Routes"
    summary = "Plan the routes of vans, and change the plan when something happens."
    settings = VanRouteSettings
    changes: Mapping[str, Any] = events.SCHEMA
    examples = (
        "Mill Lane is closed until 2 pm.",
        "There is a jam on Harbour Road and Castle Street, 15 minutes more.",
        "Van 2 broke down.",
        "Lindenhof closes at 16:00 today.",
        "New stop: Baker Moll, 4 crates, before noon.",
    )
    usual: Mapping[str, Any] = events.USUAL
    telling = events.TELLING

    def read(self, settings: VanRouteSettings, tables_given: Mapping[str, ProblemTable]) -> Problem:
        """Read stops, vans and travel times from the tables."""
        located = settings.matrix is None
        stops = tables.read_stops(tables_given["stops"], located=located)
        customers = tables.read_stops(tables_given["customers"], located=located) if "customers" in tables_given else []
        places = {stop.name.casefold(): stop.spot for stop in (*customers, *stops)}
        vans = tables.read_vans(tables_given["vans"], located=located, known=places)
        if len(stops) > MAX_STOPS:
            raise DataError(
                "plans.one_plan_cannot_hold_so_many_stops", stops=len(stops), most_stops=MAX_STOPS, file=tables_given["stops"].file
            )
        load, room = NamedColumns(tables_given["stops"]), NamedColumns(tables_given["vans"])
        if load.unit("demand") and room.unit("capacity") and load.unit("demand") != room.unit("capacity"):
            value = f"{load.written('demand')}, {room.written('capacity')}"
            file = tables_given["vans"].file
            raise DataError("plans.loads_and_capacities_differ_in_unit", value=value, unit=load.unit("demand"), file=file)
        depots = {spot for van in vans for spot in (van.start, van.end)}
        stops, depot_rows = [stop for stop in stops if stop.spot not in depots], [stop.name for stop in stops if stop.spot in depots]
        pieces = tables.read_streets(tables_given["streets"], settings.kmh) if "streets" in tables_given else []
        spots = _spots(stops, vans, customers)
        travel = self._travel(settings, tables_given, spots, pieces, len(stops))
        lines: dict[str, list[list[tuple[float, float]]]] = {}
        for piece in pieces:
            own = lines.setdefault(piece.street, [])
            if own and own[-1][-1] == piece.start:
                own[-1].append(piece.end)
            else:
                own.append([piece.start, piece.end])
        rules = Rules(settings.jam, settings.ice, settings.detour, 60.0, settings.van_minutes * 60, settings.optional_minutes * 60)
        return Problem(
            stops=tuple(stops),
            vans=tuple(vans),
            travel=replace(travel, hours=tables.read_hours(settings.slow_hours)),
            customers={stop.name: stop for stop in customers},
            streets=lines,
            now=seconds_of(settings.now, "the time now") if settings.now else None,
            swap=settings.swap,
            rules=rules,
            seed=settings.seed,
            tiles=tiles_of(settings.tiles, settings.leaflet, settings.credit),
            remarks=(*_table_remarks(tables_given, depot_rows), *_travel_remarks(settings, travel)),
        )

    @staticmethod
    def _travel(settings: VanRouteSettings, given: Mapping[str, ProblemTable], spots: list[Spot], pieces: list[Any], stops: int) -> Travel:
        """Travel times between places; the first `stops` of them are the stops. Raises DataError for streets of another town."""
        if not pieces or settings.matrix is not None or settings.valhalla:
            return travel_times(spots, given.get("matrix"), settings.valhalla, settings.kmh)
        points = [spot.point or (0.0, 0.0) for spot in spots]
        network = StreetNetwork(pieces, points)
        if not any(network.door(points[place]) for place in range(stops)):
            raise DataError("plans.no_street_of_table_is_near_any_stop", value=spots[0].name, file=given["streets"].file)
        return by_streets([spot.name for spot in spots], network)

    def changed(self, problem: Problem, change: Change) -> Problem:
        """The problem after an event of the day."""
        return events.edit(problem, change).problem

    def shown_change(self, problem: Problem, change: Change) -> str:
        """The event as an edit of the problem."""
        return events.edit(problem, change).text

    def about(self, result: Mapping[str, Any], name: str) -> list[Statement]:
        """Say what the plan has of a van, or of a stop: who serves it when, or why it stays out."""
        routes = {route["van"]: route for route in result["routes"]}
        visits = {visit["stop"]: (van, visit) for van, route in routes.items() for visit in route["visits"]}
        out = {one["stop"]: one.get("reason", f"{one['stop']} stays out.") for one in result["left_out"]}
        found = events.known_as(name, [*routes, *visits, *out], "stop or van")
        if found in out:
            return [Statement(out[found])]
        if found in visits:
            van, visit = visits[found]
            return [Statement(f"{van} is at {found} at {visit['arrives']}, and leaves it at {visit['leaves']}.")]
        return [_route_statement(routes[found])]

    def names(self, problem: Problem) -> dict[str, list[str]]:
        """Streets; vans; stops and customers."""
        vans = [van.name for van in (*problem.vans, *problem.broken)]
        return {"street": events.street_names(problem), "van": vans, "stop": [*problem.stop, *problem.customers]}

    def settled(self, change: Change, sentence: str, named: Mapping[str, Sequence[str]]) -> Change:
        """The event as the sentence leaves no doubt about it."""
        return events.settled(change, sentence, named)

    def solve(self, problem: Problem, seconds: float, before: Mapping[str, Any] | None = None) -> Solution:
        """The plan, from the last one where there is one."""
        last = _last_routes(before or {})
        if problem.now is not None and not last:
            problem = problem.noted(f"No earlier plan is known: every van still stands at its start at {clock(problem.now)}.")
        problem = underway(problem, last, (before or {}).get("loaded"))
        if problem.underway and problem.swap:
            problem = problem.noted("Stops may move between vans that have left. If their goods are on board, set swap to false.")
        orders = {name: [visit.stop for visit in route.visits] for name, route in last.items()}
        return _solution(problem, solved(problem, seconds, problem.seed, orders or None))


def _spots(*groups: Any) -> list[Spot]:
    found: dict[str, Spot] = {}
    stops, vans, customers = groups
    for spot in [
        *(stop.spot for stop in stops),
        *(spot for van in vans for spot in (van.start, van.end)),
        *(stop.spot for stop in customers),
    ]:
        other = found.setdefault(spot.name, spot)
        if other != spot:
            value = f"{spot.name}: {other.latitude}, {other.longitude} and {spot.latitude}, {spot.longitude}"
            raise InputError("plans.one_name_stands_for_two_places", value=value)
    return list(found.values())


def _table_remarks(given: Mapping[str, ProblemTable], depots: Sequence[str]) -> list[str]:
    roles = {"stops": tables.STOP_COLUMNS, "vans": tables.VAN_COLUMNS, "customers": tables.STOP_COLUMNS}
    remarks = [remark for name, table in given.items() if name in roles for remark in tables.column_remarks(table, roles[name])]
    if depots:
        remarks.append(f"No stop, since vans start or end there: {', '.join(depots)}.")
    # Without these columns a plan is easier than the day will be.
    stops, vans = NamedColumns(given["stops"]), NamedColumns(given["vans"])
    if stops.named("minutes") is None:
        remarks.append(f"{given['stops'].file} has no column minutes: no stop takes any time.")
    if vans.named("capacity") is not None and stops.named("demand") is None:
        remarks.append(f"{given['stops'].file} has no column demand: no stop takes any room in a van.")
    if stops.named("demand") is not None and vans.named("capacity") is None:
        remarks.append(f"{given['vans'].file} has no column capacity: a van has room for everything.")
    return remarks


def _travel_remarks(settings: VanRouteSettings, travel: Travel) -> tuple[str, ...]:
    if travel.source == "straight lines":
        return (f"Travel times are straight lines, 1.3 times as long, at {settings.kmh:g} km/h: no street is known.",)
    if travel.source == "streets":
        lost = [name for name, row in zip(travel.names, travel.seconds, strict=True) if len(row) > 1 and sorted(row)[1] >= 10_000_000]
        return (f"No street of the table is near: {', '.join(lost)}.",) if lost else ()
    return ()


def _last_routes(before: Mapping[str, Any]) -> dict[str, Route]:
    found = {}
    for van, times in (before.get("times") or {}).items():
        leaves, back, driving, metres, *visits = times
        rest = (before.get("breaks") or {}).get(van)
        taken = TakenBreak(*rest) if rest else None
        found[van] = Route(van, leaves, tuple(Visit(*visit) for visit in visits), back, driving, metres, taken)
    return found


def _solution(problem: Problem, plan: Plan) -> Solution:
    driving = [route for route in plan.routes if route.visits]
    served = sum(len(route.visits) for route in driving)
    stops = served + len(plan.left_out)
    minutes = sum(route.driving for route in driving) // 60
    totals: dict[str, Any] = {
        "vans": len(driving),
        "served": served,
        "stops": stops,
        "km": round(sum(route.metres for route in driving) / 1000, 1),
        "driving": f"{minutes // 60} h {minutes % 60} min",
    }
    times = {}
    for route in plan.routes:
        visits = [[visit.stop, visit.arrives, visit.begins, visit.ends] for visit in route.visits]
        times[route.van] = [route.leaves, route.back, route.driving, route.metres, *visits]
    result = {
        "totals": totals,
        "routes": [_route_facts(problem, route) for route in driving],
        "left_out": [{"stop": one.stop, "constraint": one.constraint, "reason": one.reason, **one.facts} for one in plan.left_out],
        "loaded": {van: sorted(under.loaded) for van, under in problem.underway.items()},
        "breaks": {route.van: [route.rest.begins, route.rest.ends, route.rest.place] for route in plan.routes if route.rest},
        "times": times,
    }
    must = [one for one in plan.left_out if not problem.stop[one.stop].optional]
    status: Status = "infeasible" if not served and stops else "partly" if must else "solved"
    files = {"drivers.html": papers.driver_sheets(problem, driving)}
    if track := papers.tracks(problem, driving):
        files["routes.gpx"] = track
    out_tables = {"routes": _visit_table(problem, driving)}
    if plan.left_out:
        rows = [(one.stop, one.constraint, one.reason) for one in plan.left_out]
        out_tables["left-out"] = SolutionTable("What stays out", ("stop", "constraint", "reason"), rows)
    shown = _map_content(problem, plan)
    picture = drawn_map("Map of the routes", *shown, problem.streets)
    if problem.tiles is not None and (page := tile_map("Map of the routes", *shown, problem.tiles)):
        files["map.html"] = page
    return Solution(
        status=status,
        result=result,
        statements=_statements(problem, plan, totals, status),
        remarks=problem.remarks,
        tables=out_tables,
        pictures={"map": picture} if picture else {},
        files=files,
    )


def _route_facts(problem: Problem, route: Route) -> dict[str, Any]:
    return {
        "van": route.van,
        "leaves": clock(route.leaves),
        "back": clock(route.back),
        "stands": any(van.name == route.van for van in problem.broken),
        "stops": len(route.visits),
        "load": units(sum(problem.stop[visit.stop].demand for visit in route.visits)),
        "km": round(route.metres / 1000, 1),
        **({"break": clock(route.rest.begins), "break_minutes": (route.rest.ends - route.rest.begins) // 60} if route.rest else {}),
        "visits": [{"stop": visit.stop, "arrives": clock(visit.arrives), "leaves": clock(visit.ends)} for visit in route.visits],
    }


def _statements(problem: Problem, plan: Plan, totals: Mapping[str, Any], status: Status) -> list[Statement]:
    statements = []
    if status == "infeasible":
        statements.append(Statement(f"No plan is possible: none of the {totals['stops']} stops can be served."))
    elif totals["stops"]:
        serve = f"{totals['vans']} van{' serves' if totals['vans'] == 1 else 's serve'} {totals['served']} of {totals['stops']} stops"
        text = f"{serve}: {totals['km']:g} km, {totals['driving']} of driving."
        statements.append(Statement(text, dict(totals)))
    else:
        statements.append(Statement("There is nothing to serve."))
    statements += [
        Statement(one.reason, one.facts if one.constraint in _EXPLAINED_BY_FACTS and "or_van" not in one.facts else {})
        for one in plan.left_out
    ]
    for route in plan.routes:
        if route.visits:
            statements.append(_route_statement(_route_facts(problem, route)))
    return statements


def _route_statement(route: Mapping[str, Any]) -> Statement:
    if route.get("stands"):
        return Statement(f"{route['van']} stands still after {counted(route['stops'], 'stop')}.")
    facts = {name: route[name] for name in ("van", "leaves", "back", "stops", "load", "km", "break", "break_minutes") if name in route}
    way = f"makes {counted(route['stops'], 'stop')} over {route['km']:g} km with a load of {route['load']}"
    rest = f", has a break of {route['break_minutes']} minutes at {route['break']}" if "break" in route else ""
    return Statement(f"{route['van']} leaves at {route['leaves']}, {way}{rest}, and is back at {route['back']}.", facts)


_EXPLAINED_BY_FACTS = ("shift", "window", "capacity")
"""Reasons whose facts say all that their sentence says."""


def _visit_table(problem: Problem, routes: list[Route]) -> SolutionTable:
    rows = []
    for route in routes:
        for number, visit in enumerate(route.visits, start=1):
            stop = problem.stop[visit.stop]
            times = (clock(visit.arrives), clock(visit.begins), clock(visit.ends))
            rows.append((route.van, number, stop.name, stop.address, *times, stop.demand / 100, stop.spot.latitude, stop.spot.longitude))
    columns = ("van", "step", "stop", "address", "arrives", "begins", "leaves", "load", "latitude", "longitude")
    return SolutionTable("Stops of each van", columns, rows)


def _street_path(problem: Problem, route: Route) -> list[tuple[float, float]]:
    van = next(van for van in (*problem.vans, *problem.broken) if van.name == route.van)
    names = [van.start.name, *(visit.stop for visit in route.visits), van.end.name]
    times = [route.leaves, *(visit.ends for visit in route.visits)]
    legs = [
        events.driven_path(problem, one, other, time) if one != other else []
        for (one, other), time in zip(pairwise(names), times, strict=True)
    ]
    whole = all(leg for leg, (one, other) in zip(legs, pairwise(names), strict=True) if one != other)
    return [point for leg in legs for point in leg] if whole else []


def _map_content(problem: Problem, plan: Plan) -> tuple[list[MapRoute], list[tuple[str, Point]]]:
    vans = {van.name: van for van in (*problem.vans, *problem.broken)}
    routes = []
    for route in plan.routes:
        stops = [(visit.stop, point) for visit in route.visits if (point := problem.stop[visit.stop].spot.point)]
        ends = "stands still" if any(van.name == route.van for van in problem.broken) else f"back {clock(route.back)}"
        note = f"{counted(len(route.visits), 'stop')}, {route.metres / 1000:.1f} km, {ends}"
        van = vans[route.van]
        routes.append(MapRoute(route.van, note, van.start.point, van.end.point, stops, _street_path(problem, route)))
    return routes, [(one.stop, point) for one in plan.left_out if (point := problem.stop[one.stop].spot.point)]


part = RouteSolver()
