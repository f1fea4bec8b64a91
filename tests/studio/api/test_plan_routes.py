"""Plans over HTTP, with a dropped-in solver."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.testclient import TestClient

from smidgen.plans.flows import problem
from smidgen.plans.studio.pages import plan_routes

pytestmark = pytest.mark.usefixtures("dropped_solver")
JSON = {"Content-Type": "application/json"}
TABLE = b"thing,price\nlamp,6\nrug,5\n"


def made(client: TestClient) -> str:
    """A plan with its table."""
    plan = client.post("/api/v1/plans", json={"solver": "shopping", "name": "Saturday"}).json()["id"]
    sent = client.post(f"/api/v1/plans/{plan}/tables/things/uploads?name=my list.csv", content=TABLE)
    assert sent.status_code == 200 and sent.json()["tables"][0]["file"] == "things-my_list.csv"
    return str(plan)


def test_a_solver_is_listed_with_what_forms_need(client: TestClient) -> None:
    found = next(one for one in client.get("/api/v1/solvers").json() if one["name"] == "shopping")
    assert set(found["settings"]["properties"]) == {"purse"} and not found["sample"]
    assert found["changes"]["required"] == ["thing", "price"] and found["examples"] == ["The lamp costs 4 now."]


def test_a_plan_is_solved_changed_and_deleted(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = made(client)
    solved = client.post(f"/api/v1/plans/{plan}/solve").json()["solved"]
    assert solved["status"] == "partly" and solved["sentences"] == ["Buy the lamp for 6.", "4 are left."]
    assert solved["tables"] == [
        {"name": "things", "title": "Things to buy", "columns": ["thing", "price"], "rows": [["lamp", "6"]], "count": 1}
    ]
    picture = client.get(f"/api/v1/plans/{plan}/files/purse.svg")
    assert picture.headers["content-type"].startswith("image/svg+xml") and "sandbox" in picture.headers["content-security-policy"]
    assert client.get(f"/api/v1/plans/{plan}/files/..%2F..%2Frecipe.toml").status_code == 404

    proposed = client.post(f"/api/v1/plans/{plan}/proposals", json={"change": {"thing": "rug", "price": 4}}).json()
    assert proposed == {"change": {"thing": "rug", "price": 4}, "words": "rug: price 4, was 5", "score": 1.0, "unread": [], "rest": ""}
    assert client.get(f"/api/v1/plans/{plan}").json()["solved"]["changes"] == [], "a proposal changes nothing"
    changed = client.post(f"/api/v1/plans/{plan}/changes", json={"change": proposed["change"], "sentence": "the rug is 4"}).json()
    assert changed["solved"]["status"] == "solved" and changed["solved"]["changes"][0]["sentence"] == "the rug is 4"
    again = client.post(f"/api/v1/plans/{plan}/solve?changes=forget").json()
    assert again["solved"]["status"] == "partly" and again["solved"]["changes"] == []

    cards = client.get("/api/v1/plans").json()
    assert [(card["name"], card["title"], card["status"]) for card in cards] == [("Saturday", "Shopping", "partly")]
    assert client.delete(f"/api/v1/plans/{plan}").status_code == 204
    assert client.get(f"/api/v1/plans/{plan}").status_code == 404 and client.get("/api/v1/plans").json() == []


def test_settings_that_no_file_can_hold_leave_the_plan_as_it_was(client: TestClient) -> None:
    plan = client.post("/api/v1/plans", json={"solver": "trips", "name": "Away", "sample": True}).json()["id"]
    address, kept = f"/api/v1/plans/{plan}/settings", {"start": "Harbour Hotel"}
    damaged = client.put(address, content=rb'{"settings": {"start": "\ud83d"}}', headers=JSON)
    assert damaged.status_code == 400 and "half a character" in damaged.json()["error"]["message"]
    for unset in ("valhalla", "matrix", "budget", "date"):
        assert client.put(address, json={"settings": {**kept, unset: None}}).status_code == 200, unset
        assert client.get(f"/api/v1/plans/{plan}").json()["settings"] == kept
    assert len(client.get("/api/v1/plans").json()) == 1


NONE: list[tuple[dict[str, Any], str]] = [
    ({"sentence": ""}, "the sentence is empty"),
    ({"sentence": " \n"}, "the sentence is empty"),
    ({"sentence": "a\x00b"}, "a NUL or half a character"),
    ({"sentence": "x" * 2001}, "at most 2000 characters"),
    ({"change": {"thing": "\ud83d", "price": 4}}, "half a character"),
    ({"change": {}}, "the change is empty"),
]


def test_a_change_that_is_none_is_told(client: TestClient) -> None:
    plan, seen = made(client), 0
    for body, said in NONE:
        refused = client.post(f"/api/v1/plans/{plan}/proposals", content=json.dumps(body), headers=JSON)
        assert refused.status_code in (400, 422) and said in refused.json()["error"]["message"]
        seen += 1
    assert seen == len(NONE) > 5


def test_a_sentence_is_read_by_the_chosen_model(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = made(client)
    refused = client.post(f"/api/v1/plans/{plan}/proposals", json={"sentence": "the rug is 4"})
    assert refused.status_code == 400 and "needs a model" in refused.json()["error"]["message"]
    reply = SimpleNamespace(output={"thing": "rug", "price": 4}, score=0.8)
    monkeypatch.setattr(problem, "load", lambda folder: SimpleNamespace(predict=lambda texts: [reply], close=lambda: None))
    monkeypatch.setattr("smidgen.plans.studio.pages.plan_routes._reader_folder", lambda store, project: "/models/events")
    chosen = client.put(f"/api/v1/plans/{plan}/settings", json={"settings": {"purse": 20}, "seconds": 3, "reader": "p"})
    assert chosen.status_code == 200 and chosen.json()["settings"] == {"purse": 20} and chosen.json()["seconds"] == 3
    proposed = client.post(f"/api/v1/plans/{plan}/proposals", json={"sentence": "the rug is 4"}).json()
    assert (proposed["words"], proposed["score"]) == ("rug: price 4, was 5", 0.8)


@pytest.mark.parametrize(
    ("settings", "said"), [({"purse": -1}, "purse"), ({"purses": 1}, "did you mean"), ({"purse": "much"}, "whole number")]
)
def test_bad_settings_are_refused(client: TestClient, settings: dict[str, Any], said: str) -> None:
    plan = client.post("/api/v1/plans", json={"solver": "shopping", "name": "Saturday"}).json()["id"]
    answer = client.put(f"/api/v1/plans/{plan}/settings", json={"settings": settings})
    assert answer.status_code == 400 and said in answer.json()["error"]["message"]


def test_a_bad_table_keeps_the_one_before(client: TestClient) -> None:
    plan = made(client)
    bad = client.post(f"/api/v1/plans/{plan}/tables/things/uploads?name=bad.csv", content=b"")
    assert bad.status_code == 400
    assert client.get(f"/api/v1/plans/{plan}").json()["tables"][0]["file"] == "things-my_list.csv"
    strange = client.post(f"/api/v1/plans/{plan}/tables/purse/uploads?name=a.csv", content=TABLE)
    assert strange.status_code == 400 and "no such table" in strange.json()["error"]["message"]


def test_a_plan_without_its_table_says_so(client: TestClient) -> None:
    plan = client.post("/api/v1/plans", json={"solver": "shopping", "name": "Saturday"}).json()["id"]
    answer = client.post(f"/api/v1/plans/{plan}/solve")
    told = answer.json()["error"]
    assert answer.status_code == 400 and told["todo"].endswith("- shopping.things: must be given") and told["value"] == "'the settings'"


def test_a_bad_cell_is_told_with_its_file(client: TestClient) -> None:
    plan = client.post("/api/v1/plans", json={"solver": "trips", "name": "Weekend"}).json()["id"]
    client.put(f"/api/v1/plans/{plan}/settings", json={"settings": {"start": "Hotel"}})
    table = b"name,latitude,longitude\nHotel,48.1,11.2\nCastle,north,11.2\n"
    client.post(f"/api/v1/plans/{plan}/tables/places/uploads?name=my.csv", content=table)
    told = client.post(f"/api/v1/plans/{plan}/solve").json()["error"]
    assert (told["file"], told["row"], told["column"], told["what"]) == ("places-my.csv", 2, "latitude", "this is no number")


def test_only_models_that_read_such_changes_are_offered(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = {"prices": ["thing", "price"], "orders": ["order", "price"]}
    ids = {client.post("/api/v1/projects", json={"name": name, "task": "extract"}).json()["id"]: own for name, own in fields.items()}
    monkeypatch.setattr(plan_routes, "models_of", lambda store, project: [SimpleNamespace(id="m")])
    monkeypatch.setattr(plan_routes, "model_folder", lambda store, project, model: Path(project))
    form = lambda folder: SimpleNamespace(form={"schema": {"properties": dict.fromkeys(ids[folder.name])}})  # noqa: E731
    monkeypatch.setattr(plan_routes, "read_manifest", form)
    assert [one["name"] for one in client.get(f"/api/v1/plans/{made(client)}").json()["readers"]] == ["prices"]
