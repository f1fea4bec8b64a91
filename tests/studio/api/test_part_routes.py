"""Parts and settings over HTTP: what forms are drawn from, and a part that was dropped in."""

from __future__ import annotations

import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from smidgen.parts import registry

DROPPED = Path(__file__).parents[2] / "house" / "dropped"


@pytest.fixture
def dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A task and a student as two new files on the path of their rooms."""
    for room, name in (("tasks", "rating"), ("students", "ordinal")):
        package = importlib.import_module(f"smidgen.{room}")
        (tmp_path / room).mkdir()
        shutil.copyfile(DROPPED / f"{name}.py", tmp_path / room / f"{name}.py")
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path / room)])
    registry.forget()
    yield
    for module in ("smidgen.tasks.rating", "smidgen.students.ordinal"):
        sys.modules.pop(module, None)
    registry.forget()


@pytest.fixture
def project(client: TestClient) -> str:
    made = client.post("/api/v1/projects", json={"name": "Tickets", "task": "classify"}).json()
    return f"/api/v1/projects/{made['id']}"


def test_the_parts_of_a_room_have_schemas_of_their_settings(client: TestClient) -> None:
    students = {part["name"]: part for part in client.get("/api/v1/parts/students").json()}
    epochs = students["encoder"]["settings"]["properties"]["epochs"]
    assert "Passes over the training rows" in epochs["description"] and students["linear"]["summary"]
    assert {"q4-0", "int8-dynamic"} <= {part["name"] for part in client.get("/api/v1/parts/compress").json()}
    assert client.get("/api/v1/parts/cellar").status_code == 400


def test_a_part_that_is_dropped_in_is_listed_with_its_settings(client: TestClient, dropped: None) -> None:
    tasks = {part["name"]: part for part in client.get("/api/v1/parts/tasks").json()}
    assert tasks["rating"]["settings"]["type"] == "object" and tasks["rating"]["summary"]
    assert "ordinal" in {part["name"] for part in client.get("/api/v1/parts/students").json()}
    assert "rating" in {goal["task"] for goal in client.get("/api/v1/goals").json()}
    made = client.post("/api/v1/projects", json={"name": "Stars", "task": "rating"}).json()
    sections = {section["name"]: section["settings"] for section in client.get(f"/api/v1/projects/{made['id']}/settings").json()}
    assert "ordinal" in sections["student"]["properties"]["kind"]["enum"]


def test_the_settings_of_a_build_are_those_that_the_project_does_not_give(client: TestClient, project: str) -> None:
    sections = {section["name"]: section["settings"]["properties"] for section in client.get(f"{project}/settings").json()}
    assert {"student", "gate", "compress", "train", "classify"} <= sections.keys() and "route" not in sections
    assert not {"train", "test", "input", "label"} & sections["data"].keys()
    kinds = sections["student"]["kind"]["enum"]
    assert {"auto", "encoder", "linear", "kernel"} <= set(kinds) and not {"tagger", "decoder"} & set(kinds)
    assert sections["student"]["quality"]["enum"] == ["best", "balanced", "fast"]
    of_another = {section["name"]: section["settings"]["properties"] for section in client.get(f"{project}/settings?student=kernel").json()}
    assert of_another.get("train", {}).keys() != sections["train"].keys()


def test_mistakes_are_told_at_their_setting(client: TestClient, project: str) -> None:
    def check(**settings: object) -> dict[str, str]:
        found = client.post(f"{project}/settings/check", json={"settings": settings}).json()
        return {mistake["place"]: mistake["message"] for mistake in found}

    assert check(student={"quality": "fast"}) == {}
    told = check(gate={"max_loss": 7}, student={"max_size_mb": -1, "colour": "red"})
    assert told.keys() == {"gate.max_loss", "student.max_size_mb", "student.colour"}
    assert "less than or equal to 1" in told["gate.max_loss"]
    assert "No student has this name" in check(student={"kind": "wizard"})["student.kind"]
    client.put(f"{project}/recipe", json={"tree": {"name": "t", "task": "classify", "student": {"kind": "kernel"}}}).raise_for_status()
    assert check(train={"gamma": 3.0}) == {} and check(train={"epochs": 3}).keys() == {"train.epochs"}  # the recipe's student has no epochs
