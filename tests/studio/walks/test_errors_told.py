"""An error at every step in Chromium: each shows words that say what to do, and nothing is lost."""

from __future__ import annotations

import shutil
import signal
import socket
from pathlib import Path
from typing import Any

import httpx
from tests.studio_browser import RunningStudio, browsing, needed, running_studio
from tests.tried_model import LINEAR, ticket_rows

from smidgen.studio.flows.run_process import run_folder

pytestmark = needed
BROKEN = {
    "broken.xlsx": (b"PK\x03\x04 no workbook", "workbook is damaged"),
    "empty.csv": (b"", "empty"),
    "photo.csv": (bytes(range(256)) * 20, "photo.csv"),
}
ONE_COLUMN = b"text\n" + b"\n".join(b"message %d" % number for number in range(30))


def choose(page: Any, name: str, content: bytes) -> None:
    page.locator("input[type=file]").first.set_input_files({"name": name, "mimeType": "application/octet-stream", "buffer": content})


def told(page: Any) -> str:
    """What the page says is wrong, once it says so."""
    alert = page.get_by_role("alert").first
    alert.wait_for()
    said: str = alert.inner_text()
    assert len(said.splitlines()) >= 1 and len(said) > 20, said
    return said


def tickets(labels: int) -> bytes:
    rows = [row for row in ticket_rows() if labels > 1 or row.output == "refund"]
    return "\n".join(["text,label", *(f"{row.input},{row.output}" for row in rows)]).encode()


def test_files_that_cannot_be_read_are_told_and_the_next_one_works(studio: RunningStudio) -> None:
    project = studio.client.create_project("Broken files", "classify")["id"]
    with browsing(studio, refused=True) as browser:
        page, seen = browser.page, 0
        browser.goto(f"/projects/{project}/data")
        for name, (content, word) in BROKEN.items():
            page.get_by_text("Drop your examples here").wait_for()
            choose(page, name, content)
            assert word in told(page), name
            page.reload()
            seen += 1
        assert seen == len(BROKEN) and studio.client.call("GET", f"projects/{project}/data")["version"] == 0
        choose(page, "texts.csv", ONE_COLUMN)
        assert "text" not in page.get_by_label("Answer").locator("option").all_inner_texts(), "a text is not its own answer"
        page.get_by_role("button", name="Cancel").click()
        choose(page, "tickets.csv", tickets(1))
        page.get_by_role("button", name="Add these rows").click()
        page.get_by_role("grid").wait_for()
        assert studio.client.call("GET", f"projects/{project}/data")["rows"] > 100

        browser.goto(f"/projects/{project}/build")
        page.get_by_role("button", name="Build a model").click()
        assert "label" in told(page).lower() and browser.accessibility_faults() == []
        assert page.get_by_role("button", name="Try again").first.is_enabled(), "it can be put right and tried again"


def test_a_waiting_build_says_so_and_a_stopped_one_is_taken_up_again(studio: RunningStudio, tmp_path: Path) -> None:
    project = studio.client.create_project("Queue", "classify")["id"]
    file = tmp_path / "tickets.csv"
    file.write_bytes(tickets(3))
    studio.client.add_file(project, file, input="text", label="label")
    first, second = (studio.client.start(project, "build", {"recipe": LINEAR})["id"] for _ in range(2))
    with browsing(studio) as browser:
        page = browser.page
        browser.goto(f"/projects/{project}/build")
        page.get_by_text("Waiting for its turn").last.wait_for()
        page.get_by_role("button", name="Cancel").last.click()
        page.get_by_role("button", name="Resume").first.wait_for()
        studio.client.wait(first, timeout=240)
        page.get_by_role("button", name="Resume").first.click()
        page.get_by_role("button", name="Resume").first.wait_for(state="detached")  # the call has been answered
        assert studio.client.wait(second, timeout=240)["state"] == "done"
        page.get_by_role("table").get_by_text("done", exact=True).nth(1).wait_for()


