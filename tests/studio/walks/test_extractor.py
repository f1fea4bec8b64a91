"""From a dropped spreadsheet with a column for each field to an answered message, in Chromium; and every page of such a project."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.flower_orders import LEXICAL, as_csv, orders
from tests.studio_browser import SIZES, Browser, RunningStudio, browsing, needed, running_studio
from tests.upstream_stub import Said, upstream_stub

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
            browser.page.locator("h1").first.wait_for()  # by its role it is hidden where the address opens a dialog above it
            browser.page.wait_for_load_state("networkidle")
            browser.shot(f"extract-{path.partition('?')[0]}{len(path)}-{size}")
            if found := browser.accessibility_faults():
                faults[path] = found
            if wider := browser.overflow():
                faults[f"{path} is wider"] = wider
            if '{"' in browser.page.inner_text("main"):
                faults[f"{path} shows JSON"] = browser.page.inner_text("main")
    assert faults == {} and len(PAGES) == 8 and size in SIZES


@pytest.mark.thorough
def test_it_is_certified_put_to_work_and_taught(studio: RunningStudio, project: str, tmp_path: Path) -> None:
    """The promise stands on the page when the test ends; a pasted call is answered; what was passed on becomes a row, field by field."""
    text = "This is Rosa Blum: could you keep eleven of the orchids?"
    said = {"customer": "Rosa Blum", "flower": "orchids", "amount": 11, "day": None}
    choice = {"index": 0, "message": {"role": "assistant", "content": json.dumps(said)}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 300_000, "completion_tokens": 100_000, "total_tokens": 400_000}
    with upstream_stub() as upstream, browsing(studio) as browser:
        page, place = browser.page, f"projects/{project}"
        upstream.answer = lambda seen: Said(body=json.dumps({"model": "big", "choices": [choice], "usage": usage}).encode())
        later = tmp_path / "later.csv"
        later.write_text(as_csv(orders(300)[80:]), encoding="utf-8")
        studio.client.add_file(project, later, part="test")
        browser.goto(f"/{place}/run")
        page.get_by_role("button", name="Test it").click()
        page.get_by_text("At most 5% of what it answers itself is wrong").wait_for()
        page.get_by_text("Let a large model answer what yours is not sure of").click()
        page.get_by_label("Address", exact=True).fill(upstream.url)
        page.get_by_label("Name of the large model").fill("big")
        page.get_by_label("Price to read").fill("1")
        page.get_by_label("Price to write").fill("2")
        page.get_by_text("More settings", exact=True).click()
        page.get_by_text("Take names, addresses and numbers").click()
        page.get_by_role("button", name="Start", exact=True).click()
        page.get_by_text("Your model is running").wait_for()
        serving = studio.client.call("GET", f"{place}/serving")
        lines, url = serving["snippets"]["openai"], serving["url"]
        pasted = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, timeout=120, check=True).stdout
        assert json.loads(pasted)["customer"] == "Anna Weber", "the first row of the data, answered by the model itself"
        page.get_by_role("button", name="Revoke certificate").click()
        page.get_by_label("Why?").fill("Other goods since May")
        page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        page.get_by_text("It was revoked: everything is passed on").wait_for()
        for _ in range(40):  # some texts are held out, and are not shown
            asked = {"model": "orders", "messages": [{"role": "user", "content": text + "!" * len(upstream.seen)}]}
            answer = httpx.post(f"{url}/v1/chat/completions", json=asked, timeout=60, trust_env=False)
            assert answer.headers["x-smidgen-answered-by"] == "upstream"
            if studio.client.call("GET", f"{place}/review")["waiting"]:
                break
        page.get_by_role("button", name="Passed on").click()
        page.get_by_role("button", name=text[:30]).first.click()
        assert "$0.5" in page.get_by_role("dialog").inner_text(), "0.3 million tokens at $1, and 0.1 at $2"
        browser.shot("extract-run-request")
        browser.goto(f"/{place}/learn")
        page.get_by_text("Filled in as the large model answered").wait_for()
        page.get_by_label("flower").fill("orchids of the garden")
        page.get_by_role("button", name="Take this answer").click()
        page.get_by_text("1 done").wait_for()
        page.get_by_role("link", name="Run", exact=True).first.click()
        page.get_by_role("button", name="Stop").click()
        page.get_by_text("Your model is not running").wait_for()
    added = studio.client.call("GET", f"{place}/rows", search="Rosa Blum")["rows"][-1]
    assert added["output"] == said | {"flower": "orchids of the garden"} and added["source"] == "traffic"


def shown_sides(browser: Browser, name: str) -> list[list[str]]:
    """The fields that stand out in the two answers to the first text, at every size of the window."""
    script = """() => [...document.querySelectorAll("tbody tr:first-child td")].slice(1, 3).map((side) =>
      [...side.querySelectorAll("span > span > span")]
        .filter((it) => getComputedStyle(it).fontWeight > 500 && it.getBoundingClientRect().right <= innerWidth)
        .map((it) => it.innerText))"""
    found = []
    for size, (width, height) in SIZES.items():
        browser.page.set_viewport_size({"width": width, "height": height})
        browser.page.locator("tbody").scroll_into_view_if_needed()
        browser.shot(f"extract-sides-{name}-{size}")
        found.append(browser.page.evaluate(script))
    assert found[0] == found[1] and browser.faults_of_sizes() == {}
    sides: list[list[str]] = found[0]
    return sides


@pytest.mark.thorough
def test_two_models_and_a_large_one_differ_field_by_field(studio: RunningStudio, project: str) -> None:
    first = next(run["id"] for run in studio.client.call("GET", f"projects/{project}/runs") if run["kind"] == "build")
    second = studio.client.build(project, LEXICAL | {"train": {"epochs": 1, "learning_rate": 0.000001}}, timeout=300)[
        "id"
    ]  # learns nothing
    texts = ["My name is Anna Weber and I need 7 tulips.", "Clara Wolf here, please put 12 roses aside until Friday."]
    said = {"customer": "Anna Weber", "flower": "roses", "amount": 7, "day": None}
    choice = {"index": 0, "message": {"role": "assistant", "content": json.dumps(said)}, "finish_reason": "stop"}
    with upstream_stub() as upstream, browsing(studio) as browser:
        page, found = browser.page, {"customer": "Anna Weber", "flower": "tulips", "amount": 7}
        browser.goto(f"/projects/{project}/try?mode=compare&run={first}&with={second}")
        page.get_by_label("Texts, one a line").fill("\n".join(texts))
        page.get_by_role("button", name="Compare", exact=True).click()
        page.get_by_text("They agree on 0 of 2").wait_for()
        assert shown_sides(browser, "models") == [
            [f"{name}: {value}" for name, value in found.items()],
            [f"{name}: not stated" for name in found],
        ]

        upstream.answer = lambda seen: Said(body=json.dumps({"model": "big", "choices": [choice]}).encode())
        page.get_by_label("Compare with").select_option(label="A large model elsewhere")
        page.get_by_label("Address of the server").fill(upstream.url)
        page.get_by_label("Name of the model").fill("big")
        page.get_by_label("Texts, one a line").fill(texts[0])
        page.get_by_role("button", name="Compare", exact=True).click()
        page.get_by_text("They agree on 0 of 1").wait_for()
        assert shown_sides(browser, "large") == [["flower: tulips"], ["flower: roses"]]
        said["flower"] = "tulips"
        choice["message"] = {"role": "assistant", "content": json.dumps(said)}
        page.get_by_role("button", name="Compare", exact=True).click()
        page.get_by_text("They agree on 1 of 1").wait_for()
        assert len(upstream.seen) == 2
