"""The kinds of message of a desk over the Studio's API: with examples, what the policy does with each, renamed, removed, refused."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.shop_project import shop_project

from smidgen.studio.flows.material import read_file, write_file
from smidgen.studio.flows.samples import begin_project
from smidgen.studio.store.projects import Project, StudioStore


@pytest.fixture
def project(store: StudioStore) -> Project:
    return shop_project(store)


def put(client: TestClient, project: Project, stamp: str, **told: Any) -> Any:
    return client.put(f"/api/v1/projects/{project.id}/intents", json={"stamp": stamp, "before": "", **told})


def test_a_desk_from_nothing_gets_kinds_and_the_policy_learns_of_them(client: TestClient, store: StudioStore) -> None:
    desk = begin_project(store, "Ours", "desk")
    before = client.get(f"/api/v1/projects/{desk.id}/intents").json()
    assert before["kinds"] == [] and before["stamp"] == ""
    first = put(client, desk, "", name="complaint", examples=["this is awful", "awful!", " this  is awful"], step="person").json()
    assert [(one["name"], one["examples"], one["steps"]) for one in first["kinds"]] == [
        ("complaint", ["this is awful", "awful!"], ["person"])
    ]
    second = put(client, desk, first["stamp"], name="praise", examples=["you are great", "lovely"]).json()
    assert second["kinds"][1]["steps"] == ["act", "answer"]
    assert (
        read_file(desk, "intents.csv").decode()
        == "text,intent\nthis is awful,complaint\nawful!,complaint\nyou are great,praise\nlovely,praise\n"
    )
    assert client.get(f"/api/v1/projects/{desk.id}/policy").json()["intents"] == ["complaint", "praise"]
    named = put(client, desk, second["stamp"], before="complaint", name="anger", examples=["awful!", "so bad"]).json()
    assert [one["name"] for one in named["kinds"]] == ["anger", "praise"] and named["kinds"][0]["steps"] == ["person"]
    gone = client.post(f"/api/v1/projects/{desk.id}/intents/delete", json={"name": "praise", "stamp": named["stamp"]}).json()
    assert [one["name"] for one in gone["kinds"]] == ["anger"]


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ({"name": "order/*", "examples": ["a", "b"]}, "no name"),
        ({"name": "Order/Status", "examples": ["a", "b"]}, "already"),
        ({"name": "late", "examples": ["a", " a "]}, "too few"),
        ({"name": "late", "examples": ["HI", "where is it"]}, "another kind"),
        ({"before": "nothing", "name": "late", "examples": ["a", "b"]}, "no such kind"),
    ],
)
def test_what_cannot_be_learnt_is_refused(client: TestClient, project: Project, told: dict[str, Any], fault: str) -> None:
    stamp = client.get(f"/api/v1/projects/{project.id}/intents").json()["stamp"]
    refused = put(client, project, stamp, **told)
    assert refused.status_code == 400 and fault in refused.json()["error"]["message"]


def test_other_columns_and_rows_stay_and_a_second_person_is_told(client: TestClient, project: Project) -> None:
    write_file(project, "support_train.csv", b"id;text;intent\n1;hi;order/status\n2;ho;feedback/praise\n3;hu;order/status\n")
    stamp = client.get(f"/api/v1/projects/{project.id}/intents").json()["stamp"]
    assert put(client, project, stamp, before="order/status", name="order/status", examples=["hu", "where is it"]).status_code == 200
    assert (
        read_file(project, "support_train.csv").decode()
        == "id;text;intent\n3;hu;order/status\n;where is it;order/status\n2;ho;feedback/praise\n"
    )
    assert put(client, project, stamp, name="late", examples=["a", "b"]).status_code == 409
