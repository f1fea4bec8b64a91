"""The client of the Studio's API, against a Studio that runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import commands
from tests.conftest import shop

from smidgen.client import StudioClient, StudioRefusal
from smidgen.studio.api import pages

LINEAR = {"student": {"kind": "linear", "baseline": "none"}}


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not (pages.PAGE / "index.html").is_file():
        pytest.skip("the page was not built: make studio")
    environment = {**os.environ, "SMIDGEN_HOME": str(tmp_path_factory.mktemp("home"))}
    with commands.smidgen("studio", "--json", "--port", "0", environment=environment) as running:
        yield running.ready()["url"]


@pytest.fixture(scope="module")
def studio(link: str) -> Iterator[StudioClient]:
    with StudioClient(link) as client:
        yield client


def test_a_file_becomes_a_model(studio: StudioClient, tmp_path: Path) -> None:
    file = tmp_path / "tickets.csv"
    rows = shop("support_train")[:400]
    file.write_text("message,kind\n" + "".join(f'"{text.replace(chr(34), "")}",{label}\n' for text, label in rows), encoding="utf-8")
    project = studio.create_project("Tickets", "classify")
    assert [found["name"] for found in studio.projects()] == ["Tickets"]
    added = studio.add_file(project["id"], file)
    assert (added["version"]["rows"], added["skipped"]) == (400, 0)
    run = studio.start(project["id"], "build", {"recipe": LINEAR})
    events = list(studio.events(run["id"]))
    assert {event["kind"] for event in events} >= {"step", "step_done"}
    done = studio.wait(run["id"], timeout=5)
    assert done["state"] == "done" and (Path(done["result"]["model"]) / "smidgen.json").is_file()


def test_refusals_say_what_and_what_to_do(studio: StudioClient, link: str) -> None:
    with pytest.raises(StudioRefusal, match="no session") as used:
        StudioClient(link)
    assert used.value.status == 401
    with pytest.raises(StudioRefusal, match="dance") as unknown:
        studio.create_project("Dance", "dance")
    assert unknown.value.status == 400 and unknown.value.todo
    empty = studio.create_project("Empty", "classify")["id"]
    with pytest.raises(StudioRefusal, match="no row of this version has an answer"):
        studio.build(empty, LINEAR, timeout=60)
    with pytest.raises(StudioRefusal, match="not a Studio's link"):
        StudioClient("studio.example")
    with pytest.raises(StudioRefusal, match="does not answer"):
        StudioClient("http://127.0.0.1:9", "ann", "a long password")
