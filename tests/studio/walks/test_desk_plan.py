"""A desk with a plan in Chromium: the plan is added as a tool, asked in the chat, and changed after a dispatcher's yes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.studio.walks.test_desk_at_work import say, visitor
from tests.studio_browser import RunningStudio, browsing, needed, running_studio, with_bases

from smidgen.bases.starter import starters

pytestmark = [*needed, pytest.mark.thorough, pytest.mark.skipif(not starters()["minilm"].here(), reason="the starter minilm is not here")]


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningStudio]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "home").mkdir()
    with running_studio(with_bases(tmp_path / "home")) as running:
        yield running


def test_a_dispatcher_asks_the_plan_and_changes_it_by_a_yes(studio: RunningStudio) -> None:
    client = studio.client
    plan = client.call("POST", "plans", {"solver": "routes", "name": "Monday", "sample": True})["id"]
    client.call("PUT", f"plans/{plan}/settings", {"settings": {}, "seconds": 1})
    client.call("POST", f"plans/{plan}/solve")
    project = client.create_project("Dispatch", "desk")["id"]
    with browsing(studio) as browser:
        page = browser.page
        browser.goto(f"/projects/{project}/tools")
        page.get_by_role("button", name="More ways").click()
        page.get_by_role("menuitem", name="From a plan").click()
        dialog = page.get_by_role("dialog")
        assert dialog.get_by_label("Plan").locator("option").all_inner_texts() == ["Monday (Routes)"]
        assert browser.accessibility_faults() == []
        dialog.get_by_role("button", name="Add the plan").click()
        page.get_by_role("article", name="change_routes_plan").get_by_text("Asks first").wait_for()
        browser.shot("desk-plan-tools")
        assert browser.faults_of_sizes() == {}
        client.build(project)
        browser.goto(f"/projects/{project}/run")
        page.get_by_role("button", name="Start", exact=True).click()
        page.get_by_text("Your model is running").wait_for()
        preview = page.get_by_role("link", name="See the chat on a page").get_attribute("href")
        with visitor(studio, preview) as frame:
            say(frame, "When does the van come to Castle Inn?")
            frame.get_by_text("is at Castle Inn at").first.wait_for()
            say(frame, "Van 2 has broken down")
            frame.get_by_text("Change the plan: Van 2 does not drive.").first.wait_for()
            assert client.call("GET", f"plans/{plan}")["solved"]["changes"] == [], "nothing counts before the yes"
            frame.get_by_role("button", name="Yes, do it").click()
            frame.get_by_text("3 vans serve").first.wait_for()
        browser.goto(f"/plans/{plan}")
        page.get_by_role("region", name="Changes made").get_by_text("Van 2 does not drive.").wait_for()
        assert "3 vans serve" in page.get_by_role("region", name="The plan").inner_text()
