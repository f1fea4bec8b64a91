"""A plan in the Studio, in Chromium: made from the sample, changed by a form, taken back, at both sizes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.studio_browser import SIZES, RunningStudio, browsing, needed, running_studio

pytestmark = needed


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with running_studio(tmp_path_factory.mktemp("home")) as running:
        yield running


def test_a_trip_is_planned_and_changed(studio: RunningStudio) -> None:
    with browsing(studio) as browser:
        page = browser.page
        browser.goto("/")
        page.get_by_text("More jobs").click()
        page.get_by_role("button", name="Trips").click()
        page.get_by_label("Name of the plan").fill("Our weekend")
        page.get_by_role("button", name="Create plan").click()
        page.get_by_role("heading", name="Our weekend").wait_for()
        page.get_by_text("Settings", exact=True).click()
        page.get_by_label("Seconds to search").fill("1")
        page.get_by_role("button", name="Save settings").click()
        page.get_by_role("button", name="Make the plan").click()
        page.get_by_role("heading", name="The plan").wait_for(timeout=60_000)
        before = page.get_by_role("list").filter(has_text="Day 1").first.inner_text()
        assert "places" in before
        page.get_by_text("Fill in the change").click()
        page.get_by_role("region", name="Something has changed?").get_by_label("Days").fill("2")
        page.get_by_role("button", name="Show the change").click()
        page.get_by_role("button", name="Yes, change the plan").click()
        page.get_by_role("heading", name="Changes made").wait_for(timeout=60_000)
        assert "Day 2" in page.get_by_role("list").filter(has_text="Day 1").first.inner_text()
        page.set_viewport_size({"width": SIZES["narrow"][0], "height": SIZES["narrow"][1]})
        assert page.evaluate("document.documentElement.scrollWidth") <= SIZES["narrow"][0]
        page.get_by_role("button", name="Plan without the changes").click()
        page.get_by_role("heading", name="Changes made").wait_for(state="detached", timeout=60_000)
        assert "Day 2" not in page.get_by_role("list").filter(has_text="Day 1").first.inner_text()
        browser.goto("/")
        page.get_by_role("link", name="Our weekend").wait_for()


def test_what_is_taken_along_is_in_the_language_of_the_studio(studio: RunningStudio) -> None:
    plan = studio.client.call("POST", "plans", {"solver": "trips", "name": "Unser Wochenende", "sample": True})["id"]
    studio.client.call("PUT", f"plans/{plan}/settings", {"settings": {"start": "Harbour Hotel"}, "seconds": 0.3})
    studio.client.call("POST", f"plans/{plan}/solve")
    with browsing(studio, language="de-DE") as browser:
        browser.goto(f"/plans/{plan}")
        taken = {}
        for name in ("page.html", "map.svg", "trip.csv"):
            with browser.page.expect_download() as download:
                browser.page.get_by_role("listitem").filter(has_text=name).get_by_role("link").click()
            taken[name] = Path(download.value.path()).read_text(encoding="utf-8")
    page = taken["page.html"]
    assert '<html lang="de">' in page and "Gelöst" in page and "Tag 1, Samstag: los um" in page and ">Wochentag<" in page
    assert "Karte des Ausflugs" in taken["map.svg"] and "Start und Ende" in taken["map.svg"]
    assert taken["trip.csv"].startswith("\ufeffTag;Wochentag;Folge;Ort;"), "a German spreadsheet opens it"


def test_a_repository_is_taken_from_a_folder(studio: RunningStudio, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("ours")
    (folder / "till.py").write_text("def total():\n    return 0\n", encoding="utf-8")
    project = studio.client.create_project("Our code", "complete")["id"]
    with browsing(studio) as browser:
        page = browser.page
        browser.goto(f"/projects/{project}/repository")
        page.get_by_label("Or its folder on this machine").fill(str(folder))
        page.get_by_role("button", name="Copy the source files").click()
        page.get_by_role("heading", name="1 source file").wait_for()
        assert page.get_by_text("till.py").is_visible()
