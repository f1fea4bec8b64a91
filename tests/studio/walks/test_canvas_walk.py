"""The canvas in Chromium: steps added, connected and set by mouse and by keyboard, and the recipe's text always beside it; what is drawn is
built and served from its steps."""

from __future__ import annotations

import tomllib
from typing import Any

import httpx
import pytest
from tests.studio_browser import RunningStudio, browsing, needed
from tests.tried_model import LINEAR, ticket_rows

pytestmark = needed

WRITTEN = """# Our inbox, sorted by what customers want.
name = "inbox"
task = "classify"

[student]
quality = "fast"  # good enough for a start
"""


@pytest.fixture
def project(studio: RunningStudio) -> str:
    found: str = studio.client.call("POST", "projects", {"name": "Inbox", "task": "classify"})["id"]
    studio.client.call("PUT", f"projects/{found}/recipe", {"text": WRITTEN})
    return found


def recipe(studio: RunningStudio, project: str) -> dict[str, Any]:
    found: dict[str, Any] = studio.client.call("GET", f"projects/{project}/recipe")
    return found


def test_a_recipe_is_drawn_and_written_as_one_thing(studio: RunningStudio, project: str) -> None:
    with browsing(studio) as browser:
        page = browser.page
        step = lambda name: page.locator(f".react-flow__node[data-id={name}]")  # noqa: E731
        wire = lambda name: page.locator(f'.react-flow__edge[data-id="{name}"]')  # noqa: E731
        browser.goto(f"/projects/{project}/canvas")
        step("student").wait_for()
        page.get_by_text("Preset: fast").wait_for()
        assert wire("student.model>compress.model").count() == 1 and step("teacher").count() == 0

        # A step dragged from the bar comes with the one that it never is without, and says what it lacks.
        page.get_by_role("group", name="Add a step").get_by_role("button", name="Teacher").drag_to(page.locator(".react-flow__pane"))
        step("teacher").wait_for()
        wire("teacher.labels>student.labels").wait_for(state="attached")
        assert step("redact").count() == 1
        step("teacher").get_by_text("its setting Address is missing").wait_for()
        assert page.get_by_role("button", name="Save").is_disabled()
        page.get_by_label("Address", exact=True).fill("https://llm.example/v1")
        page.get_by_label("Name of the model", exact=True).fill("big")
        page.get_by_text("Not saved yet").wait_for()
        browser.shot("canvas-teacher")

        # A port offers what fits it; a wire that is missing is a mistake at the step, until it is connected again.
        step("gate").locator(".react-flow__handle.target").first.click()
        menu = page.get_by_role("menu")
        menu.get_by_role("menuitem", name="Connect to Your model").wait_for()
        browser.shot("canvas-port")
        offered = [item.strip() for item in menu.get_by_role("menuitem").all_inner_texts()]
        assert offered == ["Disconnect from Shrink", "Connect to Your model"]
        menu.get_by_role("menuitem", name="Disconnect from Shrink").click()
        step("gate").get_by_text("connect it to the step Shrink").wait_for()
        page.get_by_role("button", name="Close").click()
        page.wait_for_timeout(600)  # the drawing moves once more when the panel has gone, and must not move under the pointer
        step("compress").locator(".react-flow__handle.source").drag_to(step("gate").locator(".react-flow__handle-left"))
        wire("compress.model>gate.model").wait_for(state="attached")

        # A chosen wire goes by Delete; undo works after it, though what had the focus is gone.
        wire("compress.model>gate.model").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Delete")
        wire("compress.model>gate.model").wait_for(state="detached")
        page.keyboard.press("Control+z")
        wire("compress.model>gate.model").wait_for(state="attached")

        # Undo and redo, by keyboard.
        step("teacher").focus()
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Teacher").wait_for()
        page.keyboard.press("Delete")
        step("teacher").wait_for(state="detached")
        assert step("redact").count() == 0
        page.keyboard.press("Control+z")
        step("teacher").wait_for()
        wire("teacher.labels>student.labels").wait_for(state="attached")

        # A step stands where it was put, here and after a reload.
        page.wait_for_timeout(600)  # the drawing moves once more when the panel has gone
        before = step("student").bounding_box()
        page.mouse.move(before["x"] + 40, before["y"] + 8)
        page.mouse.down()
        page.mouse.move(before["x"] + 60, before["y"] + 90, steps=6)
        page.mouse.up()
        assert "student" in page.evaluate(f"localStorage.getItem('smidgen.canvas.{project}')")
        page.get_by_role("button", name="Save").click()
        page.get_by_text("Saved", exact=True).wait_for()
        saved = recipe(studio, project)
        assert saved["tree"]["data"]["teacher"] == {"uses": ["label"], "source": "https://llm.example/v1", "model": "big"}
        assert tomllib.loads(saved["text"]) == saved["tree"] and saved["mistakes"] == []
        page.reload()
        page.get_by_role("button", name="Tidy up").wait_for()

        # The text is the same recipe: what is typed there is drawn, and its remarks are kept.
        page.get_by_role("radio", name="Text").or_(page.get_by_role("button", name="Text", exact=True)).first.click()
        text = page.get_by_role("textbox", name="Text")
        assert tomllib.loads(text.input_value()) == saved["tree"]
        text.fill(WRITTEN + "\n[gate]\nmax_loss = 0.02\n")
        page.get_by_text("Not saved yet").wait_for()
        page.get_by_role("button", name="Save").click()
        page.get_by_text("Saved", exact=True).wait_for()
        assert recipe(studio, project)["text"] == WRITTEN + "\n[gate]\nmax_loss = 0.02\n"
        text.fill("name = ")
        page.get_by_role("alert").first.wait_for()
        browser.shot("canvas-broken")
        text.fill(WRITTEN + "\n[gate]\nmax_loss = 7\n")
        page.get_by_text("gate.max_loss").first.wait_for()
        page.get_by_role("radio", name="Drawing").or_(page.get_by_role("button", name="Drawing")).first.click()
        step("gate").get_by_text("less than or equal to 1").wait_for()
        browser.shot("canvas-mistake")
        browser.faults[:] = [fault for fault in browser.faults if "400" not in fault]  # of the text that was no recipe


