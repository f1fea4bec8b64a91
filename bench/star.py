"""Flows of STAR as tests of a desk's policy: six of its tasks become tools, intents and a policy; what people said is said to the desk."""

from __future__ import annotations

import csv
import json
import re
import tarfile
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import results
from bench.context import Context
from bench.data import NoData
from smidgen.core.conversations import DeskConversation, DeskReply, Turn
from smidgen.core.progress import Silent
from smidgen.desk.answering import Desk
from smidgen.desk.flows.live_desk import desk_of
from smidgen.flows.build.pipeline import build
from smidgen.flows.local_model import load
from smidgen.parts import recipe
from smidgen.stats.intervals import wilson

NAME = "star"
COLUMNS = ("task", "dialogues", "right", "95 %", "right tool", "why not")
TASKS = ("bank_balance", "bank_fraud_report", "doctor_schedule", "hotel_service_request", "ride_status", "weather")
_LEFT_OUT = ("RequestType",)
"""Arguments that say which step of a flow it is, and that no customer says."""
_USUAL = 0.6
"""An argument is required if so many of the training dialogues' queries have it."""
_FEWEST_WORDS = 4
"""Words of the message that says what a customer wants; before it there are greetings."""
_VALUE = re.compile(r"""(?:api\.\w+\()?["']?(.*?)["']?\)?""")
_QUICK = 4


@dataclass(frozen=True)
class Flow:
    """A dialogue of one task that went well: what the customer said until the assistant's last query, and that query."""

    id: int
    task: str
    said: tuple[str, ...]
    arguments: Mapping[str, str]

    @property
    def wish(self) -> str:
        """The message that says what the customer wants."""
        return next((text for text in self.said if len(text.split()) >= _FEWEST_WORDS), self.said[0])

    @property
    def trains(self) -> bool:
        """Whether it is one of the half that the desk is built on."""
        return self.id % 2 == 0


def run(context: Context) -> None:
    """Build the desk on one half of the dialogues, and replay the other half."""
    flows, apis = list(read_flows(context.data / "star")), read_apis(context.data / "star")
    section = results.Section(
        NAME,
        "Flows of STAR as policy tests",
        "Dialogues of six tasks that went well and have one task. Intents, tools and policy are made by rule from the dialogues with an "
        "even id; the customers of the others are replayed, word for word, until the assistant's last query. Customers answer the human "
        "assistant's questions and not the desk's, which asks for all that is missing at once. Every tool waits for a yes. Right: the "
        "first call that the desk proposes is the assistant's, with every argument equal but for case; of those in free words (symptoms, a "
        "report) the human assistant wrote a version of their own, so they are not compared. Nothing was tuned on these dialogues.",
        COLUMNS,
        facts={"load before": results.load_average()},
    )
    found = context.measured(NAME, {"tasks": list(TASKS), "quick": context.quick}, lambda: _measured(context, flows, apis), peer=False)
    for task in (*TASKS, "all"):
        own = [one for one in found["dialogues"] if task in (one["task"], "all")]
        right, tool = sum(one["why"] == "" for one in own), sum(one["tool"] for one in own)
        low, high = wilson(right, len(own))
        why = Counter(one["why"] for one in own if one["why"]).most_common(4)
        shown = ", ".join(f"{name} {count}" for name, count in why)
        section.rows.append([task, str(len(own)), f"{right / len(own):.1%}", f"{low:.1%} to {high:.1%}", f"{tool / len(own):.1%}", shown])
    results.publish(context, section)


def read_flows(folder: Path) -> Iterator[Flow]:
    """The dialogues. Raises NoData if they are not here."""
    file = folder / "dialogues.tar.xz"
    if not file.is_file():
        raise NoData(f"{file} is not here")
    with tarfile.open(file) as packed:
        for member in sorted(packed.getmembers(), key=lambda one: one.name):
            stream = packed.extractfile(member) if member.name.endswith(".json") else None
            if stream is None:
                continue
            told = json.loads(stream.read())
            scenario, tasks = told["Scenario"], [one["Task"] for one in told["Scenario"]["WizardCapabilities"]]
            if scenario["Happy"] and not scenario["MultiTask"] and told["CompletionLevel"] == "Complete" and tasks[0] in TASKS:
                flow = _flow(told, tasks[0])
                if flow is not None:
                    yield flow


