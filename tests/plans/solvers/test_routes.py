"""The sample's plan from the command line, and an event in the middle of its day."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.house.conftest import ROOT

from smidgen.cli.main import code
from smidgen.core.errors import DataError
from smidgen.plans.solving import ProblemTable

pytest.importorskip("pyvrp")
RECIPE = ROOT / "recipes" / "routes" / "routes.toml"


def told(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    return found


def test_the_sample_is_planned_and_a_van_breaks_down_at_ten(tmp_path: Path) -> None:
    out = tmp_path / "plan"
    assert code(["solve", str(RECIPE), "--out", str(out), "--seconds", "0.6", "--json"]) == 0
    plan = told(out)
    assert plan["status"] == "solved" and plan["result"]["totals"]["served"] == 40
    assert {"map.svg", "drivers.html", "routes.gpx", "routes.csv", "page.html"} <= set(plan["files"])
    sheet = (out / "drivers.html").read_text(encoding="utf-8")
    assert all(
        visit["stop"].replace("&", "&amp;").replace("'", "&#x27;") in sheet
        for route in plan["result"]["routes"]
        for visit in route["visits"]
    )

    before = plan["result"]["times"]
    first = min((van for van in before if len(before[van]) > 4), key=lambda van: before[van][0])
    change = json.dumps({"kind": "van_broken", "van": first})
    asked = ["solve", str(out), "--set", "routes.now=10:00", "--change", change, "--yes", "--seconds", "0.6", "--json"]
    assert code(asked) == 0
    after = told(out)["result"]["times"]
    assert any(text.startswith(f"{first} stands still after") for text in told(out)["sentences"])
    assert f"{first} does not drive from 10:00" in told(out)["changes"][0]["words"]
    for van, (_, _, _, _, *visits) in before.items():
        past = [visit for visit in visits if visit[2] <= 10 * 3600]
        assert after.get(van, [0] * 4)[4 : 4 + len(past)] == past
    served = {visit[0] for _, _, _, _, *visits in after.values() for visit in visits}
    assert served | {one["stop"] for one in told(out)["result"]["left_out"]} == {
        visit[0] for _, _, _, _, *v in before.values() for visit in v
    }


def test_a_plan_that_cannot_be_is_said_to_be_infeasible() -> None:
    from smidgen.plans.solvers.routes import VanRouteSettings, part

    stops = ProblemTable(
        "s.csv", ("name", "latitude", "longitude", "closes"), [(1, {"name": "A", "latitude": "48", "longitude": "11", "closes": "6:00"})]
    )
    columns = ("name", "starts", "ends", "start", "start_latitude", "start_longitude")
    vans = ProblemTable("v.csv", columns, [(1, dict(zip(columns, ("V", "8", "9", "D", "48.1", "11"), strict=True)))])
    problem = part.read(VanRouteSettings(stops="s.csv", vans="v.csv"), {"stops": stops, "vans": vans})
    solution = part.solve(problem, 0.1)
    assert solution.status == "infeasible"
    assert solution.statements[0].text == "No plan is possible: none of the 1 stops can be served."
    assert "served until" in solution.statements[1].text


def test_tables_of_another_town() -> None:
    """The depot is a row of the stops: no stop. The streets are of another town: said before a plan is made."""
    from smidgen.plans.solvers.routes import VanRouteSettings, part

    def table(file: str, columns: str, *lines: str) -> ProblemTable:
        names = tuple(columns.split(";"))
        return ProblemTable(file, names, [(row, dict(zip(names, line.split(";"), strict=True))) for row, line in enumerate(lines, 1)])

    stops = table("s.csv", "Kunde;Breite;Länge;Fax", "Huber;48,16;11,58;089", "Lager;48,18;11,55;")
    vans = table("v.csv", "Fahrzeug;Startort", "V;Lager")
    problem = part.read(VanRouteSettings(stops="s.csv", vans="v.csv"), {"stops": stops, "vans": vans})
    assert [stop.name for stop in problem.stops] == ["Huber"] and problem.vans[0].start.name == "Lager"
    assert {"No stop, since vans start or end there: Lager.", "s.csv has columns that are not used: Fax."} <= set(problem.remarks)
    assert "s.csv has no column minutes: no stop takes any time." in problem.remarks
    assert not any("has no column demand" in remark or "has no column capacity" in remark for remark in problem.remarks)
    sized = {"stops": stops, "vans": table("v.csv", "name;start;capacity", "V;Lager;5")}
    remarks = part.read(VanRouteSettings(stops="s.csv", vans="v.csv"), sized).remarks
    assert "s.csv has no column demand: no stop takes any room in a van." in remarks
    streets = table("streets.csv", "street;latitude;longitude", "Quay;54.31;-1.64", "Quay;54.32;-1.63")
    settings = VanRouteSettings(stops="s.csv", vans="v.csv", streets="streets.csv")
    with pytest.raises(DataError, match="no street of the table is near any stop: 'Huber'") as caught:
        part.read(settings, {"stops": stops, "vans": vans, "streets": streets})
    assert caught.value.file == "streets.csv"


def test_more_stops_than_a_plan_can_hold_are_refused_at_once() -> None:
    from smidgen.plans.solvers.routes import VanRouteSettings, part

    columns = ("name", "latitude", "longitude")
    rows = [(row, {"name": f"S{row}", "latitude": "48.1", "longitude": "11.5"}) for row in range(1, 2_002)]
    vans = ProblemTable("v.csv", ("name", "start"), [(1, {"name": "V", "start": "S1"})])
    with pytest.raises(DataError, match=r"so many stops: '2,001 stops'. Plan at most 2,000 at once"):
        part.read(VanRouteSettings(stops="s.csv", vans="v.csv"), {"stops": ProblemTable("s.csv", columns, rows), "vans": vans})
