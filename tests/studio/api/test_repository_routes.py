"""A project's repository over HTTP."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from starlette.testclient import TestClient


def test_a_zip_gives_the_source_files(client: TestClient) -> None:
    project = client.post("/api/v1/projects", json={"name": "Ours", "task": "complete"}).json()
    assert project["kinds"] == ["repository"]
    place = f"/api/v1/projects/{project['id']}/repository"
    assert client.get(place).json()["files"] == 0
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("till.py", "def total():\n    return 0\n")
    sent = client.post(f"{place}/uploads?name=ours.zip", content=held.getvalue()).json()
    assert (sent["files"], sent["lines"], sent["names"], sent["endings"]) == (1, 2, ["till.py"], [{"ending": ".py", "files": 1}])
    assert client.get(f"/api/v1/projects/{project['id']}/material").json()["next"] == "build"
    one = client.post(f"/api/v1/projects/{project['id']}/files/uploads?kind=repository&name=a.py", content=b"a = 1\n")
    assert one.status_code == 400 and "one by one" in one.json()["error"]["message"]


def test_a_folder_without_code_is_refused(client: TestClient, tmp_path: Path) -> None:
    project = client.post("/api/v1/projects", json={"name": "Ours", "task": "complete"}).json()["id"]
    answer = client.post(f"/api/v1/projects/{project}/repository/folder", json={"path": str(tmp_path)})
    assert answer.status_code == 400 and "no source code" in answer.json()["error"]["message"]
