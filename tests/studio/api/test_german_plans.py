"""The page has German for every sentence, note, title and drawing of a plan: routes, trips and stock are solved, changed and read."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest
from tests.house.conftest import ROOT
from tests.plans.stock.tables import daily, table
from tests.studio.api.test_german import has_german

from smidgen.core.errors import InputError
from smidgen.plans.page import solution_page
from smidgen.plans.solvers import routes, stock, trips
from smidgen.plans.solving import ProblemTable, Solution

WORDS = json.loads((ROOT / "studio" / "src" / "i18n" / "de" / "plan.json").read_text(encoding="utf-8"))
SAME = re.compile(r"-?[\d.,]+( km| m)?|(Jan|Feb|Apr|Jun|Jul|Aug|Sep|Nov) \d{4}|N")
"""Texts of drawings that both languages write alike."""
SAID = re.compile(r'<(?!style\b|script\b|td\b|th\b)[a-z]\w*\b(?![^>]*translate="no")[^>]*>([^<]*[^<\s][^<]*)')
"""Words of a page for people, as the page of the Studio finds them; its cells are those of the tables."""
TIMES = re.compile(r"\d\d:\d\d")


def without_german(solution: Solution) -> set[str]:
    """What the page would show of a solution in English."""
    texts = {one.text for one in solution.statements} | set(solution.remarks) | {one.title for one in solution.tables.values()}
    for drawing in solution.pictures.values():
        texts |= set(re.findall(r"<text(?! [^>]*weight)[^>]*>([^<]+)</text>", drawing)) | set(re.findall(r'aria-label="([^"]+)"', drawing))
    pages = [
        solution_page("Mine", "Routes", solution, []),
        *(page.decode() for name, page in solution.files.items() if name == "drivers.html"),
    ]
    texts |= {html.unescape(text) for page in pages for text in SAID.findall(page) if not TIMES.fullmatch(text)}
    columns = {column for one in solution.tables.values() for column in one.columns}
    words = {"weekday": "cell", "constraint": "cell"}
    cells = {
        word
        for one in solution.tables.values()
        for row in one.rows
        for column, cell in zip(one.columns, row, strict=True)
        if column in words and cell
        for word in str(cell).split("+")
    }
    sentences = {str(row[one.columns.index("reason")]) for one in solution.tables.values() if "reason" in one.columns for row in one.rows}
    drawn = {name.replace("_", " ") for name in solution.pictures}
    missing = {text for text in (texts | sentences) - drawn if not has_german(text) and not SAME.fullmatch(text)}
    return missing | {one for one in columns if one not in WORDS["column"] and not has_german(one)} | cells - set(WORDS["cell"])


def cells(columns: str, *rows: str) -> ProblemTable:
    """A table of cells separated by `|`."""
    return table(columns, *rows)


def vans(**settings: Any) -> Any:
    """Two vans, and stops of which each lacks something else."""
    pytest.importorskip("pyvrp")
    stops = cells(
        "name|address|latitude|longitude|demand|opens|closes|minutes|optional|skills",
        "Baker|Mill Lane 1|48.01|11.0|1|||5||",
        "School|Mill Lane 9|48.02|11.0|1|09:00|11:00|5||",
        "Late|Hill Road 2|48.01|11.02|1||06:30|5||",
        "Heavy|Hill Road 3|48.01|11.01|50|||5||",
        "Cold|Hill Road 4|48.0|11.01|1|||5||cooling",
        "Far|Sea Road 5|48.9|12.4|1|||5||",
        "Farther|Sea Road 6|49.9|12.4|80||06:00|300||",
        "Maybe|Sea Road 7|48.3|11.4|1|||5|yes|",
        "Night|Hill Road 8|48.0|11.03|60||06:00|5||cooling",
    )
    own = cells(
        "name|capacity|starts|ends|start|start_latitude|start_longitude|break_minutes|break_from|break_until",
        "Van 1|10|07:00|14:00|Depot|48.0|11.0|10|07:00|07:10",
        "Van 2|10|07:00|14:00|Depot|48.0|11.0|||",
    )
    tables = {"stops": stops, "vans": own, "customers": cells("name|latitude|longitude|demand", "Inn|48.01|11.005|2")}
    if settings.pop("streets", False):
        rows = ("Mill Lane|48.0|11.0", "Mill Lane|48.02|11.0", "Hill Road|48.0|11.0", "Hill Road|48.01|11.02")
        tables["streets"] = cells("street|latitude|longitude", *rows)
    return routes.part.read(routes.VanRouteSettings(stops="s.csv", vans="v.csv", van_minutes=0, **settings), tables)


EVENTS = [
    {"kind": "road_closed", "streets": ["Mill Lane"]},
    {"kind": "road_closed", "streets": ["Mill Lane"], "begins": "9:00", "ends": "11:00"},
    {"kind": "jam", "streets": ["Mill Lane", "Hill Road"], "minutes": 10, "ends": "two hours"},
    {"kind": "jam", "streets": ["Hill Road"], "begins": "10:00"},
    {"kind": "ice"},
    {"kind": "van_broken", "van": "Van 2"},
    {"kind": "hours_changed", "stop": "School", "ends": "12:00"},
    {"kind": "new_stop", "stop": "Inn", "load": 2},
    {"kind": "stop_cancelled", "stop": "Baker"},
]


def test_routes() -> None:
    plain, streets = vans(), vans(streets=True)
    first = routes.part.solve(plain, 0.05)
    assert without_german(first) == set()
    assert {one["constraint"] for one in first.result["left_out"]} >= {"capacity", "skill", "window", "worth"}
    cold = next(one["reason"] for one in first.result["left_out"] if one["stop"] == "Cold")
    assert cold == "Cold stays out: it would fit if Van 1 had cooling, which it lacks."
    van = first.result["routes"][0]
    for thing in (van["van"], van["visits"][0]["stop"], "Heavy"):
        assert all(has_german(one.text) for one in routes.part.about(first.result, thing)), thing
    later = routes.part.changed(vans(now="08:00"), {"kind": "van_broken", "van": "Van 1"})
    assert without_german(routes.part.solve(later, 0.05, first.result)) == set()
    assert without_german(routes.part.solve(vans(streets=True, now="08:00"), 0.05)) == set()
    for event in EVENTS:
        streets = routes.part.changed(streets, event)
    over = ({"streets": ["Mill Lane"]}, {"streets": ["Hill Road"]}, {}, {"van": "Van 2"}, {"stop": "Baker"})
    assert all(has_german(routes.part.shown_change(streets, {"kind": "cleared", **event})) for event in over)
    streets = vans(streets=True)
    said = [solver.shown_change(problem, event) for event in EVENTS for solver, problem in ((routes.part, plain), (routes.part, streets))]
    assert [text for text in said if not has_german(text)] == [] and len(said) == 18


def test_driver_sheets() -> None:
    pytest.importorskip("pyvrp")
    stops = cells(
        "name|latitude|longitude|demand|opens|closes|minutes|skills",
        "Ice|48.01|11.0|2|09:00|09:10|5|cooling",
        "Pub|48.02|11.0||11:30|||",
        "Bar|48.02|11.01|||23:00||",
    )
    own = cells(
        "name|starts|ends|start|start_latitude|start_longitude|skills|break_minutes|break_from|break_until",
        "Van|07:00|14:00|Depot|48.0|11.0|cooling|30|09:30|11:00",
    )
    settings = {"stops": "s.csv", "vans": "v.csv", "van_minutes": 0}
    first = routes.part.solve(routes.part.read(routes.VanRouteSettings(**settings), {"stops": stops, "vans": own}), 0.05)
    late = routes.part.read(routes.VanRouteSettings(**settings, now="09:20"), {"stops": stops, "vans": own})
    sheets = [one.files["drivers.html"].decode() for one in (first, routes.part.solve(late, 0.05, first.result))]
    notes = (
        "window 09:00 to 09:10",
        "load 2<",
        "5 min of work",
        "needs cooling",
        "Break of 30 minutes",
        "window from 11:30<",
        "window until 23:00<",
    )
    assert [note for sheet in sheets for note in notes if note not in sheet] == [] and "already served" in sheets[1]
    assert without_german(first) == set() and "load 2, " in sheets[0]  # a van without a capacity has room for everything


WISHES = [
    {
        "days": 2,
        "weekday": "sunday",
        "budget": 30,
        "want": ["kids"],
        "avoid": ["rain"],
        "lunch": "any",
        "must": ["Castle"],
        "skip": ["Pond"],
    },
    {"begins": "10:00", "ends": "10:30", "must": ["Castle", "Mine", "Moon"], "lunch": "lake"},
    {"budget": 1, "must": ["Castle"], "avoid": ["history"]},
    {"days": 2, "lunch": "any"},
]


def test_trips() -> None:
    places = cells(
        "name|kind|latitude|longitude|minutes|price|tags|saturday|sunday",
        "Hotel|hotel|48.0|11.0|0|0|||",
        "Castle|castle|48.01|11.0|60|9|history||",
        "Pond|park|48.02|11.0|30|0|kids||",
        "Inn|restaurant|48.0|11.01|60|12|lake|11:00-15:00|closed",
        "Mine|mine|48.0|11.02|60|20|rain|closed|closed",
        "Moon|park|58.0|21.0|60|20|||",
    )
    start = trips.part.read(trips.TripSettings(places="p.csv", start="Hotel"), {"places": places})
    place = trips.part.solve(start, 0.05).result["days"][0]["visits"][0]["place"]
    assert has_german(trips.part.about(trips.part.solve(start, 0.05).result, place)[0].text)
    seen = 0
    for wish in [None, *WISHES]:
        changed = trips.part.changed(start, wish) if wish else start
        solution = trips.part.solve(changed, 0.05)
        seen += len(solution.statements)
        assert without_german(solution) == set()
        assert wish is None or has_german(trips.part.shown_change(start, wish))
    assert seen > 10
    hours = cells(
        "name|latitude|longitude|tourism|opening_hours",
        "Hotel|48.0|11.0|hotel|",
        "Pool|48.01|11.0||May-Sep 09:00-19:00",
        "Hut|48.02|11.0||sunrise-sunset",
        "|48.02|11.01||",
    )
    read = trips.part.read(trips.TripSettings(places="p.csv", start="Hotel"), {"places": hours})
    assert without_german(trips.part.solve(trips.part.changed(read, {"must": ["Pool"]}), 0.05)) == set() and len(read.remarks) == 7
    dated = trips.part.read(trips.TripSettings(places="p.csv", start="Hotel", date="2027-07-03"), {"places": hours})
    assert has_german(trips.part.shown_change(dated, {"weekday": "sunday"}))


def test_stock() -> None:
    pytest.importorskip("statsforecast")
    sales = daily(M1=[12.0, 9.0, 14.0, 11.0] * 20, L1=[None] * 78 + [3.0, 2.0])
    held = table("sku|name|stock|lead_time|pack|supplier", "M1|Hearth Mug|30|5|1|Pottery", "L1|Lamp|3|5|1|Light", "X1|Jug|9|5|1|Pottery")
    problem = stock.part.read(stock.StockSettings(sales="sales.csv", stock="stock.csv"), {"sales": sales, "stock": held})
    solution = stock.part.solve(problem, 1.0)
    assert without_german(solution) == set() and len(solution.statements) > 1


def test_an_unknown_name_is_refused_in_german() -> None:
    refused = 0
    for event in (
        {"kind": "van_broken", "van": "Van 9"},
        {"kind": "road_closed", "streets": ["Moon Street"]},
        {"kind": "new_stop", "stop": "Pub"},
        {"kind": "cleared", "streets": ["Mill Lane"]},
        {"kind": "cleared"},
        {"kind": "cleared", "van": "Van 1"},
        {"kind": "cleared", "stop": "Baker"},
    ):
        with pytest.raises(InputError) as caught:
            routes.part.changed(vans(), event)
        refused += 1
        assert has_german(caught.value.what) and has_german(caught.value.todo)
    assert refused == 7
