"""The first visit of a person who has never seen the Studio, in Chromium."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.conftest import shop
from tests.studio_browser import SIZES, RunningStudio, browsing, needed, running_studio

pytestmark = needed


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with running_studio(tmp_path_factory.mktemp("home")) as running:
        yield running


def table(rows: int) -> str:
    """A spreadsheet of the sample shop's messages."""
    lines = [f'"{text.replace(chr(34), chr(39))}",{label}' for text, label in shop("support_train")[:rows]]
    return "\n".join(["message,kind", *lines])


def test_a_dropped_spreadsheet_becomes_rows(studio: RunningStudio) -> None:
    with browsing(studio) as browser:
        page = browser.page
        page.get_by_role("button", name="Sort messages").click()
        page.get_by_label("Name of the project").fill("Tickets")
        page.get_by_role("button", name="Create project").click()
        page.get_by_text("Drop your examples here").wait_for()
        browser.shot("import")
        page.locator("input[type=file]").set_input_files({"name": "tickets.csv", "mimeType": "text/csv", "buffer": table(300).encode()})
        page.get_by_role("button", name="Add these rows").click()
        page.get_by_role("grid").wait_for()
        page.get_by_text("300 rows added from tickets.csv.").wait_for()
        assert "300 rows added" in page.evaluate("document.activeElement.innerText"), "the focus stands at what was added"
        browser.shot("data")
        assert browser.accessibility_faults() == []
        seen = 0
        for size in SIZES.values():
            page.set_viewport_size({"width": size[0], "height": size[1]})
            assert browser.overflow() <= 0
            seen += 1
        assert seen == 2
        (project,) = studio.client.projects()
        assert (project["name"], project["version"]) == ("Tickets", 1)
