"""The guards of the walks in Chromium: each fires at a page, or a server, that does what it is to find. No call reaches another machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from tests.eventually import eventually
from tests.studio_browser import RunningStudio, browsing, needed, running_studio
from tests.studio_model import project_with_model

from smidgen.studio.api.pages import policy
from smidgen.studio.store.projects import StudioStore

pytestmark = needed
WITHIN = "<p>In order</p><img alt='' src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>"
AWAY = "http://nowhere.invalid/"
"""A name that never has an address."""
FETCH = f"fetch('{AWAY}').catch(() => 0)"
LEAVING = {
    "fetch": f"<script>{FETCH}</script>",
    "beacon": f"<script>navigator.sendBeacon('{AWAY}', '1')</script>",
    "font": f"<style>@font-face {{font-family: f; src: url({AWAY})}} h1 {{font-family: f}}</style>",
    "image": f"<img alt='' src='{AWAY}'>",
    "frame": f"<iframe title=f src='{AWAY}'></iframe>",
    "socket": f"<script>new WebSocket('{AWAY}'.replace('http', 'ws'))</script>",
    "worker": f"<script>new Worker(URL.createObjectURL(new Blob([`{FETCH}`])))</script>",
    "tab": f"<script>open('{AWAY}')</script>",
    "port": "<script>fetch('http://127.0.0.1:9/').catch(() => 0)</script>",
}
"""Under no policy, which alone would stop most."""
BREAKING = {
    "script": ("<script>document.title = 'ran'</script>", "script-src-elem inline"),
    "handler": ("<img alt='' src='data:,' onerror='document.title = 1'>", "script-src-attr inline"),
    "style": ("<p style='color: red'>", "style-src-attr inline"),
    "eval": ("<script src='/eval.js'></script>", "script-src eval"),
    "image": (f"<img alt='' src='{AWAY}'>", f"img-src {AWAY}"),
    "fetch": ("<script src='/fetch.js'></script>", f"connect-src {AWAY}"),
}
"""Under the Studio's own policy, and what is told of each."""
SCRIPTS = {
    "/eval.js": "try { new Function('return 1')(); } catch { /* the console is not told */ }",
    "/fetch.js": FETCH,
    "/thrown.js": "Promise.reject(new Error('nobody took me'));",
    "/logged.js": "console.error('it went wrong');",
}
UNNAMED = "<button><svg width=9 height=9></svg></button>"
PALE_IN_DARK = "<style>html[data-theme=dark] p {color: #eee; background: #fff}</style><p>Pale</p>"
WIDE = "<div style='width: 500px; height: 9px; background: #777'></div>"


@dataclass
class OnePage:
    """In the place of a Studio: it serves one page."""

    url: str
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def link(self) -> str:
        return f"{self.url}/"


@pytest.fixture(scope="module")
def served() -> Iterator[OnePage]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            script = SCRIPTS.get(self.path)
            content = script or f"<!doctype html><html lang=en><title>t</title><link rel=icon href=data:,><main><h1>Page</h1>{page.body}"
            self.send_response(200)
            for name, value in {"Content-Type": "text/javascript" if script else "text/html", **page.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        page = OnePage(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield page
        server.shutdown()


def faults_of(served: OnePage, pages: dict[str, str], *, bound: bool) -> dict[str, list[str]]:
    """The faults that a walk finds on each page, with the Studio's policy or without. The walk itself must fail."""
    found: dict[str, list[str]] = {}
    served.body, served.headers = WITHIN, {"Content-Security-Policy": policy("n")} if bound else {}
    with pytest.raises(AssertionError) as failed, browsing(cast(RunningStudio, served), refused=True) as browser:
        assert browser.faults == []
        for name, served.body in pages.items():
            before = len(browser.faults)
            browser.goto(f"/{name}")
            eventually(lambda seen=before: browser.page.title() and len(browser.faults) > seen, seconds=10)
            browser.page.goto("about:blank")  # what the page before told late is told by now
            found[name] = browser.faults[before:]
    assert str(failed.value).splitlines() == [fault for faults in found.values() for fault in faults]
    return found


def test_a_request_that_leaves_is_found(served: OnePage) -> None:
    found = faults_of(served, LEAVING, bound=False)
    assert {way: any(fault.startswith("left: ") for fault in faults) for way, faults in found.items()} == dict.fromkeys(LEAVING, True)


def test_a_broken_policy_is_found(served: OnePage) -> None:
    found = faults_of(served, {way: body for way, (body, _) in BREAKING.items()}, bound=True)
    assert {way: f"console: policy: {told}" in found[way] for way, (_, told) in BREAKING.items()} == dict.fromkeys(BREAKING, True)


def test_an_error_is_found(served: OnePage) -> None:
    pages = {name: f"<script src='/{name}.js'></script>" for name in ("thrown", "logged")}
    assert faults_of(served, pages, bound=True) == {"thrown": ["error: nobody took me"], "logged": ["console: it went wrong"]}


def test_what_axe_and_the_window_find(served: OnePage) -> None:
    found, served.headers, served.body = [], {}, WITHIN
    with browsing(cast(RunningStudio, served)) as browser:
        for served.body in (UNNAMED + PALE_IN_DARK + WIDE, WITHIN):
            browser.goto("/")
            found.append({place: str(fault) for place, fault in browser.faults_of_sizes().items()})
    wrong, right = found
    assert set(wrong) == {"wide light", "wide dark", "narrow light", "narrow dark", "narrow is wider"} and right == {}
    assert all("button-name (critical)" in wrong[place] and "contrast" not in wrong[place] for place in ("wide light", "narrow light"))
    assert all("color-contrast (serious)" in wrong[place] for place in ("wide dark", "narrow dark"))


def test_every_walk_is_guarded() -> None:
    walks = [file for file in Path(__file__).parent.glob("test_*.py") if file != Path(__file__)]
    sources = {file.name: file.read_text(encoding="utf-8") for file in walks}
    assert len(sources) >= 14 and all("browsing(" in source for source in sources.values())
    assert [name for name, source in sources.items() if "new_context" in source or "sync_api" in source] == []


@pytest.mark.thorough
def test_a_server_that_reaches_beyond_this_machine_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server of a model, which the Studio starts, passes on what the model is not sure of."""
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    store = StudioStore()
    project, run = project_with_model(store, tmp_path / "models")
    store.close()
    settings = {"model": run, "fallback": f"{AWAY}v1", "fallback_model": "big", "local": "measured", "local_score": 0.9, "redact": False}
    told = r"reached beyond this machine: socket\.getaddrinfo nowhere\.invalid by"
    with pytest.raises(AssertionError, match=told), running_studio(tmp_path / "home") as studio:
        place = f"projects/{project}/serving"
        studio.client.call("POST", f"{place}/start", {"settings": settings})
        eventually(lambda: studio.client.call("GET", place)["state"] == "running")
        asked = {"model": "support", "messages": [{"role": "user", "content": "w98 unsure"}]}
        url = studio.client.call("GET", place)["url"]
        assert httpx.post(f"{url}/v1/chat/completions", json=asked, timeout=60, trust_env=False).status_code == 502
