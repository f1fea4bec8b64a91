"""A Studio without its page, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.conftest import quick_environment

from smidgen.studio.api.access import StudioAccess
from smidgen.studio.api.app import StudioSettings, create_studio
from smidgen.studio.store.projects import StudioStore

OURS = {"X-Studio-Page": "1"}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StudioStore]:
    for name, value in {**quick_environment(), "SMIDGEN_HOME": str(tmp_path / "home")}.items():
        monkeypatch.setenv(name, value)
    opened = StudioStore(f"sqlite:///{tmp_path}/studio.db")
    yield opened
    opened.close()


@pytest.fixture
def access(store: StudioStore) -> StudioAccess:
    return StudioAccess(store)


@pytest.fixture
def stranger(store: StudioStore, access: StudioAccess) -> TestClient:
    """A browser without a session."""
    app = create_studio(store, access, StudioSettings(), None)
    return TestClient(app, base_url="http://127.0.0.1:8765", headers=OURS)


@pytest.fixture
def client(stranger: TestClient, access: StudioAccess) -> TestClient:
    """The browser of this machine's owner."""
    assert stranger.get(f"/?link={access.new_link()}", follow_redirects=False).status_code == 303
    return stranger
