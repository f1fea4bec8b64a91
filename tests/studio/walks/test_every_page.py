"""Every page of a project with a model, in Chromium: no error, nothing beyond the window's edge, nothing that axe calls serious."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import shop
from tests.studio_browser import RunningStudio, browsing, needed, running_studio

pytestmark = needed
PAGES = ("data", "label", "build", "report", "try", "run", "learn", "costs", "canvas")
LINEAR = {"student": {"kind": "linear", "baseline": "none"}}
MARKUP = "<img src=x onerror=document.title='taken'>"
"""A label, and part of texts: text like any other, wherever it is shown."""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with running_studio(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture(scope="module")
def project(studio: RunningStudio, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A project with rows, some without an answer, some with markup, and a model."""
    file: Path = tmp_path_factory.mktemp("data") / "tickets.csv"
    rows = [(text.replace('"', "'"), label if number % 20 else "") for number, (text, label) in enumerate(shop("support_train")[:480])]
    rows += [(f"{MARKUP} <script>document.title='taken'</script> number {number}", MARKUP) for number in range(20)]
    file.write_text("\n".join(["message,kind", *(f'"{text}",{label}' for text, label in rows)]), encoding="utf-8")
    made = str(studio.client.create_project("Tickets", "classify")["id"])
    studio.client.add_file(made, file, input="message", label="kind")
    studio.client.build(made, LINEAR, timeout=300)
    return made


def test_every_page_is_in_order(studio: RunningStudio, project: str) -> None:
    faults: dict[str, object] = {}
    paths = ["/", "/accounts", *(f"/projects/{project}/{page}" for page in PAGES)]
    marked = 0
    with browsing(studio) as browser:
        for path in paths:
            browser.goto(path)
            browser.page.get_by_role("heading", level=1).first.wait_for()
            browser.page.wait_for_load_state("networkidle")
            browser.shot(path.rpartition("/")[2] or "start")
            faults |= {f"{path} {place}": found for place, found in browser.faults_of_sizes().items()}
            assert browser.page.title() != "taken" and browser.page.locator("img[src=x]").count() == 0, path
            marked += browser.page.get_by_text(MARKUP).count() > 0
    assert faults == {}, json.dumps(faults, indent=1)
    assert len(paths) == 2 + len(PAGES) and marked >= 2, "the pages show markup as text"


def test_a_telephone_shows_which_page_is_open_and_lists_look_like_the_house(studio: RunningStudio, project: str) -> None:
    seen = """() => { const strip = document.querySelector("nav").getBoundingClientRect();
      const open = document.querySelector("nav [aria-current=page]").getBoundingClientRect();
      return open.left >= strip.left && open.right <= strip.right; }"""
    looks = "it => [getComputedStyle(it).appearance, getComputedStyle(document.documentElement).scrollbarColor]"
    with browsing(studio, "narrow") as browser:
        browser.goto(f"/projects/{project}/canvas")
        browser.page.locator("nav [aria-current=page]").wait_for()
        assert browser.page.evaluate(seen)
        browser.page.locator("nav a").first.evaluate("it => it.click()")
        browser.page.wait_for_url("**/data")
        browser.page.wait_for_function(seen)
        light = browser.page.get_by_label("Language").evaluate(looks)
        browser.page.evaluate("document.documentElement.dataset.theme = 'dark'")
        dark = browser.page.get_by_label("Language").evaluate(looks)
    assert light[0] in ("base-select", "none") and light[1] != "auto" and dark[1] not in ("auto", light[1])


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
