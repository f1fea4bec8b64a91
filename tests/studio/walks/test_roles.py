"""Two roles in Chromium: an owner lets in a viewer and a builder, and each finds what their role allows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.studio_browser import RunningStudio, browsing, needed, studio_with_accounts
from tests.tried_model import built_once, with_model

from smidgen.client import StudioClient, StudioRefusal
from smidgen.studio.api.access import StudioAccess
from smidgen.studio.store.projects import StudioStore

pytestmark = needed
PASSWORD = "correct horse battery"
PAGES = ("data", "label", "build", "report", "try", "run", "learn", "costs", "canvas")
LOCKED = {
    "": ("Sort messages", "Open the sample project", "Open a model", "A shop's inbox"),
    "data": ("Add a file", "Paste rows", "Take collected requests", "Look at the data"),
    "build": ("Build a model",),
    "run": ("Start",),
}
"""Buttons of each page that change something."""
Refused = list[tuple[str, str, dict[str, Any]]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with an owner's account, and a project with a model."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMIDGEN_HOME", str(folder))
        store = StudioStore()
        StudioAccess(store, accounts_needed=True).save_account("olga", "owner", PASSWORD)
        with_model(store, built_once(tmp_path_factory))
        store.close()
        yield folder


@pytest.fixture(scope="module")
def studio(home: Path) -> Iterator[RunningStudio]:
    with studio_with_accounts(home, "olga", PASSWORD) as running:
        yield running


def log_in(page: Any, name: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", level=1, name="Your projects").wait_for()


def add_account(page: Any, name: str, role: str) -> None:
    page.get_by_role("button", name="Add an account").click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Role").select_option(label=role)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Save").click()
    page.get_by_role("listitem").filter(has_text=name).get_by_text(role, exact=True).wait_for()


def is_refused(studio: RunningStudio, name: str, calls: Refused) -> None:
    seen = 0
    with StudioClient(studio.url, name, PASSWORD) as client:
        for method, path, body in calls:
            with pytest.raises(StudioRefusal, match="does not allow this") as refused:
                client.call(method, path, body)
            assert refused.value.status == 403
            seen += 1
    assert seen == len(calls) > 2


def test_each_role_finds_what_it_may_do(studio: RunningStudio) -> None:
    (project,) = studio.client.projects()
    place = f"projects/{project['id']}"
    with browsing(studio, link=studio.url) as browser:
        browser.page.get_by_label("Password").wait_for()
        assert browser.accessibility_faults() == []
        log_in(browser.page, "olga")
        browser.goto("/accounts")
        add_account(browser.page, "vera", "Viewer")
        add_account(browser.page, "ben", "Builder")
    owned: Refused = [
        ("PUT", "accounts/eve", {"role": "owner", "password": PASSWORD}),
        ("POST", f"{place}/serving/start", {"settings": {}}),
    ]

    with browsing(studio, link=studio.url) as browser:
        page, sent = browser.page, list[str]()
        log_in(page, "vera")
        page.on("request", lambda asked: sent.append(f"{asked.method} {asked.url}") if asked.method != "GET" else None)
        told = 0
        for name in ("", *PAGES):
            browser.goto(f"/{place}/{name}" if name else "/")
            page.get_by_role("heading", level=1).first.wait_for()
            page.get_by_text("You may look at everything here, and change nothing").wait_for()
            page.wait_for_load_state("networkidle")
            for button in LOCKED.get(name, ()):
                assert page.get_by_role("button", name=button, exact=name != "").first.is_disabled(), button
            told += 1
        browser.goto(f"/{place}/try")
        page.get_by_role("textbox", name="Your text").fill("the parcel for my tent is late")
        page.get_by_text("Which words mattered").wait_for()
        assert told == 1 + len(PAGES) and browser.accessibility_faults() == []
        changed = [one for one in sent if not one.endswith(("/answer", "/large", "/attribution", "/stream"))]
        assert changed == [], "looking sends nothing that changes something"
        browser.goto("/accounts")
        page.get_by_text("Only an owner can see the accounts").wait_for()
    edit = {"edit": {"kind": "drop", "keys": [1]}}
    is_refused(studio, "vera", [*owned, ("POST", f"{place}/edits", edit), ("POST", f"{place}/runs", {"kind": "build", "request": {}})])

    with browsing(studio, link=studio.url) as browser:
        page = browser.page
        log_in(page, "ben")
        browser.goto(f"/{place}/build")
        page.get_by_role("button", name="Build a model").click()
        stop = page.get_by_role("button", name="Cancel").or_(page.get_by_role("button", name="Stop"))
        stop.first.click()
        page.get_by_role("table").get_by_text("stopped", exact=True).wait_for()
        assert page.get_by_text("You may look at everything here").count() == 0
        browser.goto(f"/{place}/run")
        page.get_by_text("Only an owner may do this").first.wait_for()
        assert page.get_by_role("button", name="Start", exact=True).is_disabled()
        browser.goto("/accounts")
        page.get_by_text("Only an owner can see the accounts").wait_for()
        assert page.get_by_role("button", name="Add an account").is_disabled()
    is_refused(studio, "ben", [*owned, ("DELETE", place, {})])
    assert {account["name"] for account in studio.client.call("GET", "accounts")} == {"olga", "vera", "ben"}
