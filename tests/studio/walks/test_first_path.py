"""The whole first-time path with the sample project in Chromium: its clicks are counted, and nothing is typed before the playground."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.studio_browser import Browser, RunningStudio, browsing, needed, running_studio, stop_runs, with_bases
from tests.tried_model import LINEAR

pytestmark = needed
MOST_CLICKS = 10
COUNTER = """
  window.name = window.name || '{"clicks": 0, "keys": 0}';
  const count = (what) => (event) => {
    if (!event.isTrusted) return;
    const seen = JSON.parse(window.name);
    seen[what] += 1;
    window.name = JSON.stringify(seen);
  };
  addEventListener("click", count("clicks"), true);
  addEventListener("keydown", count("keys"), true);
"""
"""Counts what a person does, in the window's name, which outlives the page."""


@pytest.fixture
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with running_studio(with_bases(tmp_path_factory.mktemp("home"))) as running:
        yield running


def seen(browser: Browser) -> dict[str, int]:
    found: dict[str, int] = browser.page.evaluate("JSON.parse(window.name)")
    return found


def quick_build(studio: RunningStudio) -> None:
    """Put a build of seconds in the place of the sample's own, which trains for minutes. What a person clicks stays the same."""
    (project,) = studio.client.projects()
    stop_runs(studio.client)
    studio.client.start(project["id"], "build", {"recipe": {**LINEAR, "gate": {"min_headline": 0.3}}})


def walk(studio: RunningStudio, *, quick: bool) -> None:
    with browsing(studio) as browser:
        page = browser.page
        page.add_init_script(COUNTER)
        page.reload()
        page.get_by_role("button", name="Open the sample project").first.click()
        page.get_by_role("heading", level=1, name="Build").wait_for()
        if quick:
            quick_build(studio)
        page.get_by_role("link", name="Data").click()
        page.get_by_role("grid").wait_for()
        page.get_by_role("link", name="Build").click()
        page.get_by_role("table").get_by_role("link", name="Report").first.wait_for(timeout=1_500_000)
        page.get_by_role("table").get_by_role("link", name="Report").first.click()
        page.get_by_role("heading", level=1, name="Report").wait_for()
        page.get_by_text("test rows").first.wait_for()
        page.get_by_role("link", name="Try").first.click()
        box = page.get_by_role("textbox", name="Your text")
        box.wait_for()
        told = seen(browser)
        assert 3 <= told["clicks"] <= MOST_CLICKS and told["keys"] == 0, told
        box.fill("my parcel has not arrived and the courier does not answer")
        page.get_by_text("Which words mattered").wait_for()
        assert seen(browser)["clicks"] == told["clicks"], "the answer comes by itself"


def test_the_sample_project_is_ten_clicks_and_no_typing_from_the_playground(studio: RunningStudio) -> None:
    walk(studio, quick=True)


@pytest.mark.thorough
def test_the_sample_projects_own_model_is_as_near(studio: RunningStudio) -> None:
    walk(studio, quick=False)
