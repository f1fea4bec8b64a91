"""From a dropped spreadsheet with a column for each field to an answered message, in Chromium; and every page of such a project."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.flower_orders import LEXICAL, as_csv, orders
from tests.studio_browser import SIZES, RunningStudio, browsing, needed, running_studio

pytestmark = needed
PAGES = ("data", "label", "build", "report?rows=wrong", "report", "try?text=Nora+Stein+here,+please+put+9+lilies+aside", "run", "learn")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with running_studio(tmp_path_factory.mktemp("home")) as running:
        yield running


@pytest.fixture(scope="module")
def project(studio: RunningStudio) -> str:
    """A project that was made by hand: a file dropped on the page, its columns taken as fields, one row filled in, a model built."""
    rows = orders(80)
    rows[1] |= {"customer": "", "flower": "", "amount": "", "day": ""}
    with browsing(studio) as browser:
        page = browser.page
        page.get_by_role("button", name="Pull out fields").click()
        page.get_by_label("Name of the project").fill("Orders")
        page.get_by_role("button", name="Create project").click()
        page.get_by_text("Drop your examples here").wait_for()
        browser.drop('[role="group"][aria-label="Drop your examples here"]', "orders.csv", as_csv(rows))
        fields = page.get_by_role("group", name="Fields to find in the text")
        fields.wait_for()
        ticked = {name: fields.get_by_label(name, exact=True).is_checked() for name in ("number", "customer", "flower", "amount", "day")}
        assert ticked == {"number": False, "customer": True, "flower": True, "amount": True, "day": True}
        assert browser.accessibility_faults() == []
        page.get_by_role("button", name="Add these rows").click()
        page.get_by_role("columnheader", name="flower").wait_for()
        page.get_by_role("link", name="Label rows").click()
        page.get_by_label("customer").fill("Lena Vogt")
        page.get_by_label("flower").fill("peonies")
        page.get_by_label("amount").fill("many")
        page.get_by_text("A whole number, such as 3.").wait_for()
        page.get_by_label("amount").fill("14")
        page.get_by_label("day").fill("Monday")
        browser.shot("extract-label")
        page.get_by_role("button", name="Save, next row").click()
        page.get_by_text("All answers are saved").wait_for()
    (made,) = (one for one in studio.client.projects() if one["name"] == "Orders")
    second = studio.client.call("GET", f"projects/{made['id']}/rows")["rows"][1]
    assert second["output"] == {"customer": "Lena Vogt", "flower": "peonies", "amount": 14, "day": "Monday"}
    studio.client.build(made["id"], LEXICAL, timeout=300)
    return str(made["id"])


def test_fields_are_found_in_a_message_and_put_right(studio: RunningStudio, project: str) -> None:
    with browsing(studio) as browser:
        page = browser.page
        browser.goto(f"/projects/{project}/try")
        page.get_by_role("textbox", name="Your text").fill("Clara Wolf here, please put 12 roses aside until Friday.")
        page.get_by_text("As a program gets it").wait_for()
        answer = page.inner_text("main")
        assert all(said in answer for said in ("Clara Wolf", "roses", "12", "Friday")) and '{"' not in answer
        marked = page.locator("main mark").evaluate_all("marks => marks.map(mark => [mark.dataset.name, mark.textContent])")
        assert marked == [["customer", "Clara Wolf"], ["amount", "12"], ["flower", "roses"], ["day", "Friday"]]
        page.get_by_role("button", name="Put it right").click()
        page.get_by_label("flower").fill("red roses")
        page.get_by_role("button", name="Put it into the data").click()
        page.get_by_text("Added to the data").wait_for()
    added = studio.client.call("GET", f"projects/{project}/rows", search="Clara Wolf here, please put 12 roses")["rows"][-1]
    assert added["output"] == {"customer": "Clara Wolf", "flower": "red roses", "amount": 12, "day": "Friday"}


def test_a_pasted_list_comes_back_with_a_column_for_each_field(studio: RunningStudio, project: str) -> None:
    with browsing(studio) as browser:
        page = browser.page
        browser.goto(f"/projects/{project}/try?mode=list")
        page.get_by_label("Paste a list, one text a line").fill(
            "My name is Anna Weber and I need 7 tulips.\nMia Koch here, please put 9 lilies aside"
        )
        page.get_by_role("button", name="Answer 2 texts").click()
        page.get_by_role("columnheader", name="customer").wait_for()
        with page.expect_download() as download:
            page.get_by_role("link", name="CSV").click()
        lines = download.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert lines[0] == "text,customer,flower,amount,day,score,error"
    assert lines[1].startswith("My name is Anna Weber and I need 7 tulips.,Anna Weber,tulips,7,,")


@pytest.mark.parametrize(("size", "dark"), [pytest.param("wide", False, marks=pytest.mark.thorough), ("narrow", True)])
def test_every_page_shows_fields_in_order(studio: RunningStudio, project: str, size: str, dark: bool) -> None:
    faults: dict[str, object] = {}
    with browsing(studio, size, dark) as browser:
        for path in PAGES:
            browser.goto(f"/projects/{project}/{path}")
            browser.page.get_by_role("heading", level=1).first.wait_for(state="attached")
            browser.page.wait_for_load_state("networkidle")
            browser.shot(f"extract-{path.partition('?')[0]}{len(path)}-{size}")
            if found := browser.accessibility_faults():
                faults[path] = found
            if wider := browser.overflow():
                faults[f"{path} is wider"] = wider
            if '{"' in browser.page.inner_text("main"):
                faults[f"{path} shows JSON"] = browser.page.inner_text("main")
    assert faults == {} and len(PAGES) == 8 and size in SIZES
