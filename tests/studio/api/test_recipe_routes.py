"""The recipe of a project over HTTP: its three forms, its mistakes, and what a build takes of it."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from starlette.testclient import TestClient

from smidgen.data.tables import table_in_memory
from smidgen.flows.build.work import GivenTables
from smidgen.parts import registry
from smidgen.studio.flows.build import recipe_of
from smidgen.studio.flows.recipes.project_recipe import laid_over, presets_of
from smidgen.studio.store.projects import StudioStore

TEXT = """# mine
task = "classify"

[student]
quality = "best"  # slow is fine

[gate]
min_headline = 0.8
"""


@pytest.fixture
def recipe(client: TestClient) -> str:
    project = client.post("/api/v1/projects", json={"name": "My tickets", "task": "classify"}).json()["id"]
    return f"/api/v1/projects/{project}/recipe"


def test_a_new_project_has_a_recipe_without_mistakes(client: TestClient, recipe: str) -> None:
    found = client.get(recipe).json()
    assert found["tree"] == {"name": "my-tickets", "task": "classify"} and found["mistakes"] == []
    assert [node["kind"] for node in found["graph"]["nodes"]][:3] == ["data", "check", "split"]


def test_text_and_canvas_are_two_views_of_one_recipe(client: TestClient, recipe: str) -> None:
    assert client.put(recipe, json={"text": TEXT}).status_code == 200
    found = client.get(recipe).json()
    assert found["text"] == TEXT and found["tree"]["gate"] == {"min_headline": 0.8}
    graph = found["graph"]
    next(node for node in graph["nodes"] if node["kind"] == "gate")["settings"]["gate"]["max_loss"] = 0.02
    checked = client.post(f"{recipe}/check", json={"graph": graph}).json()
    assert tomllib.loads(checked["text"])["gate"] == {"min_headline": 0.8, "max_loss": 0.02} and checked["mistakes"] == []
    assert client.get(recipe).json()["text"] == TEXT  # nothing was stored
    saved = client.put(recipe, json={"graph": graph}).json()
    assert saved["tree"]["gate"]["max_loss"] == 0.02 and saved["tree"]["student"] == {"quality": "best"}
    assert tomllib.loads(client.get(recipe).json()["text"]) == saved["tree"]


def test_a_text_that_no_file_holds_is_refused(client: TestClient, recipe: str) -> None:
    before, refused = client.get(recipe).json()["text"], 0
    for body in (
        {"tree": {"task": "classify", "data": {"input": "\ud83d"}}},
        {"tree": {"task": "classify", "data": {"train": "a\x00b"}}},
        {"tree": {"task": "classify", "\ud83d": {}}},
        {"text": 'task = "classify"\n[data]\ntrain = "a\\u0000b"\n'},
    ):
        for method, path in (("PUT", recipe), ("POST", f"{recipe}/check")):
            told = client.request(method, path, content=json.dumps(body), headers={"Content-Type": "application/json"})
            assert told.status_code == 400 and "a NUL or half a character" in told.json()["error"]["message"]
            refused += 1
    assert refused == 8 and client.get(recipe).json()["text"] == before


def test_all_mistakes_are_told_at_once_and_nothing_is_stored(client: TestClient, recipe: str) -> None:
    wrong = TEXT + 'max_los = 0.1\n[nonsense]\na = 1\n[compress]\nmethod = 3\n[route]\nbudget_day = inf\nfallback_key_env = "sk-123"\n'
    found = client.post(f"{recipe}/check", json={"text": wrong}).json()["mistakes"]
    at = {(mistake["place"], mistake["node"]) for mistake in found}
    assert {
        ("gate.max_los", "gate"),
        ("nonsense", "unknown:nonsense"),
        ("compress.method", "compress"),
        ("route.budget_day", "budget"),
    } <= at
    assert any("did you mean 'max_loss'" in mistake["text"] for mistake in found) and "sk-123" not in str([m["text"] for m in found])
    refused = client.put(recipe, json={"text": wrong})
    assert refused.status_code == 400 and "gate.max_los" in refused.json()["error"]["message"]
    assert client.get(recipe).json()["tree"] == {"name": "my-tickets", "task": "classify"}


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ('task = "write"', "task"),
        ('[student]\nkind = "nobody"', "student"),
        ("seed = 2026-01-01", "split"),
        ("gate = 3", "gate"),
        ('[student]\nkind = "nobody"\n[gate]\nmax_los = 1', "gate"),
        ('[route]\nfallback = "api.example.com"', "route"),
        ('[route]\nfallback = ["https://one.example/v1", "https://ann:secret@two.example/v1"]', "route"),
    ],
)
def test_a_mistake_stands_at_its_node(client: TestClient, recipe: str, text: str, node: str) -> None:
    assert node in {mistake["node"] for mistake in client.post(f"{recipe}/check", json={"text": text}).json()["mistakes"]}


@pytest.mark.parametrize("body", [{"text": "= 3"}, {"text": "[a"}, {}, {"text": "", "tree": {}}, {"text": "x" * 1_000_001}])
def test_what_is_no_recipe_is_refused(client: TestClient, recipe: str, body: dict[str, Any]) -> None:
    assert client.post(f"{recipe}/check", json=body).status_code in (400, 422)


def test_kinds_and_presets_are_those_of_the_task(client: TestClient, recipe: str) -> None:
    kinds = {kind["name"]: kind for kind in client.get(f"{recipe}/kinds").json()}
    linear = {kind["name"]: kind for kind in client.get(f"{recipe}/kinds", params={"student": "linear"}).json()}
    assert kinds["student"]["schemas"]["train"] != linear["student"]["schemas"]["train"]
    assert kinds["gate"]["needed"] and not kinds["teacher"]["needed"]
    presets = client.get(f"{recipe}/presets").json()
    assert len(presets) >= 6
    for preset in presets:
        assert client.post(f"{recipe}/check", json={"tree": {"task": "classify", **preset["settings"]}}).json()["mistakes"] == []


def test_a_build_goes_by_the_projects_recipe_with_the_preset_over_it(client: TestClient, recipe: str, store: StudioStore) -> None:
    client.put(recipe, json={"text": TEXT + '[data]\ntrain = "elsewhere.csv"\nholdout = 0.2\n'})
    project = store.project(recipe.split("/")[4])
    train = table_in_memory("rows", [{"input": "a", "output": "b"}], ("input",), "output")
    made = recipe_of(project, {"student": {"quality": "fast"}, "gate": {"max_loss": 0.03}}, GivenTables(train)).json()
    assert made["student"]["quality"] == "fast" and made["gate"] == {"max_loss": 0.03, "min_headline": 0.8, "must_beat_baseline": False}
    assert made["data"]["train"] == "rows" and made["data"]["holdout"] == 0.2 and made["name"] == "my-tickets"


def test_a_quick_build_leaves_out_the_training_settings_of_another_student() -> None:
    own = {"task": "classify", "train": {"epochs": 3}, "gate": {"max_loss": 0.02}}
    quick = presets_of(registry.find("tasks", "classify"))["fast"]
    assert quick["student"] == {"quality": "fast", "kind": "kernel"}
    assert laid_over(own, quick) == {"task": "classify", "gate": {"max_loss": 0.02}, **quick}
    assert laid_over(own, {"student": {"kind": "encoder"}})["train"] == {"epochs": 3}
    assert laid_over({"task": "classify"}, {**quick, "train": {"gamma": 2.0}})["train"] == {"gamma": 2.0}
    assert presets_of(registry.find("tasks", "write"))["fast"] == {"student": {"quality": "fast"}, "train": {"time_budget": "5m"}}
    assert presets_of(registry.find("tasks", "recommend"))["fast"] == {"student": {"quality": "fast"}, "train": {"time_budget": "0"}}
