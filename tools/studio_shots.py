"""Take the pictures of the docs anew: `python -m tools.studio_shots`. Needs the built page and Chromium.

They show the sample project in a Studio of its own, which is deleted afterwards. Its model is a quick one.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from smidgen.client import StudioClient
from smidgen.store.files import home

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images" / "studio"
MESSAGE = "tracking has been stuck on the same depot since friday, any news?"
PAGES = ("data", "build", "report", "try", "run", "learn", "costs", "canvas")
DESK_PAGES = ("documents", "intents", "tools", "policy", "tests", "channels")
"""Pages of the sample desk that need no model."""
QUESTION = "how long do I have to return a lamp?"
QUICK = {"student": {"kind": "kernel", "quality": "fast"}, "compress": {"method": "none"}}
"""The settings of the preset Fast, for one kind of model."""
_SIZE = {"width": 1280, "height": 860}
_WAIT_MS = 120_000
_BUILD_SECONDS = 900.0
_START_SECONDS = 120.0
_MESSAGES = 60


def main() -> int:
    """Open a Studio with the sample project, make its model, put it to work, and take a picture of each page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with _studio() as (link, client):
        project = client.call("POST", "samples/support", {"name": "Shop messages"})["id"]
        print("building", flush=True)
        model = client.build(project, QUICK, timeout=_BUILD_SECONDS)["id"]
        for run in client.call("GET", f"projects/{project}/runs"):
            client.wait(run["id"], timeout=_BUILD_SECONDS)
        try:
            _use(client, project, model)
            _shoot(link, client, project)
        finally:
            client.call("POST", f"projects/{project}/serving/stop")
    return 0


def _use(client: StudioClient, project: str, model: str) -> None:
    """Put the model to work, send it messages, and correct what it answers wrong, so that there is something to look at."""
    client.call("POST", f"projects/{project}/serving/start", {"settings": {"model": model}})
    end = time.monotonic() + _START_SECONDS
    while (serving := client.call("GET", f"projects/{project}/serving"))["state"] == "starting" and time.monotonic() < end:
        time.sleep(0.5)
    rows = client.call("GET", f"projects/{project}/rows", part="test", limit=_MESSAGES)["rows"]
    with httpx.Client(base_url=serving["url"], timeout=60.0, trust_env=False) as program:
        for row in rows:
            asked = {"model": serving["name"], "messages": [{"role": "user", "content": row["input"]}]}
            answer = program.post("/v1/chat/completions", json=asked).raise_for_status()
            if answer.json()["choices"][0]["message"]["content"] != row["output"]:
                told = {"request_id": answer.headers["x-request-id"], "verdict": "down", "corrected": row["output"]}
                program.post("/v1/feedback", json=told).raise_for_status()


@contextmanager
def _studio() -> Iterator[tuple[str, StudioClient]]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bases").symlink_to(home() / "bases")
        command = [sys.executable, "-m", "smidgen", "studio", "--json", "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "SMIDGEN_HOME": folder}, text=True)
        try:
            assert process.stdout is not None
            link = json.loads(process.stdout.readline())["url"]
            with StudioClient(link) as client:
                yield link.partition("/?")[0], client
        finally:
            process.terminate()
            process.wait(30)


def _shoot(url: str, client: StudioClient, project: str) -> None:
    from playwright import sync_api

    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(viewport=_SIZE, locale="en-US").new_page()
        page.set_default_timeout(_WAIT_MS)
        page.goto(url + client.call("POST", "session/link")["path"])
        _take(page, "start")
        for name in PAGES:
            page.goto(f"{url}/projects/{project}/{name}")
            page.get_by_role("heading", level=1).first.wait_for()
            if name == "try":
                page.get_by_role("textbox").first.fill(MESSAGE)
            _take(page, name)
        _add_unanswered(client, project)
        page.goto(f"{url}/projects/{project}/label")
        page.get_by_text("to go").first.wait_for()
        _take(page, "label")
        _shoot_desk(page, url, client)
        browser.close()


def _shoot_desk(page: Any, url: str, client: StudioClient) -> None:
    """Take the pictures of the sample desk, which has tables to look into."""
    desk = client.call("POST", "samples/desk", {"name": "Shop desk"})["id"]
    stamp = client.call("GET", f"projects/{desk}/tools")["stamp"]
    client.call("PUT", f"projects/{desk}/tools/database", {"tables": ["products.csv", "orders.csv"], "stamp": stamp})
    for name in DESK_PAGES:
        page.goto(f"{url}/projects/{desk}/{name}")
        page.get_by_role("heading", level=1).first.wait_for()
        if name == "documents":
            page.get_by_label("Question", exact=True).fill(QUESTION)
            page.get_by_role("button", name="Find").click()
            page.get_by_text("Found by words alone").wait_for()
            page.get_by_role("heading", name="Test a question").evaluate("it => window.scrollBy(0, it.getBoundingClientRect().top - 80)")
        _take(page, f"desk-{name}")


def _add_unanswered(client: StudioClient, project: str) -> None:
    """Add messages without an answer, so that there is something to label."""
    messages = [row["input"] for row in client.call("GET", f"projects/{project}/rows", part="test", limit=_MESSAGES)["rows"]]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "inbox.csv"
        with file.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([["text"], *([f"Hello. {message}"] for message in messages)])
        client.add_file(project, file, label="")
    for run in client.call("GET", f"projects/{project}/runs"):
        client.wait(run["id"], timeout=_BUILD_SECONDS)


def _take(page: Any, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1_500)
    page.screenshot(path=str(FOLDER / f"{name}.png"))
    print(f"{name}.png", flush=True)


if __name__ == "__main__":
    sys.exit(main())