def test_a_step_is_copied_a_file_dropped_and_the_drawing_built(studio: RunningStudio, project: str) -> None:
    studio.client.call(
        "PUT", f"projects/{project}/recipe", {"tree": {"name": "inbox", "task": "classify", **LINEAR, "gate": {"max_loss": 0.2}}}
    )
    with browsing(studio) as browser:
        page = browser.page
        step = lambda name: page.locator(f".react-flow__node[data-id={name}]")  # noqa: E731
        browser.goto(f"/projects/{project}/canvas")
        step("data").get_by_text("Drop a file here").wait_for()
        content = "\n".join(["text,label", *(f"{row.input},{row.output}" for row in ticket_rows())])
        browser.drop(".react-flow__node[data-id=data] strong", "tickets.csv", content)
        page.get_by_role("button", name="Add these rows").click()
        step("data").get_by_text("432 rows").wait_for()

        # Copied from the drawing, and pasted into an empty one.
        step("gate").focus()
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Conditions").wait_for()
        step("gate").focus()
        page.keyboard.press("Control+c")
        page.get_by_text("Copied: Conditions").wait_for()
        page.get_by_role("button", name="Templates").click()
        page.get_by_role("menuitem", name="Empty").click()
        step("gate").get_by_text("as usual").wait_for()
        step("gate").focus()
        page.keyboard.press("Control+v")
        step("gate").get_by_text("0.2").wait_for()
        page.keyboard.press("Control+z")
        step("gate").get_by_text("as usual").wait_for()
        page.keyboard.press("Control+z")

        # What is drawn is saved and built, and the steps tell how far it is, and what came of it.
        step("student").get_by_text("Word counter").wait_for()
        page.get_by_role("button", name="Build this").first.click()
        page.get_by_role("button", name="Building").first.wait_for()
        page.locator(".react-flow__node [role=progressbar]").first.wait_for()
        step("gate").get_by_text("Right answers: 100.0%").wait_for()
        step("split").get_by_text("to test on").wait_for()
        browser.shot("canvas-built")
    (run,) = [run for run in studio.client.call("GET", f"projects/{project}/runs") if run["kind"] == "build"]
    assert run["state"] == "done" and run["request"] == {"recipe": {}} and recipe(studio, project)["tree"]["gate"] == {"max_loss": 0.2}


