"""The exported page in a real browser: it answers as the bundle does, and asks nobody else."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import shop
from tests.flows.build.test_field_tagger import bundle as fields_bundle  # noqa: F401
from tests.flows.build.test_field_tagger import folder, tiny_base  # noqa: F401

from smidgen.flows.export.exporter import export
from smidgen.flows.local_model import load

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
playwright = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.thorough, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def served(place: Path) -> Iterator[str]:
    """The folder on a port of this machine, as `python3 -m http.server` serves it."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(place)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def opened(place: Path, dark: bool = False) -> Iterator[Any]:
    """The page once its model is loaded; every request that it made elsewhere, and every error, fails the test in the end."""
    foreign: list[str] = []
    with served(place) as url, playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        page = browser.new_page(color_scheme="dark" if dark else "light", viewport={"width": 900, "height": 700})
        page.on("request", lambda request: None if request.url.startswith((url, "blob:")) else foreign.append(request.url))
        page.on("pageerror", lambda error: foreign.append(str(error)))
        page.on("console", lambda message: foreign.append(message.text) if message.type == "error" else None)
        page.goto(url)
        page.wait_for_selector("#text:not([disabled])", timeout=120_000)
        try:
            yield page
        finally:
            browser.close()
    assert [one for one in foreign if "favicon" not in one and "404" not in one] == []


ASK = """async ([name, texts]) => {
  const ask = await (await import(name)).load();
  const found = [];
  for (const text of texts) found.push(await ask(text));
  return found;
}"""


def answers(page: Any, script: str, texts: list[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = page.evaluate(ASK, [script, texts])
    return found


def test_labels_in_chromium_are_those_of_the_bundle(bundle: Path, tmp_path: Path) -> None:
    done = export(bundle, "onnx-web", tmp_path / "web")
    texts = [*(text for text, _ in shop("support_test")[:40]), "[SEP] is text? 日本", "word " * 400]
    replies = load(bundle, 1).predict(texts)
    with opened(done.folder) as page:
        assert page.title() == f"{done.name}: try it" and page.locator("main").count() == 1
        got = answers(page, "/classify.js", texts)
        page.fill("#text", texts[0])
        page.wait_for_selector("#answer tr.best")
        assert page.text_content("#answer tr.best th") == got[0]["output"]
        if shot := os.environ.get("SMIDGEN_SHOTS"):
            page.screenshot(path=f"{shot}/classify.png")
    assert len(got) == 42
    near = [(own["output"], own["score"], reply.output, reply.score) for own, reply in zip(got, replies, strict=True)]
    # The products of whole numbers have other kernels there: a text that lies at a threshold may fall to its other side.
    assert sum(one[0] == one[2] for one in near) >= 40, [one for one in near if one[0] != one[2]]
    assert max(abs(one[1] - one[3]) for one in near if one[0] == one[2]) < 0.05


def test_fields_in_chromium_are_those_of_the_bundle(fields_bundle: Path, folder: Path, tmp_path: Path) -> None:  # noqa: F811
    done = export(fields_bundle, "onnx-web", tmp_path / "web")
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    texts = [row["text"] for row in rows[::4]] + ["", "?", "lamp " * 300]
    replies = load(fields_bundle, 1).predict(texts)
    with opened(done.folder, dark=True) as page:
        got = answers(page, "/fields.js", texts)
        page.fill("#text", texts[0])
        page.wait_for_selector("#answer table")
        assert "thing" in page.text_content("#answer table")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        if shot := os.environ.get("SMIDGEN_SHOTS"):
            page.screenshot(path=f"{shot}/fields.png")
        assert ground == "rgb(23, 24, 26)", "dark where the reader's system is"
    assert len(got) == len(replies) == 39
    assert sum(own["output"] == reply.output for own, reply in zip(got, replies, strict=True)) >= 37
