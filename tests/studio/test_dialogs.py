"""Every dialog and menu in Chromium: in order at each size, light and dark; opened by a key, the focus stays within and goes back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import shop
from tests.eventually import eventually
from tests.studio_browser import SIZES, Browser, RunningStudio, browsing, needed, running_studio

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
    "presets": ("canvas", [("button", "Presets")]),
}
"""Where each stands, and what is pressed in turn to open it."""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with running_studio(tmp_path_factory.mktemp("home")) as running:
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


@pytest.mark.parametrize("name", PLACES)
def test_it_is_in_order_and_the_focus_comes_back(studio: RunningStudio, project: str, name: str) -> None:
    place, steps = PLACES[name]
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