def test_a_wrong_key_and_a_model_whose_files_are_gone_are_told(studio: RunningStudio, model: tuple[str, str]) -> None:
    project, run = model
    place = f"projects/{project}"
    studio.client.call("POST", f"{place}/serving/keys", {"name": "shop"})
    serving = studio.client.call("POST", f"{place}/serving/start", {"settings": {"model": run}})
    with browsing(studio, refused=True) as browser:
        page = browser.page
        browser.goto(f"/projects/{project}/run")
        page.get_by_text("Your model is running").wait_for()
        body = {"model": "tickets", "messages": [{"role": "user", "content": "the parcel is late"}]}
        wrong = httpx.post(
            f"{serving['url']}/v1/chat/completions", json=body, headers={"Authorization": "Bearer wrong"}, timeout=60, trust_env=False
        )
        assert wrong.status_code == 401 and "key" in wrong.json()["error"]["message"]
        page.get_by_role("button", name="Stop", exact=True).click()
        page.get_by_text("Your model is not running").wait_for()
        kept = run_folder(run).rename(run_folder(run).with_name("elsewhere"))
        try:
            page.get_by_role("button", name="Start", exact=True).click()
            assert "folder" in told(page) or "model" in told(page)
            seen = 0
            for name in ("report", "try"):
                browser.goto(f"/projects/{project}/{name}")
                told(page)
                seen += 1
            assert seen == 2
        finally:
            shutil.move(kept, run_folder(run))
        browser.goto(f"/projects/{project}/report")
        page.get_by_text("test rows").first.wait_for()
        assert studio.client.call("GET", f"{place}/data")["rows"] == len(ticket_rows())


def test_a_killed_server_is_told_and_the_page_goes_on_when_it_is_back(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    file = tmp_path / "tickets.csv"
    file.write_bytes(tickets(3))
    home = tmp_path / "home"
    with running_studio(home, port) as first:
        project = first.client.create_project("Tickets", "classify")["id"]
        first.client.add_file(project, file, input="text", label="label")
        with browsing(first, refused=True) as browser:
            page = browser.page
            browser.goto(f"/projects/{project}/data")
            page.get_by_role("grid").wait_for()
            first.process.send(signal.SIGKILL)
            page.get_by_text("The Studio's server does not answer").first.wait_for()
            page.get_by_role("link", name="Build", exact=True).click()
            assert "smidgen studio" in told(page)
            with running_studio(home, port) as second:
                page.get_by_text("The Studio's server does not answer").first.wait_for(state="detached")
                page.get_by_role("link", name="Data").click()
                page.get_by_role("gridcell", name="the money for my shoes is late").first.click()
                page.get_by_role("button", name="Remove row").click()
                page.get_by_text("Row removed").wait_for()
                assert second.client.call("GET", f"projects/{project}/data")["rows"] == len(ticket_rows()) - 1


def test_odd_numbers_on_costs_are_told_beside_their_field(studio: RunningStudio, model: tuple[str, str]) -> None:
    with browsing(studio, refused=True) as browser:
        page = browser.page
        browser.goto(f"/projects/{model[0]}/costs?requests_per_day=0&months=7.5&share=much")  # what cannot be is left out
        tokens, price = page.get_by_label("Tokens in a request"), page.get_by_label("$ per kilowatt hour")
        usual = tokens.input_value()
        tokens.fill("")
        assert tokens.input_value() == ""
        tokens.press_sequentially("350")
        page.wait_for_url("**tokens_in=350*")
        tokens.fill("1000000000")
        assert told(page) == "Give a number from 0 to 10,000,000."
        assert "tokens_in=350" in page.url
        tokens.fill("")
        price.fill("0,28")
        page.wait_for_url("**usd_per_kwh=0.28*")
        page.wait_for_function("([field, usual]) => field.value === usual", arg=[tokens.element_handle(), usual])  # as the server counts it
        browser.goto(f"/projects/{model[0]}/costs?model=nobody")
        assert "nobody" in told(page)
        page.get_by_role("button", name="Begin again with this project's numbers").click()
        page.get_by_text("Saved in a month").or_(page.get_by_text("Costs more in a month")).first.wait_for()


def test_a_machine_that_loses_its_network_goes_on(studio: RunningStudio, model: tuple[str, str]) -> None:
    with browsing(studio) as browser:
        page = browser.page
        browser.goto(f"/projects/{model[0]}/data")
        page.get_by_role("heading", level=1).wait_for()
        page.evaluate("() => window.dispatchEvent(new Event('offline'))")  # as the browser tells it; this server is reached all the same
        page.get_by_role("link", name="Costs").click()
        page.get_by_label("Tokens in a request").wait_for(timeout=20_000)
