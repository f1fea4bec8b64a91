"""Recipe -> canvas -> recipe: the same for every shipped recipe and for generated ones; and what the canvas finds wrong."""

from __future__ import annotations

import random
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from smidgen.core.settings import Settings, settings_of
from smidgen.parts import recipe, registry
from smidgen.parts.recipe import OWNERS, owners_of, written
from smidgen.studio.flows.recipes.canvas import (
    CanvasNode,
    CanvasWire,
    graph_of,
    kinds_of,
    node_of,
    schemas_of,
    tree_of,
    wiring_mistakes,
)

RECIPES = sorted(
    file for file in (Path(__file__).parents[3] / "recipes").rglob("*.toml") if "\ntask = " in file.read_text(encoding="utf-8")
)
TASKS = ("classify", "extract", "write")


def there_and_back(tree: dict[str, Any], task: str) -> dict[str, Any]:
    return tree_of(graph_of(tree, task))


def test_shipped_recipes_come_back_the_same() -> None:
    seen = 0
    for file in RECIPES:
        tree = tomllib.loads(file.read_text(encoding="utf-8"))
        assert there_and_back(tree, tree["task"]) == tree, file.name
        assert tomllib.loads(written(tree)) == tree, file.name
        assert wiring_mistakes(graph_of(tree, tree["task"]), tree["task"]) == []
        seen += 1
    assert seen >= 10


LETTERS = "abc_-. \"'\\\n\x7f=#[]é日0"


def made_up_value(draw: random.Random, depth: int = 0) -> Any:
    makers = [
        lambda: "".join(draw.choices(LETTERS, k=draw.randint(0, 8))),
        lambda: draw.randint(-(2**53), 2**53),
        lambda: draw.random() < 0.5,
        lambda: draw.choice([0.0, 1e-7, 0.1, 2.5e300, -3.0]) * draw.random(),
        lambda: [made_up_value(draw, depth + 1) for _ in range(draw.randint(0, 3))],
        lambda: {made_up_name(draw): made_up_value(draw, depth + 1) for _ in range(draw.randint(0, 2))},
    ]
    return draw.choice(makers if depth < 2 else makers[:4])()


def made_up_name(draw: random.Random) -> str:
    return "".join(draw.choices(LETTERS, k=draw.randint(0, 6)))


def made_up_tree(draw: random.Random) -> tuple[str, dict[str, Any]]:
    """A recipe's tree: sections and settings that smidgen knows, with any value, and others that it does not."""
    task = draw.choice(TASKS)
    tree: dict[str, Any] = {"task": task, **{made_up_name(draw): made_up_value(draw) for _ in range(draw.randint(0, 2))}}
    for section, owner in owners_of(task).items():
        if draw.random() < 0.5:
            known = draw.sample(sorted(settings_of(owner)), min(draw.randint(0, 3), len(settings_of(owner))))
            names = [*known, *(made_up_name(draw) for _ in range(draw.randint(0, 1)))]
            held: Any = {name: made_up_value(draw) for name in names} if draw.random() < 0.9 else made_up_value(draw)
            outer, _, inner = section.partition(".")
            if not inner:
                tree[section] = held
            elif isinstance(tree.setdefault(outer, {}), dict):
                tree[outer][inner] = held
    return task, tree


def test_generated_recipes_come_back_the_same() -> None:
    seen = sections = 0
    for seed in range(200):
        task, tree = made_up_tree(random.Random(seed))
        assert there_and_back(tree, task) == tree, seed
        assert tomllib.loads(written(tree)) == tree, seed
        seen, sections = seen + 1, max(sections, len(tree))
    assert seen == 200 and sections >= 8


def test_a_section_named_with_its_dot_is_the_same_section() -> None:
    tree = {"task": "classify", "data": {"max_rows": 5, "teacher": {"votes": 2}}, "data.teacher": {"votes": 3}}
    assert there_and_back(tree, "classify") == {"task": "classify", "data": {"max_rows": 5, "teacher": {"votes": 3}}}


@pytest.mark.parametrize("task", TASKS)
def test_every_setting_of_every_section_stands_in_one_node(task: str) -> None:
    schemas = schemas_of(task)
    held = [(section, name) for sections in schemas.values() for section, schema in sections.items() for name in schema["properties"]]
    expected = {(section, name) for section, owner in owners_of(task).items() for name in settings_of(owner)} | {("", "name"), ("", "seed")}
    assert len(held) == len(set(held)) and set(held) == expected and len(held) > 70
    assert set(schemas) <= {kind.name for kind in kinds_of(task)}


def test_choices_are_those_of_the_registry() -> None:
    schemas = schemas_of("classify")
    assert {"auto", "encoder", "linear"} <= set(schemas["student"]["student"]["properties"]["kind"]["enum"])
    assert set(registry.names("compress")) <= set(schemas["compress"]["compress"]["properties"]["method"]["enum"])
    assert "rank" in schemas_of("write", "decoder")["student"]["train"]["properties"]


