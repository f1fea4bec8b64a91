"""Three ways in, in Chromium: a model from its ZIP file, rows from collected requests, and personal data that becomes placeholders."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.studio_browser import Browser, RunningStudio, browsing, needed, running_studio
from tests.tried_model import built_once, ticket_rows

from smidgen.store.traffic.records import Exchange
from smidgen.store.traffic.store import opened
from smidgen.studio.flows.models.downloads import zip_bundle

pytestmark = [*needed, pytest.mark.thorough]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    """A Studio on a machine whose gateway has collected requests."""
    home = tmp_path_factory.mktemp("home")
    facts: dict[str, Any] = {"model": "big", "answer_state": "whole", "template": "t", "kind": "t"}
    with opened(f"sqlite:///{home}/traffic.db") as traffic:
        for number, row in enumerate(ticket_rows()[::2]):
            text = f"{row.input}, write to ann{number}@example.org" if number < 12 else row.input
            traffic.add(
                [Exchange(f"r{number}", datetime.now(UTC), "bot", "/v1/chat/completions", text, "upstream", answer=row.output, **facts)]
            )
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SMIDGEN_TRAFFIC_URL", raising=False)
        with running_studio(home) as running:
            yield running


def answers(browser: Browser) -> None:
    """The page Try answers a message with the model that was opened, and Data and Report say where it came from."""
    page = browser.page
    page.get_by_role("textbox", name="Your text").fill("the parcel for my tent is late")
    page.get_by_text("Which words mattered").wait_for()
    assert "delivery" in page.inner_text("main")
    page.get_by_role("link", name="Data").click()
    page.get_by_text("This model came from elsewhere").wait_for()
    page.get_by_role("link", name="Report").first.click()
    page.get_by_text("test rows").first.wait_for()


def test_a_model_is_opened_and_answers(studio: RunningStudio, tmp_path_factory: pytest.TempPathFactory) -> None:
    """From its ZIP file; then from the ZIP file that the Studio makes of it."""
    packed = content = b"".join(zip_bundle(built_once(tmp_path_factory), "tickets"))
    with browsing(studio, refused=True) as browser:
        page = browser.page
        for opened_models in (1, 2):
            browser.goto("/")
            page.get_by_role("button", name="Open a model").click()
            picker = page.get_by_role("dialog").locator("input[type=file]")
            picker.set_input_files({"name": "broken.zip", "mimeType": "application/zip", "buffer": content[:900]})
            page.get_by_role("alert").get_by_text("not a ZIP file").wait_for()
            assert browser.accessibility_faults() == []
            picker.set_input_files({"name": "tickets.zip", "mimeType": "application/zip", "buffer": packed})
            answers(browser)
            with page.expect_download() as download:
                page.get_by_role("link", name="The model").click()
            packed = download.value.path().read_bytes()
            assert len(studio.client.projects()) == opened_models


def test_a_model_is_opened_from_its_folder(studio: RunningStudio, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    """A folder without a model, or with a changed one, is refused in words, and stays as it is."""
    bundle, broken = built_once(tmp_path_factory), tmp_path / "broken"
    shutil.copytree(bundle, broken)
    with (broken / "report.json").open("a", encoding="utf-8") as report:
        report.write(" ")
    before = studio.client.projects(), {file: file.read_bytes() for file in broken.rglob("*") if file.is_file()}
    refused = {
        "models/support": "the path is incomplete",
        "/no/such/folder": "no such folder",
        str(tmp_path): "smidgen.json",
        str(broken): "changed",
    }
    with browsing(studio, refused=True) as browser:
        page = browser.page
        page.get_by_role("button", name="Open a model").click()
        field = page.get_by_label("Or its folder on this machine")
        for path, told in refused.items():
            field.fill(path)
            page.keyboard.press("Enter")
            page.get_by_role("alert").get_by_text(told).first.wait_for()
            browser.shot(f"open-folder-{told[:6]}")
        assert before == (studio.client.projects(), {file: file.read_bytes() for file in broken.rglob("*") if file.is_file()})
        field.fill(str(bundle))
        page.keyboard.press("Enter")
        answers(browser)
    assert len(studio.client.projects()) == len(before[0]) + 1 and len(refused) == 4


def test_collected_requests_become_rows_without_personal_data(studio: RunningStudio) -> None:
    with browsing(studio) as browser:
        page = browser.page
        page.get_by_text("More jobs").click()
        page.get_by_role("button", name="Take load off a large AI model").click()
        page.get_by_role("button", name="Create project").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_text("new rows").wait_for()
        assert browser.accessibility_faults() == []
        dialog.get_by_role("button", name="Add").click()
        page.get_by_role("grid").wait_for()
        project = next(one["id"] for one in studio.client.projects() if one["version"] == 1)
        (look,) = [run for run in studio.client.call("GET", f"projects/{project}/runs") if run["kind"] == "look"]
        studio.client.wait(look["id"], timeout=240)
        browser.goto(f"/projects/{project}/data?view=findings")
        page.get_by_role("button", name="Replace by placeholders").click()
        dialog.get_by_text("[EMAIL_1]").first.wait_for()
        assert browser.accessibility_faults() == []
        before = studio.client.call("GET", f"projects/{project}/labels")
        dialog.get_by_role("button", name="Replace in").click()
        page.get_by_text("Personal data replaced in").wait_for()
        rows = studio.client.call("GET", f"projects/{project}/rows", search="@example.org")
        assert rows["total"] == 0 and studio.client.call("GET", f"projects/{project}/labels") == before
        page.get_by_role("button", name="Undo", exact=True).click()
        page.get_by_role("button", name="Replace by placeholders").wait_for()
        assert studio.client.call("GET", f"projects/{project}/rows", search="@example.org")["total"] == 12
