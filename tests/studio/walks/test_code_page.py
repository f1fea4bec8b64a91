"""The page Try of a project that completes code, in Chromium: an error is explained with the project's lines, at both sizes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.studio_browser import RunningStudio, browsing, needed, running_studio
from tests.tried_model import add_model, built_once

from smidgen.studio.flows.material import material_path
from smidgen.studio.flows.samples import begin_project
from smidgen.studio.store.projects import StudioStore

pytestmark = needed
TRACEBACK = """Traceback (most recent call last):
  File "/elsewhere/shop.py", line 5, in total
    return sum(PRICES[name] for name in names)
KeyError: 'bunn'
"""
SHOP = 'PRICES = {"bun": 120}\n\n\ndef total(names):\n    return sum(PRICES[name] for name in names)\n'


@pytest.fixture
def project(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a project of code. Its model is another one, which no part of this walk asks."""
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    store = StudioStore()
    made = begin_project(store, "Our code", "complete")
    place = material_path(made, "repository")
    place.mkdir(parents=True, exist_ok=True)
    (place / "shop.py").write_text(SHOP, encoding="utf-8")
    (place / "test_shop.py").write_text("from shop import total\n", encoding="utf-8")
    add_model(store, made.id, built_once(tmp_path_factory))
    store.close()
    return made.id


@pytest.fixture
def studio(project: str, tmp_path: Path) -> Iterator[RunningStudio]:
    with running_studio(tmp_path / "home") as running:
        yield running


def test_an_error_is_explained_and_tests_and_bugs_are_offered(studio: RunningStudio, project: str) -> None:
    with browsing(studio, refused=True) as browser:
        page = browser.page
        browser.goto(f"/projects/{project}/try")
        page.get_by_label("Code ahead of the cursor").wait_for()
        page.get_by_text("Explain an error", exact=True).click()
        page.get_by_label("The error message of Python").fill("it does not work")
        page.get_by_role("button", name="Explain", exact=True).click()
        page.get_by_text("the text holds no traceback of Python", exact=False).first.wait_for()
        page.get_by_label("The error message of Python").fill(TRACEBACK)
        page.get_by_role("button", name="Explain", exact=True).click()
        page.get_by_text("KeyError: 'bunn'").last.wait_for()
        page.get_by_text("Similar: `bun`").wait_for()
        assert "> 5      return sum(" in page.get_by_role("region", name="shop.py:5").inner_text()
        assert browser.faults_of_sizes() == {}
        page.get_by_text("Write tests", exact=True).first.click()
        assert page.get_by_label("File", exact=True).input_value() == "shop.py"
        assert page.get_by_label("Function", exact=True).input_value() == "total"
        page.get_by_text("Find a bug", exact=True).first.click()
        assert page.get_by_label("File with tests").locator("option").all_inner_texts() == ["None", "test_shop.py"]
        assert page.get_by_role("button", name="Find the bug").is_disabled()
        assert browser.faults_of_sizes() == {}
