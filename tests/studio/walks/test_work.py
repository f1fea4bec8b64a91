"""Work on a project in Chromium: label by keys, ask the model, put it right; and a Studio that is killed in mid-build."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.studio_browser import RunningStudio, browsing, needed, running_studio
from tests.tried_model import LINEAR, ticket_rows

pytestmark = needed


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def studio(home: Path) -> Iterator[RunningStudio]:
    with running_studio(home) as running:
        yield running


def add(studio: RunningStudio, folder: Path, unlabelled: int = 0) -> str:
    """A project of tickets, the first of them without an answer."""
    file = folder / "tickets.csv"
    rows = [f"{row.input},{'' if number < unlabelled else row.output}" for number, row in enumerate(ticket_rows())]
    file.write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    project = str(studio.client.create_project("Tickets", "classify")["id"])
    studio.client.add_file(project, file, input="text", label="label")
    return project


def test_rows_are_labelled_by_keys_alone(studio: RunningStudio, tmp_path: Path) -> None:
    """Fifty rows, the page loaded again in the middle, some answers taken back: each row has the answer that was given to it last."""
    project = add(studio, tmp_path, unlabelled=60)
    before = studio.client.call("GET", f"projects/{project}/data")
    assert before["unlabelled"] == 60
    given: dict[str, str] = {}
    with browsing(studio) as browser:
        page = browser.page
        browser.goto(f"/projects/{project}/data")
        page.get_by_text("3 different answers").wait_for()  # to have none is not one of them
        browser.goto(f"/projects/{project}/label")
        page.get_by_role("heading", level=1, name="Label rows").wait_for()
        page.get_by_text("60 to go").wait_for()
        buttons = page.get_by_role("list", name="Answers").get_by_role("button")
        labels = {
            button.locator("kbd").inner_text(): button.inner_text().splitlines()[1] for button in buttons.all()
        }  # a suggestion may stand below
        row = page.locator("[aria-live=polite] > p").first

        def press(key: str, done: int) -> None:
            given[row.inner_text()] = labels[key]
            page.keyboard.press(key)
            page.get_by_text(f"{done} answered now").wait_for()

        for done in range(1, 31):
            press(str(1 + done % 3), done)
        for done in (29, 28, 27):
            page.keyboard.press("ArrowLeft")
            page.get_by_text(f"{done} answered now").wait_for()
            del given[row.inner_text()]
        taken_back = row.inner_text()
        page.reload()  # at once: what is not saved yet is kept
        page.get_by_text("33 to go").wait_for()
        for done, key in enumerate(["1", "2"] * 11 + ["3"], start=1):
            press(key, done)
        page.get_by_text("All answers are saved").wait_for()
    after = studio.client.call("GET", f"projects/{project}/data")
    rows = studio.client.call("GET", f"projects/{project}/rows", limit=100)["rows"]
    told = {entry["input"]: entry["output"] for entry in rows[:60]}
    assert {text: answer for text, answer in told.items() if answer} == given and len(given) == 50 and taken_back in told
    assert after["unlabelled"] == 10
    assert after["version"] - before["version"] <= 15, "not a version for each row"
    begun = studio.client.call("POST", f"projects/{project}/versions/{before['version']}/restore")
    assert studio.client.call("GET", f"projects/{project}/data")["unlabelled"] == 60 and begun["action"] == "restore"
    for way, left in (("undo", 10), ("redo", 60), ("undo", 10)):
        studio.client.call("POST", f"projects/{project}/{way}")
        assert studio.client.call("GET", f"projects/{project}/data")["unlabelled"] == left
    assert studio.client.call("GET", f"projects/{project}/rows", limit=100)["rows"] == rows


def test_a_message_is_answered_and_put_right(studio: RunningStudio, tmp_path: Path) -> None:
    project = add(studio, tmp_path)
    studio.client.build(project, LINEAR, timeout=300)
    with browsing(studio) as browser:
        page = browser.page
        browser.goto(f"/projects/{project}/try")
        page.get_by_role("textbox", name="Your text").fill("the parcel for my tent is late")
        page.get_by_text("Which words mattered").wait_for()
        assert "delivery" in page.inner_text("main")
        browser.shot("try-answered")
        assert browser.accessibility_faults() == []
        rows = studio.client.call("GET", f"projects/{project}/data")["rows"]
        page.get_by_role("textbox", name="Your text").fill("my sofa of money came with a courier")
        page.get_by_label("Which words mattered").get_by_text("sofa").first.wait_for()  # the answer is that of the new text
        page.get_by_role("group", name="Is this wrong?").get_by_role("button", name="account").click()
        page.get_by_text("Added to the data").wait_for()
        assert studio.client.call("GET", f"projects/{project}/data")["rows"] == rows + 1
        page.get_by_text("A list or a file").click()
        page.get_by_role("textbox", name="Paste a list").fill("the parcel for my tent is late\nqzx")
        page.get_by_role("button", name="2 texts").click()
        passed = page.get_by_role("row").filter(has_text="passed on")
        passed.wait_for()
        assert "qzx" in passed.inner_text()
        browser.goto(f"/projects/{project}/costs")
        page.get_by_text("Saved in a month").first.wait_for()
        said = page.inner_text("main")
        assert "next to nothing" in said and "Your machine: there anyway" in said and "Measured on 64 test rows" in said


def test_a_build_goes_on_when_the_studio_is_killed(home: Path, tmp_path: Path) -> None:
    with running_studio(tmp_path) as first:
        project = add(first, tmp_path)
        run = first.client.start(project, "build", {"recipe": {"student": {"kind": "linear"}}})["id"]
        events = first.client.events(run)
        assert next(events)["kind"] == "begin" and next(events)["kind"] == "step"
        first.process.send(signal.SIGKILL)
    with running_studio(tmp_path) as second, browsing(second) as browser:
        browser.goto(f"/projects/{project}/build")
        browser.page.get_by_text("Builds so far").wait_for(timeout=120_000)
        assert second.client.wait(run, timeout=120)["state"] == "done"
