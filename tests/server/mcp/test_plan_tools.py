"""A plan as tools of a desk: asked at once, changed after a yes, and nothing said that the plan does not say."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.house.conftest import ROOT

from smidgen.apps.tools import mcp_sessions
from smidgen.apps.tools.definition import McpTarget
from smidgen.apps.tools.mcp_servers import listed_tools, save_definitions
from smidgen.apps.tools.results import ToolResult, answer_text
from smidgen.apps.tools.tool_file import read_settings, read_tools
from smidgen.apps.tools.toolbox import Toolbox, ToolCall, ToolUser
from smidgen.core.conversations import ProposedCall
from smidgen.core.errors import RecipeError
from smidgen.flows.plans.asked_plan import AskedPlan
from smidgen.flows.plans.problem import open_problem, read_plan, write_plan
from smidgen.server.mcp.plan_tools import plan_server
from smidgen.store.calls import CallStore

pytest.importorskip("mcp")
FILE = """
[mcp.plan]
command = ["smidgen", "solve", "plan", "--mcp"]
definitions = "plan-tools.json"

[mcp.plan.tools.ask]
name = "trip_plan"
confirm = "never"
words = "Look up {about}"
answer = "{sentence_en}"
nothing = "The plan has no such place."

[mcp.plan.tools.change]
name = "change_trip"
preview = "would_change"
words = "Change the trip: {change_en}"
nothing = "That does not fit the trip. Say the place in full."
answer = "{changed_en} {sentence_en}"
"""
WHO = ToolUser("conversation")


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Toolbox]:
    """A desk's toolbox with the tools of a trip's plan."""
    places = ROOT / "src" / "smidgen" / "samples" / "alderwick" / "places.csv"
    tables = [f"trips.places={json.dumps(str(places))}", 'trips.start="Harbour Hotel"', "solve.seconds=0.2"]
    (tmp_path / "plan").mkdir()
    write_plan(open_problem("trips", tables).solve(), tmp_path / "plan")
    plan = AskedPlan(tmp_path / "plan")
    plan.warm_up()

    @contextlib.asynccontextmanager
    async def in_process(target: Any, environment: Any) -> AsyncIterator[Any]:
        from mcp import Client

        async with Client(plan_server(plan)) as client:
            yield client

    monkeypatch.setattr(mcp_sessions, "_client", in_process)
    file = tmp_path / "tools.toml"
    file.write_text(FILE, encoding="utf-8")
    assert save_definitions(read_settings(file).mcp["plan"], tmp_path) == ["ask", "would_change", "change"]
    with (
        contextlib.closing(CallStore(tmp_path / "calls.sqlite3")) as store,
        contextlib.closing(Toolbox(read_tools(file), store, {})) as made,
    ):
        yield made


def test_the_answer_is_a_sentence_of_the_plan(box: Toolbox, tmp_path: Path) -> None:
    visit = read_plan(tmp_path / "plan" / "plan.json")["result"]["days"][0]["visits"][0]
    tool, arguments = box.tool("trip_plan"), {"about": visit["place"]}
    said = answer_text(tool, arguments, box.run(ToolCall("trip_plan", arguments), WHO))
    assert said == f"{visit['place']}: day 1, Saturday, from {visit['begins']} to {visit['ends']}."
    unknown = box.run(ToolCall("trip_plan", {"about": "Eiffel Tower"}), WHO)
    assert unknown.status == "nothing" and answer_text(tool, arguments, unknown) == "The plan has no such place."


def test_a_change_waits_for_a_yes(box: Toolbox, tmp_path: Path) -> None:
    tool = box.tool("change_trip")
    assert tool.waits and tool.properties["want"]["type"] == "array" and tool.properties["days"]["type"] == "integer"
    proposed = box.propose(ToolCall("change_trip", {"days": 2}), WHO)
    assert isinstance(proposed, ProposedCall) and proposed.words == "Change the trip: Plan anew: 2 days."
    assert read_plan(tmp_path / "plan" / "plan.json")["changes"] == []
    done = box.decide(proposed.id, WHO, yes=True)
    assert done.result.status == "ok"
    assert answer_text(tool, done.arguments, done.result).startswith("Plan anew: 2 days. 2 days with ")
    assert len(read_plan(tmp_path / "plan" / "plan.json")["changes"]) == 1


def test_a_change_that_does_not_fit_is_refused_before_the_question(box: Toolbox, tmp_path: Path) -> None:
    tool, arguments = box.tool("change_trip"), {"skip": ["Eiffel Tower"]}
    refused = box.propose(ToolCall("change_trip", arguments), WHO)
    assert isinstance(refused, ToolResult) and refused.status == "nothing"
    assert answer_text(tool, arguments, refused) == "That does not fit the trip. Say the place in full."
    assert read_plan(tmp_path / "plan" / "plan.json")["changes"] == []
    assert tool.wording(arguments) == "Change trip (skip: Eiffel Tower)", "without a preview, as in a rehearsal, the arguments are shown"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('preview = "would_chance"', "there is no would_chance"),
        ('preview = "change"', "change may change something"),
        ('preview = "ask"', "ask lacks arguments of change"),
        ('preview = "would_change"\nguard = "SELECT 1"', "give either a guard or a preview"),
        ('words = "Change {change_en}"', "{change_en} is no argument"),
    ],
)
def test_a_preview_reads_and_takes_the_same_arguments(box: Toolbox, tmp_path: Path, lines: str, said: str) -> None:
    file = tmp_path / "tools.toml"
    own = FILE.replace('preview = "would_change"\nwords = "Change the trip: {change_en}"\n', f"{lines}\n")
    file.write_text(own, encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        read_tools(file)
    assert said in str(caught.value)


@pytest.mark.thorough
def test_the_command_serves_the_plan(tmp_path: Path) -> None:
    places = ROOT / "src" / "smidgen" / "samples" / "alderwick" / "places.csv"
    tables = [f"trips.places={json.dumps(str(places))}", 'trips.start="Harbour Hotel"', "solve.seconds=0.2"]
    write_plan(open_problem("trips", tables).solve(), tmp_path)
    command = (sys.executable, "-m", "smidgen", "solve", str(tmp_path), "--mcp")
    environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    target = McpTarget("", command, env=environment, folder=str(tmp_path))
    assert [one["name"] for one in listed_tools(target, {})] == ["ask", "would_change", "change"]
