"""A desk's files in Chromium: a tool is added, its call is looked at and run, the policy is changed, a conversation is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.shop_project import shop_project
from tests.studio_browser import RunningStudio, browsing, needed, running_studio

from smidgen.studio.store.projects import StudioStore

pytestmark = [*needed, pytest.mark.thorough]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMIDGEN_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def project(home: Path) -> str:
    store = StudioStore()
    made = shop_project(store).id
    store.close()
    return made


@pytest.fixture(scope="module")
def studio(home: Path, project: str) -> Iterator[RunningStudio]:
    with running_studio(home) as running:
        yield running


def pictures(browser: Any, name: str) -> None:
    """Pictures of the page at each size, light and dark, where they are asked for; and its faults."""
    assert browser.faults_of_sizes() == {}
    for size, (width, height) in {"wide": (1280, 900), "narrow": (390, 844)}.items():
        browser.page.set_viewport_size({"width": width, "height": height})
        for theme in ("light", "dark"):
            browser.page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
            browser.shot(f"{name}-{size}-{theme}")
    browser.page.set_viewport_size({"width": 1280, "height": 900})
    browser.page.evaluate("document.documentElement.dataset.theme = 'light'")


def test_a_tool_is_added_looked_at_and_run_once(studio: RunningStudio, project: str) -> None:
    with browsing(studio, refused=True) as browser:
        page = browser.page
        browser.goto(f"/projects/{project}/tools")
        page.get_by_role("article", name="cancel_order").get_by_text("Changes something").wait_for()
        pictures(browser, "tools")
        page.get_by_role("button", name="Choose", exact=True).click()
        page.get_by_role("button", name="Make a database of them").click()
        page.get_by_text("sqlite:///database.sqlite3").wait_for()
        page.get_by_role("button", name="Add a tool").click()
        form = page.get_by_role("dialog")
        form.get_by_label("Short name").first.fill("Price")
        form.get_by_label("On the consent card (English)").fill("Look up the price of {product}")
        form.get_by_label("Query", exact=True).fill("DELETE FROM products")
        form.get_by_role("button", name="Save").click()
        form.get_by_text("has lower-case letters, digits and underscores").wait_for()
        form.get_by_text("only a SELECT is allowed").wait_for()
        browser.shot("tool-form-wrong")
        form.get_by_label("Short name").first.fill("price")
        form.get_by_text("The tool has mistakes").wait_for(state="hidden")
        form.get_by_label("What it does, in a sentence").fill("Say what a product costs")
        form.get_by_label("Query", exact=True).fill(
            "SELECT name, price_gbp FROM products WHERE instr(lower(name), lower(:product)) > 0 LIMIT 2"
        )
        form.get_by_role("button", name="Add an argument").click()
        form.get_by_label("Short name").nth(1).fill("product")
        form.get_by_label("Name for customers (English)").fill("product")
        form.get_by_role("button", name="Add an example").click()
        form.get_by_role("group", name="Example 1").get_by_label("Message").fill("what is the pedlar cushion")
        form.get_by_role("group", name="Example 1").get_by_label("product").fill("pedlar cushion")
        browser.shot("tool-form")
        form.get_by_role("button", name="Save").click()
        form.wait_for(state="hidden")
        page.get_by_role("article", name="price").get_by_role("button", name="Look at a call").click()
        page.get_by_label("product", exact=True).fill("Cushion")
        page.get_by_role("button", name="Show the call").click()
        page.get_by_text("lower('Cushion')").wait_for()
        page.get_by_role("button", name="Run it once").click()
        page.get_by_role("dialog").get_by_role("button", name="Run it once").click()
        page.get_by_text('price_gbp":').first.wait_for()
        browser.shot("tool-run")
        page.get_by_role("button", name="Add a secret").click()
        page.get_by_label("Variable").fill("SHOP_KEY")
        page.get_by_label("Value").fill("very-secret")
        page.get_by_role("button", name="Save").click()
        page.get_by_role("listitem").filter(has_text="SHOP_KEY").get_by_text("set", exact=True).wait_for()
        assert "very-secret" not in page.content()
    with browsing(studio, "narrow", language="de-DE") as browser:
        browser.goto(f"/projects/{project}/tools")
        browser.page.get_by_role("button", name="Werkzeug hinzufügen").wait_for()
        browser.shot("tools-german")
        assert browser.overflow() == 0


def test_the_policy_is_changed_as_form_and_text(studio: RunningStudio, project: str) -> None:
    with browsing(studio) as browser:
        page = browser.page
        browser.goto(f"/projects/{project}/policy")
        page.get_by_label("Kind of message 1", exact=True).wait_for()
        pictures(browser, "policy")
        page.get_by_role("button", name="Move order/cancel up").click()
        assert page.get_by_label("Kind of message 1", exact=True).input_value() == "order/cancel"
        page.get_by_label("Add a step to feedback/praise").select_option("person")
        page.get_by_role("button", name="Add hours on Saturday").click()
        page.get_by_label("Saturday, from").fill("10:00")
        page.get_by_label("What is replaced").select_option("mask")
        page.get_by_role("checkbox", name="Towns, countries, regions").check()
        page.get_by_text("Not saved yet").wait_for()
        assert browser.accessibility_faults() == []
        browser.shot("policy-privacy")
        page.get_by_text("Text", exact=True).click()
        text = page.get_by_role("textbox", name="Policy file (TOML)")
        page.wait_for_function('document.querySelector("textarea").value.includes(\'saturday = "10:00-17:00"\')')
        assert '"feedback/praise" = ["say thanks", "person"]' in text.input_value() and "# The policy of Fern" in text.input_value()
        assert 'policy = "mask"' in text.input_value() and '"place=allow"' in text.input_value()
        text.fill(text.input_value().replace("after_unanswered = 2", "after_unanswered = 99"))
        page.get_by_text("1 mistake", exact=True).wait_for()
        assert page.get_by_role("button", name="Save").is_disabled()
        text.fill(text.input_value().replace("after_unanswered = 99", "after_unanswered = 3"))
        page.get_by_text("1 mistake", exact=True).wait_for(state="hidden")
        page.get_by_text("Form", exact=True).click()
        assert page.get_by_label("Pass to a person after so many messages").input_value() == "3"
        page.get_by_label("Kind of message", exact=True).select_option("feedback/praise")
        page.get_by_role("button", name="See what happens").click()
        page.get_by_text("The line feedback/praise counts.").wait_for()
        page.get_by_role("button", name="Save").click()
        page.get_by_text("Not saved yet").wait_for(state="hidden")
        assert studio.client.call("GET", f"projects/{project}/policy")["form"]["hand_over"]["after_unanswered"] == 3
    with browsing(studio, "narrow", language="de-DE") as browser:
        browser.goto(f"/projects/{project}/policy")
        browser.page.get_by_text("Jede andere Nachricht").wait_for()
        browser.shot("policy-german")
        assert browser.overflow() == 0


def test_a_test_conversation_is_written_turn_by_turn(studio: RunningStudio, project: str) -> None:
    with browsing(studio) as browser:
        page = browser.page
        browser.goto(f"/projects/{project}/tests")
        page.get_by_role("article", name="Conversation 1", exact=True).wait_for()
        pictures(browser, "tests")
        page.get_by_role("button", name="Add a conversation").click()
        form = page.get_by_role("dialog")
        form.get_by_role("button", name="Save").click()
        form.get_by_text("Write what the customer says.").wait_for()
        form.get_by_label("The customer says").fill("cancel order FH-20103")
        form.get_by_label("Wanted outcome").select_option("proposed")
        form.get_by_label("Must not contain").fill("done")
        form.get_by_label("Tool").fill("cancel_order")
        form.get_by_role("button", name="Add a message").click()
        form.get_by_label("The customer says").nth(1).fill("yes")
        browser.shot("test-form")
        form.get_by_role("button", name="Save").click()
        form.wait_for(state="hidden")
        made = page.get_by_role("article").last
        made.get_by_text("without “done”").wait_for()
        made.get_by_text("by the tool cancel_order").wait_for()
        made.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        page.get_by_text("without “done”").wait_for(state="hidden")
    with browsing(studio, "narrow", language="de-DE") as browser:
        browser.goto(f"/projects/{project}/tests")
        browser.page.get_by_role("button", name="Gespräch hinzufügen").wait_for()
        browser.shot("tests-german")
        assert browser.overflow() == 0


def test_a_file_is_added_and_deleted_and_one_that_the_recipe_names_is_told(studio: RunningStudio, project: str) -> None:
    with browsing(studio) as browser:
        page = browser.page
        browser.goto(f"/projects/{project}/files")
        page.get_by_text("All files").click()
        picker = page.locator("input[type=file]").last
        picker.set_input_files({"name": "copy.json", "mimeType": "application/json", "buffer": b'{"SHOP_URL": "http://127.0.0.1:9"}'})
        line = page.get_by_role("listitem").filter(has_text="copy.json")
        line.wait_for()
        picker.set_input_files({"name": "copy.json", "mimeType": "application/json", "buffer": b"{}"})
        page.get_by_text("already a file named copy.json").wait_for()
        pictures(browser, "files-all")
        line.get_by_role("button", name="Delete “copy.json”?").click()
        dialog = page.get_by_role("dialog")
        assert dialog.get_by_text("The recipe names this file").count() == 0
        dialog.get_by_role("button", name="Delete").click()
        line.wait_for(state="hidden")
        page.get_by_text("already a file named copy.json").wait_for(state="hidden")
        picker.set_input_files({"name": "prices.csv", "mimeType": "text/csv", "buffer": "Größe;Preis\n".encode("cp1252")})
        page.get_by_text("prices.csv is no text in UTF-8").wait_for()
        assert page.get_by_role("listitem").filter(has_text="prices.csv").count() == 0, "none of its letters is lost"
        page.get_by_role("button", name="Delete “desk_policy.toml”?").click()
        page.get_by_role("dialog").get_by_text("The recipe names this file").wait_for()
        browser.shot("files-delete")
