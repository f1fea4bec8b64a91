"""The disk that build results take, and freeing it, over the Studio's API."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from smidgen.store.files import home
from smidgen.store.step_results import StepResults
from smidgen.studio.api import access as rules
from smidgen.studio.api.access import COOKIE, StudioAccess

PATH = "/api/v1/build-results"


def test_results_are_told_and_removed_except_those_of_a_running_build(client: TestClient) -> None:
    assert client.get(PATH).json()["bytes"] == 0
    for name in ("ended", "running"):
        steps = StepResults(home() / "steps" if name == "running" else home() / "studio" / "projects" / "p1" / ".build" / "steps")
        steps.run("fit", {}, lambda out: (out / "model").write_bytes(b"w" * 10_000) and None)
        if name == "ended":
            steps.close()
    told = client.get(PATH).json()
    assert 20_000 <= told["bytes"] < 40_000 < told["limit"]
    freed = client.delete(PATH).json()["freed"]
    assert 10_000 <= freed < 20_000 and client.get(PATH).json()["bytes"] == told["bytes"] - freed
    assert [file.stat().st_size for file in home().rglob("model")] == [10_000], "a running build keeps its own"
    steps.close()


def test_only_an_owner_removes_them(stranger: TestClient, access: StudioAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (stranger.get(PATH).status_code, stranger.delete(PATH).status_code) == (401, 401)
    stranger.cookies.set(COOKIE, "any")
    monkeypatch.setattr(access, "person", lambda _: rules.Person("ann", "builder"))
    assert (stranger.get(PATH).status_code, stranger.delete(PATH).status_code) == (200, 403)