def test_the_way_of_a_recipe_with_everything() -> None:
    tree: dict[str, Any] = {
        "task": "classify",
        "data": {"teacher": {"source": "https://llm.example/v1"}},
        "route": {"fallback": ["https://llm.example/v1"], "quality": 0.95, "cache": "exact", "privacy": "mask", "budget_day": 1.0},
    }
    tree["route"]["capture"] = "answers"
    graph = graph_of(tree, "classify")
    wires = {(wire.source, wire.target) for wire in graph.wires}
    assert {node.kind for node in graph.nodes} == {kind.name for kind in kinds_of("classify")}
    assert {("serve", "page"), ("capture", "unsure"), ("unsure", "cache")} <= wires
    assert {("split", "redact"), ("redact", "teacher"), ("teacher", "student"), ("gate", "certificate"), ("certificate", "serve")} <= wires
    assert {("serve", "capture"), ("cache", "privacy"), ("privacy", "budget"), ("budget", "route")} <= wires
    assert wiring_mistakes(graph, "classify") == []


def test_what_is_wrong_with_the_wiring_stands_at_its_node() -> None:
    graph = graph_of({"task": "classify"}, "classify")
    cut = replace(graph, wires=tuple(wire for wire in graph.wires if wire.target != "gate"))
    assert [(mistake.node, "connect it to the step" in mistake.text) for mistake in wiring_mistakes(cut, "classify")] == [
        ("gate", True)
    ] * 2
    gone = replace(graph, nodes=tuple(node for node in graph.nodes if node.kind != "compress"))
    assert "compress" in {mistake.node for mistake in wiring_mistakes(gone, "classify")}
    bypass = replace(cut, wires=(*cut.wires, CanvasWire("student", "model", "gate", "model")))
    assert "gate" in {mistake.node for mistake in wiring_mistakes(bypass, "classify")}
    for kind, told in (("cache", "the step Large model"), ("teacher", "the step Redact"), ("route", "its setting Address")):
        alone = replace(graph, nodes=(*graph.nodes, CanvasNode(kind, kind, {"route": {"cache_hours": 1.0}})))
        assert any(mistake.node == kind and told in mistake.text for mistake in wiring_mistakes(alone, "classify")), kind


@pytest.mark.parametrize(
    ("place", "node"),
    [
        ("gate.max_loss", "gate"),
        ("data.teacher.votes", "teacher"),
        ("data.teacher.redact", "redact"),
        ("data.dedupe", "check"),
        ("data.nonsense", "data"),
        ("route.cache_hours", "cache"),
        ("route.local", "unsure"),
        ("route.quality", "certificate"),
        ("train.epochs", "student"),
        ("classify.unknown", "task"),
        ("seed", "split"),
        ("name", "serve"),
        ("gate", "gate"),
        ("nonsense", "unknown:nonsense"),
    ],
)  # fmt: skip
def test_a_mistake_stands_at_the_node_of_its_setting(place: str, node: str) -> None:
    assert node_of(place, "classify") == node


def test_the_condition_lies_before_the_large_model_and_a_desk_has_its_own() -> None:
    tree: dict[str, Any] = {"task": "classify", "route": {"fallback": ["https://llm.example/v1"], "local": "measured", "local_score": 0.8}}
    graph = graph_of(tree, "classify")
    assert next(node.settings for node in graph.nodes if node.kind == "unsure") == {"route": {"local": "measured", "local_score": 0.8}}
    assert ("unsure", "route") in {(wire.source, wire.target) for wire in graph.wires} and tree_of(graph) == tree
    plain = {node.kind for node in graph_of({"task": "classify"}, "classify").nodes}
    desk = {node.kind for node in graph_of({"task": "desk"}, "desk").nodes}
    assert {"serve", "page", "unsure"} <= plain and "desk" not in plain
    assert {"serve", "desk"} <= desk and not desk & {"page", "unsure"}
    assert node_of("route.local", "desk") == "certificate"
    assert there_and_back({**tree, "task": "desk"}, "desk") == {**tree, "task": "desk"}


def test_a_new_section_is_a_node_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    class PatrolSettings(Settings):
        """How it is watched."""

        every: int = 5

    monkeypatch.setitem(OWNERS, "watch", "tests.made_up")
    real = recipe._owner
    monkeypatch.setattr(recipe, "_owner", lambda module: PatrolSettings if module == "tests.made_up" else real(module))
    assert "watch" in [kind.name for kind in kinds_of("classify")]
    assert schemas_of("classify")["watch"]["watch"]["properties"]["every"]["default"] == 5
    tree = {"task": "classify", "watch": {"every": 3}}
    graph = graph_of(tree, "classify")
    assert ("gate", "watch") in {(wire.source, wire.target) for wire in graph.wires} and tree_of(graph) == tree
