"""The Studio in Chromium: a page that keeps a record of errors, broken policies and calls that leave this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests import commands
from tests.conftest import quick_environment
from tests.house.conftest import ROOT

from smidgen.client import StudioClient, StudioRefusal
from smidgen.store import files
from smidgen.studio.api import pages

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = ROOT / "studio" / "node_modules" / "axe-core" / "axe.min.js"
ARGUMENTS = [
    *("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
COLOURS = ("color-contrast", "link-in-text-block")
TWO_FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
TELL_VIOLATIONS = """document.addEventListener("securitypolicyviolation", (broken) =>
  console.error(`policy: ${broken.effectiveDirective} ${broken.blockedURI}`));"""
"""Tells violations that the browser itself keeps from the console, such as an `eval` whose refusal the page catches."""
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

    def accessibility_faults(self, *rules: str) -> list[str]:
        """Serious and critical findings of axe on what is shown now; of these rules alone where some are named."""
        if self.page.evaluate("typeof axe") == "undefined":
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
        asked = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
        found = self.page.evaluate("asked => axe.run(document, asked)", asked)
        return [
            f"{one['id']} ({one['impact']}): {[node['target'] for node in one['nodes']][:3]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]

    def faults_of_sizes(self) -> dict[str, object]:
        """The faults of the shown page, at each size, light and dark. Themes differ by colours, which axe's rules of colours see."""
        found: dict[str, object] = {}
        self.page.emulate_media(reduced_motion="reduce")
        for size, (width, height) in SIZES.items():
            self.page.set_viewport_size({"width": width, "height": height})
            for theme, rules in (("light", ()), ("dark", COLOURS)):
                self.page.evaluate(f"document.documentElement.dataset.theme = '{theme}'; {TWO_FRAMES}")
                if faults := self.accessibility_faults(*rules):
                    found[f"{size} {theme}"] = faults
            if wider := self.overflow():
                found[f"{size} is wider"] = wider
        return found

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
def _watched_process(home: Path, *arguments: object) -> Iterator[commands.Running]:
    """A Studio's process. It and those that it starts, builds and servers of models, must not reach beyond this machine."""
    home.mkdir(parents=True, exist_ok=True)
    log = home / "outgoing.log"
    environment = {**os.environ, **quick_environment(), "SMIDGEN_HOME": str(home), "SMIDGEN_TEST_OUTGOING": str(log)}
    with commands.smidgen("studio", "--json", *arguments, environment=environment) as process:
        yield process
    left = log.read_text(encoding="utf-8") if log.exists() else ""
    log.unlink(missing_ok=True)
    assert left == "", f"a process of the Studio reached beyond this machine: {left}"


@contextmanager
def running_studio(home: Path, port: int = 0) -> Iterator[RunningStudio]:
    """A running Studio with this home folder."""
    with _watched_process(home, "--port", port) as process:
        link = process.ready()["url"]
        with StudioClient(link) as client:
            yield RunningStudio(process, client, link.partition("/?")[0])
            with suppress(StudioRefusal):  # the test may have killed the Studio
                for project in client.projects():
                    client.call("POST", f"projects/{project['id']}/serving/stop")
                stop_runs(client)


def stop_runs(client: StudioClient) -> None:
    """Stop what still runs, which would go on without the Studio."""
    for project in client.projects():
        for run in client.call("GET", f"projects/{project['id']}/runs"):
            if run["state"] in ("queued", "running"):
                client.call("POST", f"runs/{run['id']}/stop")


def with_bases(home: Path) -> Path:
    """A Studio's home folder in which the starter models lie already, so that no build fetches them."""
    if not (home / "bases").exists():
        (home / "bases").symlink_to(files.home() / "bases")
    return home


@contextmanager
def studio_with_accounts(home: Path, name: str, password: str) -> Iterator[RunningStudio]:
    """A running Studio that other machines reach too, with one owner, as which the client has logged in."""
    with _watched_process(home, "--port", 0, "--host", "0.0.0.0") as process:
        url = f"http://127.0.0.1:{process.ready()['url'].rpartition(':')[2].strip('/')}"
        with StudioClient(url, name, password) as client:
            yield RunningStudio(process, client, url)


_OPEN: list[Any] = []
"""The driver and the browser of this process, once one was needed."""


def chromium() -> Any:
    """The browser of this process, which starts once. Each test has a context of its own: no cookies, an empty cache."""
    from playwright import sync_api

    if not _OPEN:
        driver = sync_api.sync_playwright().start()
        _OPEN[:] = [driver, driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)]
    return _OPEN[1]


def close_chromium() -> None:
    """Close this process's browser, if it was opened."""
    if _OPEN:
        driver, browser = _OPEN
        _OPEN.clear()
        browser.close()
        driver.stop()


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
    url = studio.url
    width, height = SIZES[size]

    def heard(said: Any) -> None:
        if said.type == "error" and not (refused and said.text.startswith("Failed to load resource")):
            faults.append(f"console: {said.text}")

    context = chromium().new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", locale=language, accept_downloads=True
    )
    faults: list[str] = []

    def asked(it: Any) -> None:
        if not it.url.startswith((f"{url}/", "blob:", "data:")):
            faults.append(f"left: {it.url}")

    context.on("request", asked)
    context.on("page", lambda opened: opened.on("websocket", asked))
    context.add_init_script(TELL_VIOLATIONS)
    context.on("weberror", lambda told: faults.append(f"error: {told.error}"))
    context.on("console", heard)
    context.set_default_timeout(60_000)
    page = context.new_page()
    try:
        page.goto(studio.link() if link is None else link)
        yield Browser(page, url, faults)
    except Exception as error:
        error.add_note(f"{page.url} shows {page.inner_text('body', timeout=5_000)[:2000]!r}; faults: {faults}")
        raise
    finally:
        context.close()
    assert faults == [], "\n".join(faults)
