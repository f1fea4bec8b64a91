"""Every dialog and menu in Chromium: in order at each size, light and dark; opened by a key, the focus stays within and goes back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import shop
from tests.eventually import eventually
from tests.line_versions import line_of
from tests.studio_browser import SIZES, Browser, RunningStudio, browsing, needed, running_studio
from tests.tried_model import built_once, ticket_rows, with_model

from smidgen.store.traffic.records import Exchange
from smidgen.store.traffic.store import opened
from smidgen.studio.flows.serving.servers import line_folder, traffic_url
from smidgen.studio.store.data_rows import DataRow
from smidgen.studio.store.projects import StudioStore

pytestmark = [*needed, pytest.mark.thorough]
LINEAR = {"student": {"kind": "linear", "baseline": "none"}}
Step = tuple[str, str | re.Pattern[str]]
PLACES: dict[str, tuple[str, list[Step]]] = {
    "new project": ("/", [("button", "Sort messages")]),
    "open a model": ("/", [("button", "Open a model")]),
    "of a project": ("/", [("button", "More actions")]),
    "delete a project": ("/", [("button", "More actions"), ("menuitem", "Delete")]),
    "person": ("/", [("button", re.compile("^owner, "))]),
    "new account": ("/accounts", [("button", "Add an account")]),
    "paste": ("data", [("button", "Paste rows")]),
    "traffic": ("data", [("button", "Take collected requests")]),
    "history": ("data", [("button", "History")]),
    "changes": ("data", [("button", "History"), ("button", "What changed")]),
    "steps": ("build", [("button", "Steps")]),
    "rename": ("build", [("button", re.compile("^Rename "))]),
    "mistakes": ("report", [("button", re.compile("^Read all"))]),
    "new key": ("run", [("button", "New key")]),
    "revoke a key": ("run", [("button", "Revoke")]),
    "presets": ("canvas", [("button", "Templates")]),
}
"""Where each stands, and what is pressed in turn to open it."""
AT_WORK: dict[str, tuple[str, list[Step]]] = {
    "of an account": ("/accounts", [("button", "More actions")]),
    "change a role": ("/accounts", [("button", "More actions"), ("menuitem", "Change")]),
    "delete an account": ("/accounts", [("button", "More actions"), ("menuitem", "Delete")]),
    "replace personal data": ("data?view=findings", [("button", "Replace by placeholders")]),
    "roll back": ("learn", [("button", "Go back to this")]),
    "build this one": ("learn", [("button", "Build this one")]),
    "a request": ("run?show=all", [("button", re.compile("^message 1"))]),
    "revoke a certificate": ("run", [("button", "Revoke certificate")]),
}
"""Those of a project whose model has been at work."""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMIDGEN_HOME", str(home := tmp_path_factory.mktemp("home")))
        with running_studio(home) as running:
            yield running


@pytest.fixture(scope="module")
def project(studio: RunningStudio, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A project with a change of its data, a model that errs, and a key."""
    file: Path = tmp_path_factory.mktemp("data") / "tickets.csv"
    rows = [f'"{text.replace(chr(34), chr(39))}",{label}' for text, label in shop("support_train")[:500]]
    file.write_text("\n".join(["message,kind", *rows]), encoding="utf-8")
    made = str(studio.client.create_project("Tickets", "classify")["id"])
    studio.client.add_file(made, file, input="message", label="kind")
    studio.client.call("POST", f"projects/{made}/edits", {"edit": {"kind": "drop", "keys": [7]}})
    studio.client.call("POST", f"projects/{made}/serving/keys", {"name": "shop"})
    studio.client.build(made, LINEAR, timeout=300)
    return made


