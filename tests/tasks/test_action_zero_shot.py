"""Calls of tools without examples: what rules find, and that no argument ever breaks its schema."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests import examples as tried
from tests.action_examples import TOOLS, examples, write

from smidgen.core.rows import Row
from smidgen.tasks import action_tools, action_zero_shot
from smidgen.tasks.act import ActSettings, part
from smidgen.tasks.zero_shot_arguments import ZeroShotArguments

_WORDS = (
    *(
        "order",
        "FH-123",
        "FH-12",
        "3",
        "3.5",
        "-7",
        "1e9",
        "1,250",
        "tomorrow",
        "übermorgen",
        "7 pm",
        "half past",
        "31 June",
        "ann@x.example",
    ),
    *("'quoted'", '"', "(", "New York", "und", "zwölf", "\u202e", "€", "from", "to", "room", "kitchen", "not", "off", "0171 2345678", ","),
)


def _node(draw: random.Random, deep: int = 0) -> dict[str, Any]:
    kinds = ("string", "integer", "number", "boolean", "enum", "pattern", "date", "email", "array", "object")
    kind = draw.choice(kinds[:8] if deep > 1 else kinds)
    if kind == "enum":
        return {"type": "string", "enum": draw.sample(["kitchen", "living_room", "off", "A+", "A-", "x y"], 3)}
    if kind == "pattern":
        return {"type": "string", "pattern": draw.choice(["^FH-[0-9]{3}$", "^[a-z]+$", "^[0-2][0-9]:[0-5][0-9]$"])}
    if kind in ("date", "email"):
        return {"type": "string", "format": kind}
    if kind in ("integer", "number"):
        return {"type": kind, **draw.choice([{}, {"minimum": 1}, {"maximum": 5}, {"exclusiveMinimum": 0, "maximum": 100}])}
    if kind == "array":
        return {"type": "array", "items": _node(draw, 2), **draw.choice([{}, {"maxItems": 2}, {"minItems": 2}])}
    if kind == "object":
        return {"type": "object", "properties": {name: _node(draw, deep + 1) for name in ("city", "size")}, "required": ["city"]}
    return {"type": kind, **draw.choice([{}, {"minLength": 2, "maxLength": 6} if kind == "string" else {}])}


def _tools(draw: random.Random) -> list[dict[str, Any]]:
    names = ("order", "room", "from_city", "to", "date", "count", "email", "time", "items", "on")
    found = []
    for number in range(draw.randint(1, 4)):
        properties = {name: _node(draw) for name in draw.sample(names, draw.randint(0, 5))}
        required = [name for name in properties if draw.random() < 0.5]
        found.append({"name": f"tool_{number}", "parameters": {"type": "object", "properties": properties, "required": required}})
    return found


def _text(draw: random.Random) -> str:
    return " ".join(draw.choice(_WORDS) for _ in range(draw.randint(0, 25)))


def test_calls_of_random_tools_fit_their_schemas() -> None:
    draw, complete, began = random.Random(7), 0, time.process_time()
    for _ in range(tried.examples(200)):
        tools, mistakes = action_tools.normal(_tools(draw))
        assert mistakes == []
        vectors = [[draw.uniform(-1, 1) for _ in range(3)] for _ in range(len(tools) + 1)]
        found = action_zero_shot.call(_text(draw), tools, vectors, required=True)
        assert found.call is not None
        schema = next(tool["parameters"] for tool in tools if tool["name"] == found.call["tool"])
        asked = schema if not found.facts.get("missing") else action_tools.without_required(schema)
        Draft202012Validator(asked, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(found.call["arguments"])
        complete += not found.facts.get("missing")
    assert complete > 10 and time.process_time() - began < 60


def _chances(draw: random.Random, count: int) -> list[float]:
    likely = draw.randrange(count)
    return [0.9 if place == likely else 0.1 / (count - 1) for place in range(count)]


def test_calls_of_a_tagger_fit_their_schemas_whatever_it_finds(tmp_path: Any) -> None:
    write(tmp_path)
    rows = [Row(text, output, number) for number, (text, output) in enumerate(examples(), start=1)]
    form = part.form(rows, ActSettings(tools=str(tmp_path / "tools.json")))
    assert form.tagged is not None
    draw, kinds, calls = random.Random(8), len(form.tagged["kinds"]), 0
    raw: dict[str, Any] = {"spans": [], "choices": [], "inputs": []}
    for _ in range(200):
        text = _text(draw) or "x"
        places = sorted(draw.sample(range(len(text) + 1), 2) for _ in range(draw.randint(0, 4)))
        raw["inputs"].append(text)
        raw["spans"].append([[*sorted(place), draw.randrange(kinds), draw.random()] for place in places])
        raw["choices"].append([_chances(draw, len(choice["values"])) for choice in form.tagged["choices"]])
    for reply in part.decode(raw, form):
        if reply.output is not None:
            calls += 1
            schema = next(tool["parameters"] for tool in form.tools if tool["name"] == reply.output["tool"])
            asked = schema if not reply.facts.get("missing") else action_tools.without_required(schema)
            Draft202012Validator(asked).validate(reply.output["arguments"])
        for tool in action_tools.called(form.tools):
            assert reply.calling is not None and reply.calling(tool).output["tool"] == tool
    assert calls > 20 and TOOLS


def _found(text: str, **properties: Any) -> dict[str, Any]:
    ((tool,), mistakes) = action_tools.normal([{"name": "f", "parameters": {"properties": properties, "required": list(properties)}}])
    assert mistakes == []
    return action_zero_shot.fitting(ZeroShotArguments(text, tool["parameters"], "2027-03-03").found(), tool)


STRING, COUNT = {"type": "string"}, {"type": "integer"}
SAID: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("a train from Leeds to York tomorrow", {"from_city": STRING, "to_city": STRING}, {"from_city": "Leeds", "to_city": "York"}),
    ("remind me tomorrow at 7 pm", {"date": {"type": "string", "format": "date"}}, {"date": "2027-03-04"}),
    ("a table for four at half past seven", {"people": COUNT, "time": STRING}, {"people": 4, "time": "07:30"}),
    ("ein Zimmer für zwölf Nächte", {"nights": COUNT}, {"nights": 12}),
    ("set width 5 and height 9", {"height": COUNT, "width": COUNT}, {"height": 9, "width": 5}),
    ("write to ann@x.example", {"email": {"type": "string", "format": "email"}}, {"email": "ann@x.example"}),
    ("the lamp in the living room", {"room": {"type": "string", "enum": ["kitchen", "living_room"]}}, {"room": "living_room"}),
    ("play music", {"email": {"type": "string", "format": "email"}, "count": COUNT}, {}),
]


@pytest.mark.parametrize(("text", "properties", "wanted"), SAID)
def test_arguments_by_type_and_name(text: str, properties: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert _found(text, **properties) == wanted
