"""The Studio in Chromium: a page that keeps a record of errors, broken policies and calls that leave this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests import commands
from tests.house.conftest import ROOT

from smidgen.client import StudioClient
from smidgen.server.studio import pages

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = ROOT / "studio" / "node_modules" / "axe-core" / "axe.min.js"
ARGUMENTS = [
    *("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
SIZES = {"wide": (1280, 900), "narrow": (390, 844)}
needed = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.skipif(not (pages.PAGE / "index.html").is_file(), reason="the page was not built: make studio"),
]


@dataclass
class Browser:
    """A browser's tab on a running Studio. `faults`: errors, violations of the policy, and requests that left the Studio."""

    page: Any
    url: str
    faults: list[str] = field(default_factory=list)

    def goto(self, path: str) -> None:
        """Open a path of the Studio."""
        self.page.goto(self.url + path)

    def drop(self, selector: str, name: str, content: str, kind: str = "text/csv") -> None:
        """Drop a file on an element, as from the desktop."""
        script = """([selector, name, content, kind]) => {
          const data = new DataTransfer();
          data.items.add(new File([content], name, {type: kind}));
          const place = document.querySelector(selector);
          for (const type of ["dragenter", "dragover", "drop"])
            place.dispatchEvent(new DragEvent(type, {dataTransfer: data, bubbles: true, cancelable: true}));
        }"""
        self.page.evaluate(script, [selector, name, content, kind])

    def accessibility_faults(self) -> list[str]:
        """Serious and critical findings of axe on what is shown now."""
        self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{one['id']} ({one['impact']}): {[node['target'] for node in one['nodes']][:3]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        wider: int = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return wider

    def shot(self, name: str) -> None:
        """Take a screenshot where SMIDGEN_SHOTS names a folder."""
        if folder := os.environ.get("SMIDGEN_SHOTS"):
            self.page.screenshot(path=str(Path(folder) / f"{name}.png"))


@dataclass
class RunningStudio:
    """A Studio as a process, and a client of its API in the owner's name."""

    process: commands.Running
    client: StudioClient
    url: str

    def link(self) -> str:
        """A link for one more browser."""
        return self.url + str(self.client.call("POST", "session/link")["path"])


@contextmanager
def running_studio(home: Path, port: int = 0) -> Iterator[RunningStudio]:
    """A running Studio with this home folder."""
    with commands.smidgen("studio", "--json", "--port", port, environment={**os.environ, "SMIDGEN_HOME": str(home)}) as process:
        link = process.ready()["url"]
        with StudioClient(link) as client:
            yield RunningStudio(process, client, link.partition("/?")[0])


@contextmanager
def studio_with_accounts(home: Path, name: str, password: str) -> Iterator[RunningStudio]:
    """A running Studio that other machines reach too, with one owner, as which the client has logged in."""
    environment = {**os.environ, "SMIDGEN_HOME": str(home)}
    with commands.smidgen("studio", "--json", "--port", "0", "--host", "0.0.0.0", environment=environment) as process:
        url = f"http://127.0.0.1:{process.ready()['url'].rpartition(':')[2].strip('/')}"
        with StudioClient(url, name, password) as client:
            yield RunningStudio(process, client, url)


@contextmanager
def browsing(
    studio: RunningStudio,
    size: str = "wide",
    dark: bool = False,
    language: str = "en-US",
    *,
    link: str | None = None,
    refused: bool = False,
) -> Iterator[Browser]:
    """Chromium at the first page, or at `link`. Any fault on the way fails the test in the end; with `refused`, calls may fail."""
    from playwright import sync_api

    url = studio.url
    width, height = SIZES[size]

    def missed(said: str) -> bool:
        return refused and said.startswith("Failed to load resource")

    with sync_api.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        context = chromium.new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", locale=language, accept_downloads=True
        )
        page = context.new_page()
        page.set_default_timeout(60_000)
        browser = Browser(page, url)
        faults = browser.faults
        page.on("request", lambda asked: None if asked.url.startswith((url, "blob:", "data:")) else faults.append(f"left: {asked.url}"))
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("console", lambda said: faults.append(f"console: {said.text}") if said.type == "error" and not missed(said.text) else None)
        page.goto(studio.link() if link is None else link)
        try:
            yield browser
        finally:
            chromium.close()
    assert faults == []
