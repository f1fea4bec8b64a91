"""The tests of this folder share one browser, and a Studio with one model where a file has none of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.studio_browser import RunningStudio, close_chromium, running_studio
from tests.tried_model import built_once, with_model

from smidgen.studio.store.projects import StudioStore


@pytest.fixture(scope="package", autouse=True)
def _one_browser() -> Iterator[None]:
    yield
    close_chromium()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMIDGEN_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def model(home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The ids of a project and its model."""
    store = StudioStore()
    found = with_model(store, built_once(tmp_path_factory))
    store.close()
    return found


@pytest.fixture(scope="module")
def studio(home: Path, model: tuple[str, str]) -> Iterator[RunningStudio]:
    with running_studio(home) as running:
        yield running
