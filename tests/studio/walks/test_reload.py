"""Work that goes on while its page is closed, loaded again, or opened in a second tab, in Chromium: it is shown as far as it has come."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.eventually import eventually
from tests.flower_orders import as_csv, orders
from tests.studio_browser import Browser, RunningStudio, browsing, needed
from tests.tried_model import ticket_rows

from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.runs import RunStore

pytestmark = [*needed, pytest.mark.thorough]
SLOW = {"student": {"kind": "lexical", "baseline": "none"}, "train": {"epochs": 200}}
ENOUGH = 4
"""Figures of a curve after which a build is held still."""


@contextmanager
def held(run: str) -> Iterator[None]:
    """Hold a run's process still, as a busy machine does, so that the page shows one state for as long as it is looked at."""
    store = StudioStore()
    runs = RunStore(store.database)
    eventually(lambda: runs.get(run).process)
    os.killpg(runs.get(run).process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(runs.get(run).process, signal.SIGCONT)
        store.close()


def newest(studio: RunningStudio, project: str, kind: str) -> str:
    """The id of the newest run of a kind, when there is one."""

    def found() -> list[str]:
        return [run["id"] for run in studio.client.call("GET", f"projects/{project}/runs") if run["kind"] == kind]

    eventually(found)
    return found()[0]


def shown(page: Any) -> tuple[str, str | None, str]:
    """The step, its percent and its curve, once all are there."""
    page.locator("figure figcaption").first.wait_for()
    page.get_by_text("left in this step").wait_for()
    step, bar = page.get_by_text("Step ").first.inner_text(), page.get_by_role("progressbar").first
    return step.partition(":")[0], bar.get_attribute("aria-valuenow"), page.locator("figure").first.inner_text()


def test_a_build(studio: RunningStudio, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text(as_csv(orders(400)), encoding="utf-8")
    project = str(studio.client.create_project("Orders", "extract")["id"])
    studio.client.add_file(project, file, input="message", label="customer,flower,amount,day")
    with browsing(studio) as browser:
        page = browser.page
        run = studio.client.start(project, "build", {"recipe": SLOW})["id"]
        told = 0
        for event in studio.client.events(run):
            told += "loss" in event.get("facts", {})
            if told >= ENOUGH:
                break
        with held(run):
            browser.goto(f"/projects/{project}/build")
            before = shown(page)
            assert before[1] is not None
            page.reload()
            assert shown(page) == before
            other = page.context.new_page()
            page.close()
            other.goto(f"{studio.url}/projects/{project}/build")
            assert shown(other) == before
            browser.shot("reload-build")
        eventually(lambda: other.get_by_text("Builds so far").count() or shown(other)[1:] != before[1:])
        other.get_by_text("Builds so far").wait_for(timeout=240_000)  # without a click
    assert studio.client.wait(run, timeout=240)["state"] == "done"


def test_a_certificate(studio: RunningStudio, model: tuple[str, str], tmp_path: Path) -> None:
    project, _ = model
    file = tmp_path / "later.csv"
    file.write_text("\n".join(["text,label", *(f"please: {row.input},{row.output}" for row in ticket_rows()[::2])]), encoding="utf-8")
    studio.client.add_file(project, file, input="text", label="label", part="test")
    with browsing(studio) as browser:
        page = browser.page
        browser.goto(f"/projects/{project}/run")
        page.get_by_role("button", name="Test it").click()
        with held(newest(studio, project, "certify")):
            page.get_by_text("The model answers the test rows").wait_for()
            page.reload()
            page.get_by_role("progressbar", name="The model answers the test rows").wait_for()
            assert page.get_by_role("button", name="Test it").count() == 0, "it is not asked for twice"
            other = page.context.new_page()
            other.goto(page.url)
            other.get_by_role("progressbar", name="The model answers the test rows").wait_for()
        for tab in (page, other):  # without a click
            tab.get_by_text("At most 5% of what it answers itself is wrong").wait_for()
            tab.get_by_role("progressbar").wait_for(state="detached")


def drop(browser: Browser, rows: int) -> None:
    content = "\n".join(["text,label", *(f"{row.input} {number},{row.output}" for row in ticket_rows() for number in range(rows))])
    browser.drop("main [role=group]", "tickets.csv", content)


def test_rows_that_are_added(studio: RunningStudio) -> None:
    project = str(studio.client.create_project("Tickets", "classify")["id"])
    with browsing(studio) as browser:
        page = browser.page
        browser.goto(f"/projects/{project}/data")
        page.get_by_text("Drop your examples here").wait_for()
        drop(browser, 40)
        page.reload()  # while the file is sent or read
        page.get_by_text("Drop your examples here").wait_for()
        assert studio.client.call("GET", f"projects/{project}/data")["rows"] == 0
        drop(browser, 4)
        with page.expect_request("**/imports") as asked:
            page.get_by_role("button", name="Add these rows").click()
        assert asked.value.method == "POST"
        page.reload()  # while the rows are added
        page.get_by_role("grid").or_(page.get_by_text("Drop your examples here")).wait_for()
        rows = studio.client.call("GET", f"projects/{project}/data")["rows"]
        assert rows == (4 * len(ticket_rows()) if page.get_by_role("grid").count() else 0), "all of them, or none and it says so"
        if rows == 0:
            drop(browser, 4)
            page.get_by_role("button", name="Add these rows").click()
            page.get_by_role("grid").wait_for()
        with held(newest(studio, project, "look")):
            looking = page.get_by_role("status").get_by_role("progressbar")
            looking.wait_for()
            said = looking.get_attribute("aria-label")
            page.reload()
            page.get_by_role("grid").wait_for()
            looking.wait_for()
            assert looking.get_attribute("aria-label") == said
            other = page.context.new_page()
            other.goto(page.url)
            other.get_by_role("status").get_by_role("progressbar").wait_for()
        for tab in (page, other):  # without a click
            tab.get_by_role("status").get_by_role("progressbar").wait_for(state="detached")
            tab.get_by_text("of these by myself").first.wait_for()