@pytest.fixture(scope="module")
def at_work(studio: RunningStudio, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A project whose model has a certificate, a line of two versions, and captured requests with a recurring job; and a second account."""
    store = StudioStore()
    made, model = with_model(store, built_once(tmp_path_factory))
    store.rows(made).add([DataRow(f"write to ann{number}@example.org", output="account") for number in range(3)], "ann", "import", {})
    later = [DataRow(f"please: {row.input}", output=row.output, part="test") for row in ticket_rows()[::2]]
    store.rows(made).add(later, "ann", "import", {})
    store.close()
    line_of(line_folder(made), 2)
    facts: dict[str, Any] = {"model": "big", "answer_state": "whole", "template": "t", "kind": "t", "system": "sort", "held_out": False}
    with opened(traffic_url(made)) as traffic:
        for number in range(40):
            more = {**facts, "answer": f"team {number % 2}"}
            traffic.add([Exchange(f"r{number}", datetime.now(UTC), "big", "/v1/chat/completions", f"message {number}", "upstream", **more)])
    for kind, request in {"jobs": {}, "look": {}, "certify": {"model": model, "alpha": 0.05, "delta": 0.05}}.items():
        studio.client.wait(studio.client.start(made, kind, request)["id"], timeout=240)
    studio.client.call("PUT", "accounts/olga", {"role": "owner", "password": "correct horse battery"})
    return made


def find(page: Any, step: Step) -> Any:
    role, name = step
    return page.get_by_role(role, name=name).first


def open_by_key(browser: Browser, steps: list[Step]) -> Any:
    """Press Enter on each in turn; the dialog or menu that is open in the end."""
    for step in steps:
        found = find(browser.page, step)
        found.wait_for()
        found.focus()
        browser.page.keyboard.press("Enter")
    opened = browser.page.locator("[role=dialog], [role=menu]").last
    opened.wait_for()
    browser.page.wait_for_load_state("networkidle")
    return opened


@pytest.mark.parametrize("name", [*PLACES, *AT_WORK])
def test_it_is_in_order_and_the_focus_comes_back(studio: RunningStudio, name: str, request: pytest.FixtureRequest) -> None:
    place, steps = (PLACES | AT_WORK)[name]
    project: str = request.getfixturevalue("project" if name in PLACES else "at_work")
    with browsing(studio) as browser:
        page = browser.page
        browser.goto(place if place.startswith("/") else f"/projects/{project}/{place}")
        opened = open_by_key(browser, steps)
        browser.shot(f"dialog-{name}")
        assert browser.faults_of_sizes() == {}
        page.set_viewport_size({"width": SIZES["wide"][0], "height": SIZES["wide"][1]})
        within = 0
        for _ in range(30):
            assert opened.evaluate("(it) => it.contains(document.activeElement)"), "the focus left it"
            page.keyboard.press("Tab")
            within += 1
        page.keyboard.press("Escape")
        opened.wait_for(state="detached")
        begun = find(page, steps[0])
        eventually(lambda: begun.evaluate("(it) => it === document.activeElement"), seconds=10)  # the focus goes back to where it was
        assert within == 30


def test_a_file_to_add_is_shown_in_order(studio: RunningStudio, project: str) -> None:
    with browsing(studio) as browser:
        browser.goto(f"/projects/{project}/data")
        browser.page.get_by_role("grid").wait_for()
        content = "message,kind\nwhere is my parcel,delivery/late\nit came broken,damage/arrived_broken\n"
        browser.page.locator("input[type=file]").first.set_input_files(
            {"name": "more.csv", "mimeType": "text/csv", "buffer": content.encode()}
        )
        browser.page.get_by_role("dialog").get_by_role("button", name="Add these rows").wait_for()
        assert browser.faults_of_sizes() == {}


def test_a_key_that_was_made_and_a_version_that_is_restored_keep_the_focus(studio: RunningStudio, project: str) -> None:
    with browsing(studio) as browser:
        page = browser.page
        browser.goto(f"/projects/{project}/run")
        dialog = open_by_key(browser, [("button", "New key")])
        page.keyboard.type("till")
        page.keyboard.press("Enter")
        dialog.locator("code").wait_for()
        assert dialog.evaluate("(it) => it.contains(document.activeElement)") and browser.faults_of_sizes() == {}
        page.keyboard.press("Escape")
        dialog.wait_for(state="detached")
        begun = find(page, ("button", "New key"))
        eventually(lambda: begun.evaluate("(it) => it === document.activeElement"), seconds=10)

        browser.goto(f"/projects/{project}/data")
        dialog = open_by_key(browser, [("button", "History")])
        versions = dialog.get_by_role("listitem").count()
        dialog.get_by_role("button", name="Restore").last.focus()
        page.keyboard.press("Enter")
        eventually(lambda: dialog.get_by_role("listitem").count() == versions + 1, seconds=30)
        assert dialog.evaluate("(it) => it.contains(document.activeElement)"), "the focus left it"
        page.keyboard.press("Escape")
        dialog.wait_for(state="detached")
        begun = find(page, ("button", "History"))
        eventually(lambda: begun.evaluate("(it) => it === document.activeElement"), seconds=10)
