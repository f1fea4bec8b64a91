"""A Studio's database, and a model to try."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import quick_environment
from tests.tried_model import built_once

from smidgen.flows.local_model import Model, load
from smidgen.studio.store.projects import StudioStore


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StudioStore]:
    for name, value in {**quick_environment(), "SMIDGEN_HOME": str(tmp_path / "home")}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SMIDGEN_STUDIO_URL", f"sqlite:///{tmp_path}/studio.db")
    opened = StudioStore()
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle that sorts tickets by one word."""
    return built_once(tmp_path_factory)


@pytest.fixture(scope="session")
def model(bundle: Path) -> Iterator[Model]:
    opened = load(bundle, 1)
    yield opened
    opened.close()
