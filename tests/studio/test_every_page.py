"""Every page of a project with a model, in Chromium: no error, nothing beyond the window's edge, nothing that axe calls serious."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import shop
from tests.studio_browser import SIZES, RunningStudio, browsing, needed, running_studio

pytestmark = needed
PAGES = ("data", "label", "build", "report", "try", "run", "learn", "costs", "canvas")
LINEAR = {"student": {"kind": "linear", "baseline": "none"}}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with running_studio(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture(scope="module")
def project(studio: RunningStudio, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A project with rows, some without an answer, and a model."""
    file: Path = tmp_path_factory.mktemp("data") / "tickets.csv"
    rows = [(text.replace('"', "'"), label if number % 20 else "") for number, (text, label) in enumerate(shop("support_train")[:500])]
    file.write_text("\n".join(["message,kind", *(f'"{text}",{label}' for text, label in rows)]), encoding="utf-8")
    made = str(studio.client.create_project("Tickets", "classify")["id"])
    studio.client.add_file(made, file, input="message", label="kind")
    studio.client.build(made, LINEAR, timeout=300)
    return made


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_every_page_is_in_order(studio: RunningStudio, project: str, size: str, dark: bool) -> None:
    faults: dict[str, object] = {}
    paths = ["/", "/accounts", *(f"/projects/{project}/{page}" for page in PAGES)]
    with browsing(studio, size, dark) as browser:
        for path in paths:
            browser.goto(path)
            browser.page.get_by_role("heading", level=1).first.wait_for()
            browser.page.wait_for_load_state("networkidle")
            browser.shot(f"{path.rpartition('/')[2] or 'start'}-{size}-{'dark' if dark else 'light'}")
            if found := browser.accessibility_faults():
                faults[path] = found
            if wider := browser.overflow():
                faults[f"{path} is wider"] = wider
    assert faults == {} and len(paths) == 2 + len(PAGES)


def test_an_address_that_no_page_has_leads_back(studio: RunningStudio, project: str) -> None:
    with browsing(studio) as browser:
        browser.goto("/nowhere/at/all")
        browser.page.get_by_text("There is no such page").wait_for()
        browser.page.get_by_role("link", name="All projects").last.click()
        browser.page.get_by_text("What should your model do?").wait_for()
        browser.goto(f"/projects/{project}")
        browser.page.wait_for_url(f"**/projects/{project}/data")


def test_the_pages_speak_german(studio: RunningStudio, project: str) -> None:
    with browsing(studio, language="de-DE") as browser:
        browser.goto(f"/projects/{project}/data")
        browser.page.get_by_role("heading", level=1, name="Daten").wait_for()
        assert browser.page.evaluate("document.documentElement.lang") == "de"
        texts = browser.page.inner_text("main")
    assert "500 Zeilen" in texts
