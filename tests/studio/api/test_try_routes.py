"""Try a model over HTTP: answers, corrections, and a large model beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.teacher_server import Fault, TeacherServer, teacher_server
from tests.tried_model import built_once, with_model

from smidgen.studio.store.projects import StudioStore

TEXT = "the parcel for my lamp is late"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_once(tmp_path_factory)


@pytest.fixture
def project(store: StudioStore, bundle: Path) -> tuple[str, str]:
    """The paths of a project, and of its model."""
    project, model = with_model(store, bundle)
    return f"/api/v1/projects/{project}", f"/api/v1/projects/{project}/models/{model}"


def test_texts_are_answered_in_order_and_explained(client: TestClient, project: tuple[str, str]) -> None:
    _, model = project
    facts = client.get(f"{model}/answering").json()
    assert (facts["shape"], facts["teachable"], facts["point"]["error"]) == ("label", True, 0.0)
    two = client.post(f"{model}/answer", json={"texts": [{"text": "my password"}, {"text": TEXT}]}).json()
    assert [answer["output"] for answer in two] == ["account", "delivery"] and two[0]["words"] is None
    (one,) = client.post(f"{model}/answer", json={"texts": [{"text": TEXT}], "explain": True}).json()
    assert one["answers"] is True and len(one["runners_up"]) == 2 and one["seconds"] > 0
    heaviest = max(one["words"]["weights"], key=lambda word: word["fall"])
    assert TEXT[heaviest["start"] : heaviest["end"]] == "parcel"


@pytest.mark.parametrize(
    "body",
    [{"texts": []}, {"texts": [{"text": ""}]}, {"texts": [{"text": "a"}] * 51}, {"texts": [{"text": "a"}] * 2, "explain": True}],
)
def test_a_request_out_of_bounds_is_refused(client: TestClient, project: tuple[str, str], body: dict[str, Any]) -> None:
    assert client.post(f"{project[1]}/answer", json=body).status_code == 422


def test_a_model_of_another_project_is_refused(client: TestClient, project: tuple[str, str], store: StudioStore) -> None:
    other = store.create("Other", "classify").id
    run = project[1].rsplit("/", 1)[1]
    answer = client.post(f"/api/v1/projects/{other}/models/{run}/answer", json={"texts": [{"text": "a"}]})
    assert answer.status_code == 400 and "no such model" in answer.json()["error"]["message"]


def test_a_model_that_does_not_write_says_so_in_its_stream(client: TestClient, project: tuple[str, str]) -> None:
    streamed = client.post(f"{project[1]}/stream", json={"text": TEXT}).text
    assert streamed.startswith("event: failed\n") and "does not write" in json.loads(streamed.split("data: ")[1])["message"]


def test_a_correction_goes_into_the_data_and_is_taken_back(client: TestClient, project: tuple[str, str]) -> None:
    path, _ = project
    rows = client.get(f"{path}/data").json()["rows"]
    made = client.post(f"{path}/corrections", json={"text": "hello", "output": "account"}).json()
    assert (made["added"], made["relabelled"], made["version"]["rows"]) == (True, 0, rows + 1)
    assert client.post(f"{path}/corrections", json={"text": "hello", "output": "account"}).json()["version"] is None
    assert client.post(f"{path}/undo").json()["action"] == "undo"
    assert client.get(f"{path}/data").json()["rows"] == rows
    assert client.post(f"{path}/corrections", json={"text": "hello", "output": {"no": "label"}}).status_code == 400


# A large model beside it.


@pytest.fixture
def large() -> Iterator[TeacherServer]:
    with teacher_server(lambda messages: "refund" if "lamp" in messages[-1]["content"] else "I am not sure.") as server:
        yield server


def asked(client: TestClient, model: str, url: str, **more: Any) -> Any:
    body = {"url": url, "model": "big", "key": "secret-key", "texts": [{"text": TEXT}, {"text": "hello"}], **more}
    return client.post(f"{model}/large", json=body)


def test_a_large_model_does_the_same_job(client: TestClient, project: tuple[str, str], large: TeacherServer, tmp_path: Path) -> None:
    first, second = asked(client, project[1], large.url).json()
    assert (first["output"], first["text"], first["why_not"]) == ("refund", "refund", "")
    assert second["output"] is None and "not one of the labels" in second["why_not"] and second["said"] == "I am not sure."
    assert "delivery" in large.seen[0]["messages"][0]["content"] and large.keys == {"Bearer secret-key"}
    kept = [file for file in tmp_path.rglob("*") if file.is_file() and b"secret-key" in file.read_bytes()]
    assert kept == [], "the key is stored nowhere"


def test_a_large_model_that_fails_is_told_in_words(client: TestClient, project: tuple[str, str], large: TeacherServer) -> None:
    large.faults += [Fault(429), Fault(429)]
    answers = asked(client, project[1], large.url).json()
    assert all("HTTP 429" in answer["why_not"] for answer in answers)
    large.faults += [Fault(401, body=b'{"error": {"message": "secret-key is wrong"}}')] * 2
    refused = asked(client, project[1], large.url)
    assert (refused.status_code, refused.json()["error"]["code"]) == (502, "large_model_failed")
    assert "HTTP 401" in refused.text and "secret-key" not in refused.text


@pytest.mark.parametrize(
    "url", ["ftp://example.com", "http://example.com/v1", "https://user:word@example.com", "not a url", "https://x.example/v1?key=1", "a/b"]
)
def test_an_address_that_cannot_be_used_is_refused(client: TestClient, project: tuple[str, str], url: str) -> None:
    refused = asked(client, project[1], url)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid_address"), refused.text


def test_a_key_that_cannot_be_one_is_refused(client: TestClient, project: tuple[str, str]) -> None:
    refused = asked(client, project[1], "http://127.0.0.1:9/v1", key="two words")
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid_key") and "two words" not in refused.text