def test_the_drawing_is_what_is_served(studio: RunningStudio, model: tuple[str, str]) -> None:
    project, built = model
    with browsing(studio) as browser:
        page = browser.page
        step = lambda name: page.locator(f".react-flow__node[data-id={name}]")  # noqa: E731
        browser.goto(f"/projects/{project}/canvas")
        step("unsure").get_by_text("Sure of").wait_for()
        step("page").get_by_text("Runs with the API").wait_for()

        # The API starts from its step, which shows where it is and what came.
        step("serve").get_by_role("button", name="Start the model").click()
        step("serve").get_by_text("Running, no requests today").wait_for()
        serving = studio.client.call("GET", f"projects/{project}/serving")
        step("serve").get_by_text(serving["url"].removeprefix("http://")).wait_for()
        asked = {"model": serving["name"], "messages": [{"role": "user", "content": "the parcel for my shoes is late"}]}
        assert httpx.post(f"{serving['url']}/v1/chat/completions", json=asked, trust_env=False, timeout=30).status_code == 200
        assert step("page").get_by_role("link").get_attribute("href") == f"{serving['url']}/"
        assert "<form" in httpx.get(f"{serving['url']}/", trust_env=False, timeout=30).text

        # The condition sets the one operating point, and says what happens to the rest.
        step("unsure").click()
        page.get_by_role("heading", name="Is it sure?").wait_for()
        page.get_by_text("marks these answers as unsure").wait_for()
        page.get_by_role("slider").press("Home")
        page.get_by_role("button", name="Use this setting").click()
        page.get_by_text("In use for this project").wait_for()
        point = studio.client.call("GET", f"projects/{project}/models/{built}/operating-point")
        assert point["chosen_by"] == "user"
        page.get_by_role("button", name="Large model").first.click()
        page.get_by_label("Address", exact=True).fill("https://llm.example/v1")
        page.get_by_label("Name of the model", exact=True).fill("big")
        step("unsure").click()
        page.get_by_role("radio", name="Never").check()
        step("unsure").get_by_text("Answers nothing itself").wait_for()
        page.get_by_role("radio", name="Measured").check()
        step("unsure").get_by_text("wrong").wait_for()
        browser.shot("canvas-unsure")
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_text("Saved", exact=True).wait_for()

        # The neighbours of the step that is open stay in sight. What is saved starts with the next press.
        step("serve").click()
        page.get_by_text("follows the canvas after a restart").wait_for()
        page.get_by_role("button", name="Restart").click()
        page.get_by_text("follows the canvas after a restart").wait_for(state="hidden")
        step("serve").get_by_text("today").wait_for()
    served = studio.client.call("GET", f"projects/{project}/serving")
    assert (served["state"], served["redrawn"], served["settings"]["fallback_model"]) == ("running", False, "big")


def test_models_are_tried_side_by_side(studio: RunningStudio, project: str) -> None:
    with browsing(studio) as browser:
        page = browser.page
        browser.goto(f"/projects/{project}/canvas?step=student")
        group = page.get_by_role("group", name="Models to try side by side")
        for name in ("encoder", "kernel"):
            group.get_by_label(f"({name})").check()
        tried = page.locator(".react-flow__node-tried")
        tried.nth(1).wait_for()
        assert [text.split("\n")[-1] for text in tried.all_inner_texts()] == ["Tried in the next build"] * 2
        tried.first.focus()
        page.keyboard.press("Enter")
        page.get_by_text("The next build trains this model beside the others").wait_for()
        browser.shot("canvas-side-by-side")
        page.get_by_role("button", name="Save", exact=True).click()
        page.get_by_text("Saved", exact=True).wait_for()
    assert recipe(studio, project)["tree"]["student"] == {"quality": "fast", "among": ["encoder", "kernel"]}


def test_a_narrow_screen_has_the_steps_as_a_list(studio: RunningStudio, project: str) -> None:
    with browsing(studio, "narrow") as browser:
        page = browser.page
        browser.goto(f"/projects/{project}/canvas")
        page.get_by_role("button", name="Data Drop a file here").or_(page.get_by_role("button", name="Drop a file here")).first.wait_for()
        page.get_by_role("button", name="API").get_by_text("Build a model first").wait_for()
        page.get_by_role("button", name="Conditions").click()
        page.get_by_label("Largest loss by shrinking").fill("0.03")
        page.get_by_text("Not saved yet").wait_for()
        browser.shot("canvas-narrow")
        page.get_by_role("button", name="Save").click()
        page.get_by_text("Saved", exact=True).wait_for()
        assert browser.overflow() <= 0
    assert recipe(studio, project)["tree"]["gate"] == {"max_loss": 0.03}