def _flow(told: Mapping[str, Any], task: str) -> Flow | None:
    events = told["Events"]
    places = [place for place, one in enumerate(events) if one["Action"] == "query" and one.get("APIName") == task]
    if not places:
        return None
    said = tuple(one["Text"] for one in events[: places[-1]] if one["Agent"] == "User" and one["Action"] == "utter" and one["Text"].strip())
    given = {name: _VALUE.fullmatch(str(value)) for one in events[places[-1]]["Constraints"] for name, value in one.items()}
    values = {_snake(name): found[1].strip() for name, found in given.items() if found and name not in _LEFT_OUT}
    values = {name: value for name, value in values.items() if value and value != "null"}
    return Flow(int(told["DialogueID"]), task, said, values) if said and values else None


def read_apis(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The inputs of each task's API."""
    found = {}
    with tarfile.open(folder / "tasks_apis_json.tar.gz") as packed:
        for task in TASKS:
            stream = packed.extractfile(f"apis/apis/{task}.json")
            assert stream is not None
            inputs = [one for one in json.loads(stream.read())["input"] if one["Name"] not in _LEFT_OUT]
            found[task] = [{**one, "Name": _snake(one["Name"])} for one in inputs]
    return found


def _snake(name: str) -> str:
    """A name as a tool's argument has it: `date_of_birth`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def write_desk(folder: Path, flows: Sequence[Flow], apis: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Write the desk's tools, intents, calls, policy and conversations."""
    tools, policy = [], ["[intents]", *(f'"{task}" = "act {task}"' for task in TASKS)]
    for task, inputs in apis.items():
        own = [flow for flow in flows if flow.task == task]
        counts = Counter(name for flow in own for name in flow.arguments)
        tools += [f"[tools.{task}]", f'description = "{task.replace("_", " ").capitalize()}"', f'words = "{task.replace("_", " ")}"']
        tools += [f"[tools.{task}.http]", 'method = "POST"', f'url = "http://127.0.0.1:9/{task}"', f"[tools.{task}.arguments]"]
        for one in inputs:
            facts: dict[str, Any] = {"title": one["ReadableName"], "description": one["ReadableName"]}
            facts |= {"enum": one["Categories"]} if one["Type"] == "Categorical" else {}
            facts |= {"type": "integer"} if one["Type"] == "Integer" else {}
            facts |= {} if counts[one["Name"]] >= _USUAL * len(own) else {"required": False}
            tools.append(f"{one['Name']} = {{ {', '.join(f'{name} = {json.dumps(value)}' for name, value in facts.items())} }}")
    (folder / "tools.toml").write_text("\n".join(tools) + "\n", encoding="utf-8")
    (folder / "policy.toml").write_text("\n".join(policy) + "\n", encoding="utf-8")
    with (folder / "intents.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("text", "intent"), *((flow.wish, flow.task) for flow in flows)])
    calls = [{"input": flow.wish, "output": {"tool": flow.task, "arguments": _spoken(flow, apis[flow.task])}} for flow in flows]
    calls += [{"input": flow.said[-1], "output": None} for flow in flows if flow.said[-1] != flow.wish][: len(flows) // len(TASKS)]
    (folder / "calls.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in calls), encoding="utf-8")
    talks = [[{"say": text} for text in flow.said[:-1]] + [_last(flow)] for flow in flows]
    (folder / "talks.jsonl").write_text("".join(f"{json.dumps({'turns': one})}\n" for one in talks), encoding="utf-8")


def _last(flow: Flow) -> dict[str, Any]:
    return {"say": flow.said[-1], "expect": {"outcome": "proposed", "tool": flow.task}}


def _spoken(flow: Flow, inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The arguments that the customer's wish states word for word."""
    kinds = {one["Name"]: one for one in inputs}
    found: dict[str, Any] = {}
    for name, value in flow.arguments.items():
        place = re.search(rf"(?<!\w){re.escape(value)}(?!\w)", flow.wish, re.IGNORECASE)
        one = kinds.get(name)
        if place is None or one is None or (one["Type"] == "Categorical" and value not in one["Categories"]):
            continue
        found[name] = int(value) if one["Type"] == "Integer" and value.isdecimal() else value if one["Type"] == "Categorical" else place[0]
    return {name: value for name, value in found.items() if kinds[name]["Type"] != "Integer" or isinstance(value, int)}


def _measured(context: Context, flows: Sequence[Flow], apis: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Build, and replay each dialogue."""
    train = [flow for flow in flows if flow.trains]
    test = [flow for flow in flows if not flow.trains]
    test = [flow for task in TASKS for flow in [one for one in test if one.task == task][: _QUICK if context.quick else None]]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_desk(folder, train, apis)
        members = {
            "intents": {
                "task": "classify",
                "data": {"train": "intents.csv", "input": "text", "label": "intent"},
                "student": {"kind": "kernel"},
            },
            "act": {"task": "act", "data": {"train": "calls.jsonl"}, "act": {"tools": "tools.toml"}, "student": {"kind": "kernel-tagger"}},
        }
        for name, told in members.items():
            build(recipe.make({"name": name, **told}, folder=folder), folder / name, threads=1, progress=Silent(), listed=False)
        own = {"members": {name: name for name in members}, "policy": "policy.toml", "tools": "tools.toml", "conversations": "talks.jsonl"}
        made = recipe.make({"name": "star", "task": "desk", "desk": own}, folder=folder)
        build(made, folder / "desk", threads=1, progress=Silent(), listed=False)
        model = load(folder / "desk", threads=1)
        desk = desk_of(model)
        assert desk is not None
        free = {one["Name"] for inputs in apis.values() for one in inputs if one["Type"] == "LongString"}
        found = [{"task": flow.task, **_judged(flow, _replayed(desk, flow), free)} for flow in test]
        model.close()
    return {"dialogues": found, "train": len(train)}


def _replayed(desk: Desk, flow: Flow) -> list[DeskReply]:
    """The desk's replies to what the customer said, until it proposes a call or passes on."""
    conversation = DeskConversation(f"star-{flow.id}", "star", "bench")
    replies: list[DeskReply] = []
    for text in flow.said:
        answer = desk.answer(conversation, text)
        replies.append(answer.reply)
        if answer.reply.outcome in ("proposed", "handed_over"):
            break
        now = datetime.now(UTC)
        turns = (*conversation.turns, Turn("customer", text, now), Turn("desk", answer.reply.text, now, reply=answer.reply))
        conversation = replace(conversation, turns=turns, state=answer.state, status=answer.status)
    return replies


def _judged(flow: Flow, replies: Sequence[DeskReply], free: Collection[str]) -> dict[str, Any]:
    """Whether it is the right tool, and why it is not the assistant's call; empty if it is. `free`: arguments in free words."""
    last = replies[-1]
    tools = [str(call.get("tool")) for one in replies if isinstance(call := one.facts.get("call"), Mapping)]
    tools += [last.call.tool] if last.call is not None else []
    right = bool(tools) and tools[-1] == flow.task
    if last.call is None:
        called = next((one.facts["call"] for one in reversed(replies) if isinstance(one.facts.get("call"), Mapping)), {})
        why = "handed over" if last.outcome == "handed_over" else f"misses {', '.join(called.get('missing', ()))}" if tools else "no call"
        return {"tool": right, "why": why if right or not tools else "another tool"}
    given = {name: value for name, value in last.call.arguments.items() if name not in free}
    wrong = sorted(name for name, value in given.items() if _plain(value) != _plain(flow.arguments.get(name, "")))
    return {"tool": right, "why": "another tool" if not right else f"wrong {', '.join(wrong)}" if wrong else ""}


def _plain(value: Any) -> str:
    return " ".join(str(value).casefold().split())
