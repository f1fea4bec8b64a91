"""The first answer, the findings and labelling over HTTP, from a look that an import has started."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from starlette.testclient import TestClient

from smidgen.store.traffic.records import Exchange
from smidgen.store.traffic.store import opened
from smidgen.studio.flows.look import run_look
from smidgen.studio.flows.run_process import RunProgress, run_folder
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.runs import RunStore

WORDS = {"refund": ("money", "charge", "invoice"), "delivery": ("parcel", "courier", "tracking")}
THINGS = (
    "shoes",
    "lamp",
    "tent",
    "phone",
    "coat",
    "bike",
    "desk",
    "kettle",
    "camera",
    "guitar",
    "sofa",
    "watch",
    "radio",
    "chair",
    "table",
)
LINES = [f"the {word} for my {thing} is {verb},{label}" for label, words in WORDS.items() for word in words for thing in THINGS
         for verb in ("late", "wrong")]  # fmt: skip
LINES[7] = LINES[7].replace("refund", "delivery")
CSV = "\n".join(["text,team", *LINES, LINES[0], "where is my parcel,", "I want my money back,"])


@pytest.fixture
def path(client: TestClient, store: StudioStore) -> str:
    """A project whose look has ended."""
    project = str(client.post("/api/v1/projects", json={"name": "Tickets", "task": "classify"}).json()["id"])
    path = f"/api/v1/projects/{project}"
    seen = client.post(f"{path}/uploads", params={"name": "t.csv"}, content=CSV.encode()).json()
    client.post(f"{path}/imports", json={"upload": seen["upload"], "input": ["text"], "label": ["team"]})
    (run,) = client.get(f"{path}/runs").json()
    assert (run["kind"], run["state"], run["request"]) == ("look", "queued", {"version": 1})
    waiting = client.get(f"{path}/look").json()
    assert (waiting["run"]["state"], waiting["version"], waiting["answer"]) == ("queued", None, None)
    runs = RunStore(store.database)
    runs.start(run["id"], 1)
    run_folder(run["id"]).mkdir(parents=True)
    runs.finish(run["id"], "done", result=run_look(store, runs.get(run["id"]), RunProgress(runs, run["id"])))
    return path


def finding(client: TestClient, path: str, kind: str) -> Any:
    return next(found for found in client.get(f"{path}/findings").json() if found["kind"] == kind)


def test_the_first_answer_and_what_it_saves(client: TestClient, path: str) -> None:
    look = client.get(f"{path}/look").json()
    assert (look["version"], look["head"], look["why_not"], look["unlabelled"]) == (1, 1, "", 2)
    assert look["answer"]["accuracy"]["value"] > 0.9 and look["answer"]["labels"] == 2
    reached = [point for point in look["answer"]["points"] if point["threshold"] is not None]
    saving = client.get(f"{path}/look/saving", params={"risk": reached[0]["risk"], "requests": 500, "model": "Claude Opus 5.5"}).json()
    assert (saving["share"], saving["requests"], saving["model"]) == (reached[0]["coverage"], 500, "Claude Opus 5.5")
    assert saving["saved"] == pytest.approx(saving["llm_usd"] * saving["share"]) and saving["assumptions"]
    costs = client.get(f"{path}/costs").json()
    assert costs["share_from"] == "rows" and costs["saved_per_month_usd"] == client.get(f"{path}/look/saving").json()["saved"] > 0
    assert client.get(f"{path}/look/saving", params={"model": "No Such Model"}).status_code == 400
    assert client.get(f"{path}/look/saving", params={"risk": 0.0123}).status_code == 400


def test_findings_are_mended_in_place(client: TestClient, path: str) -> None:
    (item,) = finding(client, path, "mislabels")["items"]
    assert (item["rows"][0]["key"], item["rows"][0]["output"], item["proposed"]) == (8, "delivery", "refund")
    client.post(f"{path}/edits", json={"edit": {"kind": "relabel", "keys": [8], "output": "refund"}})
    assert finding(client, path, "mislabels")["open"] == 0
    (repeat,) = finding(client, path, "duplicates")["items"]
    assert (repeat["rows"][0]["key"], repeat["other"]["key"]) == (181, 1)
    assert client.post(f"{path}/findings/keep", json={"ids": [repeat["id"]]}).status_code == 200
    assert finding(client, path, "duplicates")["open"] == 0
    client.post(f"{path}/findings/keep", json={"ids": [repeat["id"]], "kept": False})
    assert finding(client, path, "duplicates")["open"] == 1
    assert client.get(f"{path}/look").json()["head"] == 2


def test_answers_are_saved_together(client: TestClient, path: str) -> None:
    queue = client.get(f"{path}/label-queue").json()
    assert (queue["rows"][0]["row"]["key"], queue["rows"][0]["reason"]) == (8, "suspect") and queue["unlabelled"] == 2
    assert {one["row"]["key"]: one["suggestions"][0]["label"] for one in queue["rows"]} == {8: "refund", 182: "delivery", 183: "refund"}
    answers = [{"key": 8, "output": "refund"}, {"key": 182, "output": "delivery"}, {"key": 183, "output": "complaint"}]
    version = client.post(f"{path}/answers", json={"answers": answers}).json()
    assert (version["action"], version["changed"], version["number"]) == ("label", 3, 2)
    assert client.post(f"{path}/answers", json={"answers": answers}).json() is None
    left = client.get(f"{path}/label-queue").json()
    assert (left["rows"], left["unlabelled"], left["since"]) == ([], 0, 3)
    assert client.post(f"{path}/answers", json={"answers": [{"key": 8, "output": {"no": "label"}}]}).status_code == 400


def test_there_is_no_saving_without_an_answer(client: TestClient) -> None:
    project = client.post("/api/v1/projects", json={"name": "Empty", "task": "classify"}).json()["id"]
    answer = client.get(f"/api/v1/projects/{project}/look/saving")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "no_answer")
    assert client.get(f"/api/v1/projects/{project}/findings").json() == []
    assert client.get(f"/api/v1/projects/{project}/label-queue").json()["rows"] == []


def test_personal_data_is_replaced_after_a_preview(client: TestClient) -> None:
    project = str(client.post("/api/v1/projects", json={"name": "Mail", "task": "classify"}).json()["id"])
    path = f"/api/v1/projects/{project}"
    client.post(f"{path}/edits", json={"edit": {"kind": "add", "input": "write to bob@example.org", "output": "mail"}})
    shown = client.post(f"{path}/personal-data/preview", json={"keys": [1]}).json()
    assert (shown["total"], shown["rows"][0]["before"], shown["rows"][0]["after"]) == (1, "write to bob@example.org", "write to [EMAIL_1]")
    made = client.post(f"{path}/personal-data", json={}).json()
    assert (made["version"]["action"], made["version"]["changed"], made["left"]) == ("redact", 1, 0)
    (row,) = client.get(f"{path}/rows").json()["rows"]
    assert (row["input"], row["output"]) == ("write to [EMAIL_1]", "mail")
    assert client.post(f"{path}/personal-data", json={}).json()["version"] is None


def test_captured_requests_become_rows(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMIDGEN_TRAFFIC_URL", raising=False)
    path = f"/api/v1/projects/{client.post('/api/v1/projects', json={'name': 'Mail', 'task': 'classify'}).json()['id']}"
    assert client.get(f"{path}/traffic-sources").json() == []
    with opened() as traffic:
        facts: dict[str, Any] = {"model": "big", "answer_state": "whole", "template": "t", "kind": "t", "held_out": False}
        place, now = "/v1/chat/completions", datetime.now(UTC)
        traffic.add([Exchange(f"r{n}", now, "bot", place, f"text number {n}", "upstream", answer="ab"[n % 2], **facts) for n in range(30)])
    (source,) = client.get(f"{path}/traffic-sources").json()
    assert (source["id"], source["requests"], source["models"]) == ("gateway", 30, {"bot": 30})
    (job,) = client.get(f"{path}/traffic-sources/gateway/jobs").json()
    assert set(job["labels"]) == {"a", "b"}
    shown = client.get(f"{path}/captured-rows", params={"source": "gateway", "job": job["id"], "days": 7}).json()
    assert (shown["total"], shown["test"], shown["known"], len(shown["rows"])) == (30, 0, 0, 20)
    made = client.post(f"{path}/captured-rows", json={"source": "gateway"}).json()
    assert (made["action"], made["changed"]) == ("import", 30)
    assert client.post(f"{path}/captured-rows", json={"source": "gateway"}).status_code == 400
    assert client.get(f"{path}/captured-rows", params={"source": "nowhere"}).status_code >= 400
