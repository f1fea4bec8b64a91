"""A desk at work in Chromium: started on Run, written to by a visitor, read and answered on Conversations, its channels tried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.desk.channels.vendor import vendor
from tests.desk_project import desk_bundle, desk_project
from tests.studio_browser import SIZES, RunningStudio, browsing, needed, running_studio

from smidgen.studio.store.projects import StudioStore

pytestmark = [*needed, pytest.mark.thorough]


@pytest.fixture
def project(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> str:
    """The id of a project with a built desk, in the home of the Studio that follows."""
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    store = StudioStore()
    found = desk_project(store, desk_bundle(tmp_path_factory))
    store.update(found, settings={"recipe": {"name": "shop", "task": "desk", "desk": {"policy": "policy.toml", "tools": "tools.toml"}}})
    store.close()
    return found


@pytest.fixture
def studio(project: str, tmp_path: Path) -> Iterator[RunningStudio]:
    with running_studio(tmp_path / "home") as running:
        yield running


@contextmanager
def visitor(studio: RunningStudio, preview: str) -> Iterator[Any]:
    """The chat's frame, open before a visitor on the desk's preview page, in a browser context of their own."""
    server = "/".join(preview.split("/", 3)[:3])
    with browsing(replace(studio, url=server), link=preview) as browser:
        browser.page.locator("smidgen-desk .launcher").click()
        yield browser.page.frame_locator("smidgen-desk iframe")


def say(frame: Any, text: str) -> None:
    before = frame.locator(".message.desk:not(.typing)").count()
    frame.locator("#input").fill(text)
    frame.locator("#input").press("Enter")
    frame.locator(".message.desk:not(.typing)").nth(before).wait_for()


def test_a_desk_is_served_and_people_answer_its_customers(studio: RunningStudio, project: str) -> None:
    with browsing(studio) as browser:
        page = browser.page
        browser.goto(f"/projects/{project}/run")
        page.get_by_role("button", name="Start", exact=True).click()
        page.get_by_text("Your model is running").wait_for()
        page.get_by_text('data-desk="shop"').first.wait_for()
        preview = page.get_by_role("link", name="See the chat on a page").get_attribute("href")
        with visitor(studio, preview) as frame:
            say(frame, "what are your opening hours")
            say(frame, "please cancel my order FH-20104")
            say(frame, "I want to talk to a real person please")
            page.get_by_text("conversation waits for a person").wait_for()
            browser.shot("desk-run")
            assert browser.faults_of_sizes() == {}

            page.set_viewport_size({"width": SIZES["wide"][0], "height": SIZES["wide"][1]})
            browser.goto(f"/projects/{project}/conversations?status=with_person")
            page.get_by_role("button", name="what are your opening hours").click()
            page.get_by_text("We are open from 9 to 5.").first.wait_for()
            page.get_by_label("Answer as a person").fill("This is Mia. I look into it.")
            page.get_by_role("button", name="Send", exact=True).click()
            frame.get_by_text("This is Mia. I look into it.").wait_for()
            page.get_by_role("button", name="Correct").first.click()
            dialog = page.get_by_role("dialog")
            dialog.get_by_label("Right answer").fill("We are open from 9 to 5, on Saturdays from 10.")
            browser.shot("desk-correct")
            assert browser.accessibility_faults() == []
            dialog.get_by_role("button", name="Keep as a correction").click()
            page.get_by_text("It waits under").wait_for()
            page.get_by_role("button", name="Give back to the desk").click()
            page.get_by_text("The desk answers.", exact=True).wait_for()
            browser.shot("desk-conversation")
            assert browser.faults_of_sizes() == {}
            browser.shot("desk-conversation-narrow-dark")
            page.evaluate("document.documentElement.dataset.theme = 'light'")

            page.set_viewport_size({"width": SIZES["wide"][0], "height": SIZES["wide"][1]})
            browser.goto(f"/projects/{project}/conversations?view=corrections")
            page.get_by_text("Corrected", exact=True).wait_for()
            assert "on Saturdays from 10" in page.get_by_label("Right answer").first.input_value()
            browser.shot("desk-corrections")
            assert browser.faults_of_sizes() == {}
            page.set_viewport_size({"width": SIZES["wide"][0], "height": SIZES["wide"][1]})
            page.get_by_role("button", name="Approve", exact=True).first.click()
            page.get_by_text("Approved", exact=True).click()
            page.get_by_role("button", name="Add to the desk's data").wait_for()

            browser.goto(f"/projects/{project}/try")
            page.get_by_label("Message", exact=True).fill("please cancel my order FH-20104")
            page.get_by_role("button", name="Send", exact=True).click()
            page.get_by_role("log").get_by_role("button", name="Yes", exact=True).click()
            page.get_by_text("This would now be done").wait_for()  # the yes was said once, after what was said before it


def test_channels_are_set_up_and_tried(studio: RunningStudio, project: str) -> None:
    with vendor(lambda asked: (200, {}, {"ok": True, "result": {"username": "fern_bot"}})) as telegram, browsing(studio) as browser:
        page = browser.page
        browser.goto(f"/projects/{project}/channels")
        page.get_by_label("Colour").first.fill("#2f5d46")
        page.get_by_role("button", name="Save").first.click()
        page.get_by_text("Saved.").wait_for()
        page.get_by_role("button", name="Set up: Telegram").click()
        page.get_by_label("Bot token").fill("801:wrong-or-right")
        page.get_by_role("button", name="Make one").click()
        page.get_by_text("More settings").click()
        page.get_by_label("API address").fill(telegram.url)
        form = page.get_by_role("form", name="Telegram")
        form.get_by_role("button", name="Test").click()
        page.get_by_text("it works, as @fern_bot").wait_for()
        assert telegram.asked[0].path == "/bot801:wrong-or-right/getMe"
        page.get_by_role("button", name="Set up: E-mail").click()
        browser.shot("desk-channels")
        assert browser.faults_of_sizes() == {}
        browser.shot("desk-channels-narrow-dark")
        page.evaluate("document.documentElement.dataset.theme = 'light'")
        page.set_viewport_size({"width": SIZES["wide"][0], "height": SIZES["wide"][1]})
        form.get_by_text("Switched on").click()
        form.get_by_role("button", name="Save").click()
        page.get_by_text("on", exact=True).wait_for()
        shown = studio.client.call("GET", f"projects/{project}/channels")
        channel = next(one for one in shown["channels"] if one["kind"] == "telegram")
        assert channel["on"] and "801:wrong" not in str(shown)
        page.get_by_role("button", name="Add a webhook").click()
        page.get_by_label("Name", exact=True).fill("own")
        page.get_by_role("dialog").get_by_label("Address").fill(telegram.url)
        page.get_by_role("dialog").get_by_role("button", name="Save").click()
        page.get_by_text("whsec_").wait_for()
        browser.shot("desk-webhook")
        page.get_by_role("button", name="I have copied it").click()
        page.get_by_role("listitem").filter(has_text="own").get_by_role("button", name="Test").click()
        page.get_by_text("it works.").wait_for()
    with browsing(studio, language="de-DE") as browser:
        browser.goto(f"/projects/{project}/channels")
        browser.page.get_by_role("button", name="Einrichten: WhatsApp").click()
        browser.page.get_by_text("Bei WhatsApp").first.wait_for()
        browser.shot("desk-channels-german")
        assert browser.accessibility_faults() == []
