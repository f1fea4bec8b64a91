"""Documents, questions and files over HTTP."""

from __future__ import annotations

import io
import zipfile

import pytest
from starlette.testclient import TestClient

_PAGE = b"# Returns\n\nYou may return goods within 30 days.\n\n# Delivery\n\nParcels to Ireland cost 7.95 pounds and take three days.\n"


@pytest.fixture
def project(client: TestClient) -> str:
    """The path of a new project that answers from documents."""
    made = client.post("/api/v1/projects", json={"name": "Handbook", "task": "answer"}).json()
    assert made["kinds"] == ["documents", "questions"] and made["version"] == 0
    return f"/api/v1/projects/{made['id']}"


def send(client: TestClient, project: str, name: str, content: bytes, kind: str = "documents") -> dict[str, list[str]]:
    answer = client.post(f"{project}/files/uploads", params={"name": name, "kind": kind}, content=content)
    assert answer.status_code == 201, answer.text
    found: dict[str, list[str]] = answer.json()
    return found


def packed(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def test_documents_come_in_and_each_file_says_what_was_read(client: TestClient, project: str) -> None:
    assert client.get(f"{project}/material").json()["fill"] == "documents"
    assert send(client, project, "terms.md", _PAGE)["taken"] == ["documents/terms.md"]
    box = packed(
        {
            "site/faq.csv": b"question,answer\nAre you open on Sunday?,No.\n",
            "site/photo.png": b"\x89PNG\0",
            "site/.x": b"",
            "site/a/empty.md": b"",
        }
    )
    assert send(client, project, "site.zip", box)["taken"] == ["documents/faq.csv", "documents/photo.png", "documents/a/empty.md"]
    found = {file["name"]: file for file in client.get(f"{project}/documents").json()["files"]}
    assert found["documents/terms.md"]["passages"] >= 2 and found["documents/faq.csv"]["passages"] == 1
    assert "files of this kind are not read" in found["documents/photo.png"]["problem"] and found["documents/a/empty.md"]["problem"]
    passages = client.get(f"{project}/documents/passages", params={"name": "documents/terms.md"}).json()
    assert passages[0]["title"] == "Returns" and "30 days" in passages[0]["text"] and passages[0]["document"] == "terms.md"
    assert client.delete(f"{project}/files", params={"name": "documents/photo.png"}).status_code == 204
    assert "documents/photo.png" not in [file["name"] for file in client.get(f"{project}/documents").json()["files"]]
    assert client.get(f"{project}/material").json()["next"] == "build"


def test_a_question_is_tested_before_there_is_a_model(client: TestClient, project: str) -> None:
    ask = {"question": "what does a parcel to Ireland cost?"}
    assert client.post(f"{project}/documents/test", json=ask).json()["error"]["what"].startswith("there are no documents")
    send(client, project, "terms.md", _PAGE)
    found = client.post(f"{project}/documents/test", json=ask).json()
    first = found["passages"][0]
    assert found["verdict"] == "no_model" and found["threshold"] is None and first["keywords"] == 1 and first["meaning"] is None
    assert first["passage"]["text"][first["start"] : first["end"]] == "Parcels to Ireland cost 7.95 pounds and take three days."
    send(client, project, "terms.md", b"# Returns\n\nReturn goods within 30 days.\n")
    assert client.post(f"{project}/documents/test", json=ask).json()["verdict"] == "nothing"
    assert client.post(f"{project}/documents/test", json={**ask, "model": "none"}).status_code in (400, 404)


def test_questions_are_added_and_changed_by_one_person_at_a_time(client: TestClient, project: str) -> None:
    row = {"question": "Sunday?", "text": "No.", "document": "faq.csv"}
    first = client.post(f"{project}/questions", json=row).json()
    assert (
        first["rows"] == [row]
        and client.post(f"{project}/questions", json={**row, "text": None, "document": ""}).json()["rows"][0]["text"] is None
    )
    both = [row, {"question": "Parking?", "text": None, "document": ""}]
    assert client.put(f"{project}/questions", json={"rows": both, "state": first["state"]}).status_code == 409
    now = client.get(f"{project}/questions").json()
    assert client.put(f"{project}/questions", json={"rows": both, "state": now["state"]}).json()["rows"] == both
    text = client.get(f"{project}/files/text", params={"name": "questions.jsonl"}).json()["text"]
    assert text.splitlines()[1] == '{"input": "Parking?", "output": null}'
    client.put(f"{project}/files/text", params={"name": "questions.jsonl"}, json={"text": f"{text}no question\n"})
    broken = client.get(f"{project}/questions").json()
    assert broken["unreadable"] == 1 and len(broken["rows"]) == 2
    refused = client.put(f"{project}/questions", json={"rows": [], "state": broken["state"]})
    assert refused.status_code == 400 and "have lines" not in refused.text and client.get(f"{project}/questions").json()["rows"] == both


@pytest.mark.parametrize("name", ["../x.md", "/etc/x.md", "a/../../x.md", ".hidden.md"])
def test_no_upload_leads_out_of_the_project(client: TestClient, project: str, name: str) -> None:
    taken = send(client, project, name, b"# A\n\nText.\n")["taken"]
    assert len(taken) == 1 and taken[0].startswith("documents/") and ".." not in taken[0]
    assert client.get(f"{project}/files/text", params={"name": name}).status_code == 400
    assert client.put(f"{project}/files/text", params={"name": name}, json={"text": "x"}).status_code == 400


def test_a_broken_zip_file_is_told(client: TestClient, project: str) -> None:
    answer = client.post(f"{project}/files/uploads", params={"name": "a.zip", "kind": "documents"}, content=b"PK no zip")
    assert answer.status_code == 400 and "cannot be unpacked" in answer.json()["error"]["message"]
