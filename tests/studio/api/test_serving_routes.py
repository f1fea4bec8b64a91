"""Serving over the Studio's API: its state, keys that are shown once, certificates, captured requests, and who may do what."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient
from tests.studio_model import project_with_model

from smidgen.studio.api import access as rules
from smidgen.studio.api.access import COOKIE, StudioAccess
from smidgen.studio.store.projects import StudioStore


def wait(client: TestClient, path: str) -> Any:
    """The server's state when it has stopped starting."""
    end = time.monotonic() + 120
    while (found := client.get(f"{path}/serving").json())["state"] == "starting":
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def test_a_model_is_served_by_the_page_with_keys_and_ends_with_its_project(client: TestClient, store: StudioStore, tmp_path: Path) -> None:
    project, model = project_with_model(store, tmp_path / "models")
    path = f"/api/v1/projects/{project}"
    assert client.get(f"{path}/serving").json()["state"] == "stopped"
    assert client.get(f"{path}/traffic").json()["figures"] is None
    wanted = {"settings": {"model": model, "redact": False}, "fallback_key": "sk-secret-of-the-large-model"}
    answer = client.post(f"{path}/serving/start", json=wanted)
    assert answer.status_code == 200 and "sk-secret" not in answer.text and answer.json()["has_fallback_key"]
    made = client.post(f"{path}/serving/keys", json={"name": "shop"}).json()
    found = wait(client, path)
    assert (found["state"], found["name"], found["keyed"]) == ("running", "support", True)
    listed = client.get(f"{path}/serving/keys").json()
    assert [key["name"] for key in listed] == ["shop"] and made["key"] not in str(listed)
    body = {"model": "support", "messages": [{"role": "user", "content": "w01 hello"}]}
    ask = [
        httpx.post(f"{found['url']}/v1/chat/completions", json=body, headers=headers, trust_env=False, timeout=30).status_code
        for headers in ({}, {"Authorization": f"Bearer {made['key']}"})
    ]
    assert ask == [401, 200]
    assert client.delete(f"{path}/serving/keys/{made['id']}").status_code == 204
    assert client.delete(f"{path}/serving/keys/none").status_code == 404
    assert client.get(f"{path}/certificates/{model}").json() | {"why": ""} == {
        **{
            "state": "none",
            "valid": False,
            "why": "",
            "certificate": None,
            "audits": None,
            "rows": 0,
            "fewest": 59,
            "chance": None,
            "share": None,
        }
    }
    assert client.post(f"{path}/certificates/{model}/revoke", json={"reason": "none"}).status_code == 409
    assert client.delete(path).status_code == 204
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{found['url']}/healthz", trust_env=False)
    assert not (tmp_path / "home" / "studio" / "serving" / project).exists()


def test_a_builder_may_not_certify(stranger: TestClient, access: StudioAccess, store: StudioStore, monkeypatch: pytest.MonkeyPatch) -> None:
    project = store.create("Support", "classify").id
    stranger.cookies.set(COOKIE, "any")
    kinds = {"certify": (403, 201), "build": (201, 201)}
    for place, role in enumerate(("builder", "owner")):
        monkeypatch.setattr(access, "person", lambda _, role=role: rules.Person("ann", role))
        statuses = {kind: stranger.post(f"/api/v1/projects/{project}/runs", json={"kind": kind}).status_code for kind in kinds}
        assert statuses == {kind: expected[place] for kind, expected in kinds.items()}
