"""A plan as tools of a desk: asked at once, changed after a yes, and nothing said that the plan does not say."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.house.conftest import ROOT

from smidgen.core.conversations import ProposedCall
from smidgen.core.errors import RecipeError
from smidgen.plans.flows import problem
from smidgen.plans.flows.problem import open_problem, read_plan, write_plan
from smidgen.plans.flows.served_plan import ServedPlan
from smidgen.plans.mcp_server import plan_server
from smidgen.store.calls import CallStore
from smidgen.tasks import action_tools
from smidgen.tools import mcp_sessions
from smidgen.tools.definition import McpTarget
from smidgen.tools.mcp_servers import listed_tools, save_definitions
from smidgen.tools.results import ToolResult, answer_text
from smidgen.tools.spoken_arguments import spoken_arguments
from smidgen.tools.tool_file import read_settings, read_tools
from smidgen.tools.toolbox import Toolbox, ToolCall, ToolUser

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
SAID = """
[mcp.plan.tools.change_said]
name = "change_trip_as_said"
message = "sentence"
preview = "would_change_said"
words = { en = "Change the trip: {change_en}", de = "Die Reise ändern: {change_en}" }
nothing = "That does not fit the trip."
answer = "{changed_en} {sentence_en}"
"""
"""A tool of a plan for which a model reads sentences."""
WHO = ToolUser("conversation")


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Toolbox]:
    """A desk's toolbox with the tools of a trip's plan."""
    yield from opened_box(tmp_path, monkeypatch, FILE, [])


@pytest.fixture
def reading_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Toolbox]:
    """As `box`, with a model that reads one sentence, as the number of days that the test chooses."""

    def predict(texts: list[str]) -> list[Any]:
        return [SimpleNamespace(score=0.9, output={"days": int(os.environ["TEST_DAYS"])} if "longer" in text else {}) for text in texts]

    monkeypatch.setenv("TEST_DAYS", "2")
    monkeypatch.setattr(problem, "load", lambda folder: SimpleNamespace(predict=predict, close=lambda: None))
    yield from opened_box(tmp_path, monkeypatch, FILE + SAID, [f"solve.changes={json.dumps(str(tmp_path))}"])


def opened_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tools: str, settings: list[str]) -> Iterator[Toolbox]:
    """A desk's toolbox with the tools of a trip's plan."""
    places = ROOT / "src" / "smidgen" / "samples" / "alderwick" / "places.csv"
    tables = [f"trips.places={json.dumps(str(places))}", 'trips.start="Harbour Hotel"', "solve.seconds=0.2"]
    (tmp_path / "plan").mkdir()
    write_plan(open_problem("trips", [*tables, *settings]).solve(), tmp_path / "plan")
    plan = ServedPlan(tmp_path / "plan")
    plan.warm_up()

    @contextlib.asynccontextmanager
    async def in_process(target: Any, environment: Any) -> AsyncIterator[Any]:
        from mcp import Client

        async with Client(plan_server(plan)) as client:
            yield client

    monkeypatch.setattr(mcp_sessions, "_client", in_process)
    file = tmp_path / "tools.toml"
    file.write_text(tools, encoding="utf-8")
    more = ["would_change_said", "change_said"] if settings else []
    assert save_definitions(read_settings(file).mcp["plan"], tmp_path) == ["ask", "would_change", "change", *more]
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
    assert isinstance(proposed, ProposedCall) and proposed.words == "Change the trip: Plan again: 2 days."
    assert read_plan(tmp_path / "plan" / "plan.json")["changes"] == []
    done = box.decide(proposed.id, WHO, yes=True)
    assert done.result.status == "ok"
    assert answer_text(tool, done.arguments, done.result).startswith("Plan again: 2 days. 2 days with ")
    assert len(read_plan(tmp_path / "plan" / "plan.json")["changes"]) == 1


def test_a_change_that_does_not_fit_is_refused_before_the_question(box: Toolbox, tmp_path: Path) -> None:
    tool, arguments = box.tool("change_trip"), {"skip": ["Eiffel Tower"]}
    refused = box.propose(ToolCall("change_trip", arguments), WHO)
    assert isinstance(refused, ToolResult) and refused.status == "nothing"
    assert answer_text(tool, arguments, refused) == "That does not fit the trip. Say the place in full."
    assert read_plan(tmp_path / "plan" / "plan.json")["changes"] == []
    assert tool.wording(arguments) == "Change trip (skip: Eiffel Tower)", "without a preview, as in a rehearsal, the arguments are shown"


def test_a_sentence_is_read_by_the_plan_s_own_model(reading_box: Toolbox, tmp_path: Path) -> None:
    tool = reading_box.tool("change_trip_as_said")
    assert tool.whole_messages == ("sentence",) and tool.required == ("sentence",)
    call = ToolCall(tool.name, spoken_arguments(tool, tool.required, "  We stay longer "))
    assert call.arguments == {"sentence": "We stay longer"}
    proposed = reading_box.propose(call, WHO, "de")
    assert isinstance(proposed, ProposedCall) and proposed.words == "Die Reise ändern: Plan again: 2 days."
    assert read_plan(tmp_path / "plan" / "plan.json")["changes"] == []
    done = reading_box.decide(proposed.id, WHO, yes=True)
    assert answer_text(tool, done.arguments, done.result).startswith("Plan again: 2 days. 2 days with ")
    refused = reading_box.propose(ToolCall(tool.name, {"sentence": "Lovely weather"}), WHO)
    assert isinstance(refused, ToolResult) and refused.status == "nothing"


def test_a_yes_to_other_words_than_the_plan_would_now_say_changes_nothing(
    reading_box: Toolbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposed = reading_box.propose(ToolCall("change_trip_as_said", {"sentence": "We stay longer"}), WHO)
    assert isinstance(proposed, ProposedCall)
    monkeypatch.setenv("TEST_DAYS", "3")
    done = reading_box.decide(proposed.id, WHO, yes=True)
    assert (done.result.status, done.result.reason) == ("failed", "the call would now do something else than was confirmed")
    assert read_plan(tmp_path / "plan" / "plan.json")["changes"] == []


def test_a_yes_to_more_than_the_plan_would_now_do_changes_nothing(
    reading_box: Toolbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposed = reading_box.propose(ToolCall("change_trip_as_said", {"sentence": "We stay longer"}), WHO)
    assert isinstance(proposed, ProposedCall)
    part = proposed.words.removeprefix("Change the trip: ").partition(":")[0]
    monkeypatch.setattr(ServedPlan, "would_change", lambda self, given: {"change_en": part})
    assert part in proposed.words and reading_box.decide(proposed.id, WHO, yes=True).result.status == "failed"
    assert read_plan(tmp_path / "plan" / "plan.json")["changes"] == []


def test_the_whole_message_is_no_argument_that_a_model_learns(reading_box: Toolbox, tmp_path: Path) -> None:
    tools = {tool["name"]: tool["parameters"] for tool in action_tools.read(str(tmp_path / "tools.toml"))}
    assert tools["change_trip_as_said"] == {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    assert "days" in tools["change_trip"]["properties"]


@pytest.mark.parametrize("argument", ["days", "words"])
def test_only_a_text_argument_is_the_whole_message(box: Toolbox, tmp_path: Path, argument: str) -> None:
    file = tmp_path / "tools.toml"
    file.write_text(FILE.replace('preview = "would_change"', f'preview = "would_change"\nmessage = "{argument}"'), encoding="utf-8")
    with pytest.raises(RecipeError, match=f"message: {argument} is no text argument"):
        read_tools(file)


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
