"""Take the pictures of the docs anew: `python -m tools.studio_shots`. Needs the built page and Chromium.

They show the sample project in a Studio of its own, which is deleted afterwards.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from smidgen.client import StudioClient
from smidgen.store.files import home

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images" / "studio"
MESSAGE = "tracking has been stuck on the same depot since friday, any news?"
PAGES = ("data", "label", "build", "report", "try", "run", "learn", "costs", "canvas")
_SIZE = {"width": 1280, "height": 860}
_WAIT_MS = 120_000


def main() -> int:
    """Open a Studio with the sample project, wait for its model, and take a picture of each page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with _studio() as (link, client):
        project = client.call("POST", "sample-project", {"name": "Shop messages"})["id"]
        for run in client.call("GET", f"projects/{project}/runs"):
            print(f"waiting for {run['kind']}", flush=True)
            client.wait(run["id"])
        _shoot(link, client, project)
    return 0


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
        browser.close()


def _take(page: Any, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1_500)
    page.screenshot(path=str(FOLDER / f"{name}.png"))
    print(f"{name}.png", flush=True)


if __name__ == "__main__":
    sys.exit(main())
