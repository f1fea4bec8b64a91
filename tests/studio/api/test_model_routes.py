"""Open a model over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.tried_model import built_once

from smidgen.studio.api.access import StudioAccess
from smidgen.studio.api.app import StudioSettings, create_studio
from smidgen.studio.flows.models.downloads import zip_bundle
from smidgen.studio.store.projects import StudioStore

from .conftest import OURS


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_once(tmp_path_factory)


def test_a_zip_file_becomes_a_project_with_a_model_that_answers(client: TestClient, bundle: Path) -> None:
    content = b"".join(zip_bundle(bundle, "tickets"))
    made = client.post("/api/v1/models/uploads", params={"name": "tickets.zip"}, content=content).json()
    path = f"/api/v1/projects/{made['id']}"
    (run,) = client.get(f"{path}/runs").json()
    assert (made["task"], made["version"], run["kind"], run["state"]) == ("classify", 0, "build", "done")
    assert client.get(f"{path}/models/{run['id']}").json()["report"]["headline"] == "accuracy"
    assert client.get(f"{path}/models/{run['id']}/bundle.zip").content[:2] == b"PK"
    answered = client.post(f"{path}/models/{run['id']}/answer", json={"texts": [{"text": "the parcel for my tent is late"}]})
    assert "delivery" in answered.text
    refused = client.post("/api/v1/models/uploads", params={"name": "a.zip"}, content=b"no zip file")
    assert refused.status_code == 400 and "not a ZIP file" in refused.json()["error"]["message"]


def test_a_folder_is_opened_only_on_this_machine(client: TestClient, bundle: Path, store: StudioStore, access: StudioAccess) -> None:
    assert client.post("/api/v1/models/folder", json={"path": str(bundle)}).status_code == 201
    assert client.post("/api/v1/models/folder", json={"path": str(bundle.parent)}).status_code in (400, 409)
    wide = StudioAccess(store, accounts_needed=True)
    wide.save_account("ann", "owner", "correct horse battery")
    with TestClient(
        create_studio(store, wide, StudioSettings(accounts_needed=True), None), base_url="http://127.0.0.1:8765", headers=OURS
    ) as far:
        far.post("/api/v1/session", json={"name": "ann", "password": "correct horse battery"})
        refused = far.post("/api/v1/models/folder", json={"path": str(bundle)})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "not_here")
