"""A model's report over HTTP: figures, confusion map, the rows behind a cell, two builds compared, the operating point, files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from smidgen.bundles.open import open_bundle
from smidgen.studio.api.access import StudioAccess
from smidgen.studio.api.app import StudioSettings, create_studio
from smidgen.studio.flows import run_process
from smidgen.studio.store.data_rows import DataRow
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.runs import RunStore

from .conftest import OURS

LINEAR = {"recipe": {"student": {"kind": "linear", "baseline": "none"}}}
SUBJECTS = {
    "refund": ["money", "refund", "charge"],
    "delivery": ["parcel", "courier", "shipment"],
    "account": ["password", "login", "order"],
}
THINGS = ["shoes", "lamp", "tent", "phone", "coat", "bike", "desk", "kettle", "camera", "guitar", "sofa", "watch"]


class BuiltProject:
    """A project with two models; between them a test row was corrected and another one removed."""

    def __init__(self, folder: Path) -> None:
        self.store = StudioStore(f"sqlite:///{folder}/studio.db")
        access = StudioAccess(self.store)
        self.client = TestClient(create_studio(self.store, access, StudioSettings(), None), base_url="http://127.0.0.1:8765", headers=OURS)
        self.client.get(f"/?link={access.new_link()}", follow_redirects=False)
        self.project = self.store.create("Support tickets", "classify").id
        rows = self.store.rows(self.project)
        # One word in eight is of another subject's row: so that there are mistakes.
        labels = list(SUBJECTS)
        made = [
            DataRow(f"the {word} for my {thing} is {verb}", output=labels[(place + (number % 8 == 0)) % 3])
            for place, words in enumerate(SUBJECTS.values())
            for number, (word, thing, verb) in enumerate((w, t, v) for w in words for t in THINGS for v in ("lost", "late", "wrong"))
        ]
        rows.add(made, "ann", "import", {})
        self.first = self.build()
        wrong = self.get(self.first, "/answers", wrong=True)["answers"]
        self.corrected, self.dropped = wrong[0], wrong[1]
        rows.change([self.corrected["key"]], lambda row: replace(row, output=self.corrected["answer"]), "ann", "relabel", {})
        rows.change([self.dropped["key"]], lambda _: None, "ann", "drop", {})
        self.second = self.build()

    def build(self) -> str:
        runs = RunStore(self.store.database)
        run = runs.enqueue(self.project, "build", LINEAR, "ann")
        assert run_process._do(self.store, runs, run.id) == 0, runs.get(run.id).error
        return run.id

    def path(self, model: str, rest: str = "") -> str:
        return f"/api/v1/projects/{self.project}/models/{model}{rest}"

    def get(self, model: str, rest: str = "", **query: Any) -> Any:
        answer = self.client.get(self.path(model, rest), params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BuiltProject]:
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMIDGEN_HOME", str(folder / "home"))
        made = BuiltProject(folder)
        yield made
        made.store.close()


def test_a_report_says_how_good_the_model_is(built: BuiltProject) -> None:
    found = built.get(built.first)
    report = found["report"]
    measured = report["metrics"][report["headline"]]
    assert 0.5 < measured["low"] < measured["value"] < 1 and found["has_answers"]
    assert found["names"]["macro_f1"] == "Macro-F1" and found["verdict"] == "open"
    assert {"report.html", "README.md", "report.json"} <= {file["name"] for file in found["files"]}
    (told,) = [run for run in built.client.get(f"/api/v1/projects/{built.project}/runs").json() if run["id"] == built.first]
    assert told["result"]["report"]["metrics"]["accuracy"]["value"] == measured["value"]


def test_the_map_counts_the_answers_and_a_cell_leads_to_its_rows(built: BuiltProject) -> None:
    found = built.get(built.first, "/confusion")
    answers = built.get(built.first, "/answers", limit=200)
    assert sorted(found["labels"]) == sorted(SUBJECTS) and sum(cell["count"] for cell in found["cells"]) == answers["total"]
    wrong = [cell for cell in found["cells"] if cell["down"] != cell["across"]]
    assert sum(cell["count"] for cell in wrong) == built.get(built.first, "/answers", wrong=True)["total"] > 1
    cell = max(wrong, key=lambda cell: cell["count"])
    wanted, answer = found["labels"][cell["down"]], found["labels"][cell["across"]]
    behind = built.get(built.first, "/answers", wanted=wanted, answer=answer)
    assert behind["total"] == cell["count"] == len(behind["answers"])
    assert {(one["wanted"], one["answer"], one["grade"]) for one in behind["answers"]} == {(wanted, answer, 0)}
    scores = [one["score"] for one in answers["answers"]]
    assert scores == sorted(scores, reverse=True)


def test_a_row_is_shown_as_it_is_in_the_data_now(built: BuiltProject) -> None:
    now = {one["key"]: one["now"] for one in built.get(built.first, "/answers", wrong=True, limit=200)["answers"]}
    assert now[built.corrected["key"]]["output"] == built.corrected["answer"]
    assert now[built.dropped["key"]] is None


def test_corrections_are_counted_on_the_rows_that_both_builds_share(built: BuiltProject) -> None:
    changes = built.get(built.second, "/changes")
    assert (changes["earlier"], changes["headline"], changes["rows_changed"]) == (built.first, "accuracy", 2)
    assert {change["key"] for change in changes["row_changes"]} == {built.corrected["key"], built.dropped["key"]}
    before = {one["key"]: one for one in built.get(built.first, "/answers", limit=200)["answers"]}
    after = {one["key"]: one for one in built.get(built.second, "/answers", limit=200)["answers"]}
    shared = before.keys() & after.keys()
    assert len(shared) == changes["shared"] > 20 and built.dropped["key"] not in shared
    assert changes["gained"] == sum(after[key]["grade"] > before[key]["grade"] for key in shared)
    assert changes["lost"] == sum(after[key]["grade"] < before[key]["grade"] for key in shared)
    assert changes["corrected"] == (built.corrected["key"] in shared)
    assert changes["change"]["low"] <= changes["change"]["value"] <= changes["change"]["high"]
    assert built.get(built.first, "/changes") is None
    assert built.get(built.first, "/changes", earlier=built.second)["earlier"] == built.second


def test_the_operating_point_is_stored_for_serving(built: BuiltProject) -> None:
    point = built.get(built.first)["report"]["risk_coverage"]["points"][3]
    body = {"threshold": point["threshold"], "wrong_cost": 2.5, "escalation_cost": 0.1}
    settings = built.client.post(built.path(built.first, "/operating-point"), json=body).json()["settings"]
    assert settings["operating_point"] == {"model": built.first, **point, "wrong_cost": 2.5, "escalation_cost": 0.1}
    for wrong in ({"threshold": 2.0}, {"threshold": point["threshold"], "wrong_cost": -1}):
        assert built.client.post(built.path(built.first, "/operating-point"), json=wrong).status_code in (400, 422)
    assert built.client.get(f"/api/v1/projects/{built.project}").json()["settings"] == settings


def test_every_page_gets_the_same_operating_point(built: BuiltProject) -> None:
    place, model = f"/api/v1/projects/{built.project}", built.second

    def points() -> dict[str, Any]:
        costs = built.client.get(f"{place}/costs").json()
        found = {
            "report": built.get(model, "/operating-point"),
            "try": built.get(model, "/answering")["point"],
            "costs": costs["point"],
            "run": built.client.get(f"{place}/serving").json()["point"],
            "data": built.client.get(f"{place}/look").json()["point"],
        }
        assert costs["share"] == built.client.get(f"{place}/look/saving").json()["share"] == found["costs"]["share"]
        return found

    before = points()
    assert list(before.values()) == [before["report"]] * 5
    assert (before["report"]["chosen_by"], before["report"]["measured_on"], before["report"]["error"] <= 0.05) == ("default", "test", True)
    assert before["report"]["rows"] == built.get(model)["report"]["data"]["test"]
    curve = built.get(model)["report"]["risk_coverage"]["points"]
    other = next(point for point in curve if point["threshold"] != before["report"]["threshold"])
    built.client.post(built.path(model, "/operating-point"), json={"threshold": other["threshold"]})
    after = points()
    assert list(after.values()) == [after["report"]] * 5
    wanted = ("user", other["threshold"], other["coverage"], other["risk"])
    assert tuple(after["report"][name] for name in ("chosen_by", "threshold", "share", "error")) == wanted
    first = built.client.get(f"{place}/costs", params={"run": built.first}).json()["point"]
    assert first == built.get(built.first, "/operating-point") != after["report"], "the choice is for its own model"


def test_the_newest_model_is_offered_and_what_is_saved_is_the_same_on_both_pages(built: BuiltProject) -> None:
    place = f"/api/v1/projects/{built.project}"
    serving = built.client.get(f"{place}/serving").json()
    assert serving["newest"] == serving["settings"]["model"] == built.second and serving["settings"]["local"] == "measured"
    costs, saving = (built.client.get(f"{place}/{name}").json() for name in ("costs", "look/saving"))
    assert costs["saved_per_month_usd"] == saving["saved"] > 0 and costs["against"][0]["name"] == saving["model"]
    assert costs["machine_usd_per_hour"] == saving["machine_usd_per_hour"] == 0


def test_the_files_can_be_downloaded(built: BuiltProject, tmp_path: Path) -> None:
    page = built.client.get(built.path(built.first, "/files/report.html"))
    assert page.headers["content-disposition"].startswith("attachment") and b"<!doctype html>" in page.content
    packed = built.client.get(built.path(built.first, "/bundle.zip"))
    assert packed.headers["content-disposition"] == 'attachment; filename="support-tickets.zip"'
    zipfile.ZipFile(io.BytesIO(packed.content)).extractall(tmp_path)
    assert open_bundle(tmp_path / "support-tickets").manifest.name == "support-tickets"
    for name in ("lock", "answers.jsonl", "..%2Fanswers.jsonl"):
        assert built.client.get(built.path(built.first, f"/files/{name}")).status_code in (400, 404), name


def test_programs_that_take_the_model_come_first_with_their_command(built: BuiltProject) -> None:
    found = built.client.get(built.path(built.first, "/exports")).json()
    assert {one["target"] for one in found} == {"hf", "lmstudio", "ollama", "onnx-web"}
    assert all(bool(one["command"]) != bool(one["why"]) for one in found)
    assert next(one for one in found if one["target"] == "ollama")["todo"].startswith("It runs models that write: for it, build again")


def test_a_model_of_another_project_is_not_shown(built: BuiltProject) -> None:
    other = built.store.create("Other", "classify").id
    for rest in ("", "/confusion", "/answers", "/changes", "/bundle.zip", "/files/report.html"):
        assert built.client.get(f"/api/v1/projects/{other}/models/{built.first}{rest}").status_code == 400, rest
