"""The chat on a site, in Chromium on loopback: from the click to the first paint, and from Enter to the first word of the answer."""

from __future__ import annotations

import contextlib
import shutil
import statistics
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench import results
from bench.context import Context

NAME = "widget"
VISITS, QUICK_VISITS = 30, 3
PAINT_GOAL, WORD_GOAL = 300.0, 150.0
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
COLUMNS = ("step", "visits", "p50 ms", "95 % interval of the median", "p95 ms")
QUESTION = "How long does standard delivery take?"
ANSWER = "Standard delivery takes 2 to 4 working days from dispatch. It is free when the goods come to £50 or more."
PAINTED = """() => new Promise((done) => {
  const told = () => performance.getEntriesByName("first-contentful-paint")[0];
  const look = () => (told() ? done(performance.timeOrigin + told().startTime) : requestAnimationFrame(look));
  look();
})"""
FIRST_WORD = """() => new Promise((done) => {
  const log = document.getElementById("log");
  const bubbles = () => [...log.querySelectorAll(".message.desk .bubble:not(.dots)")];
  const before = bubbles().length;
  let asked = 0;
  document.getElementById("input").addEventListener("keydown", (event) => {
    if (event.key === "Enter") asked = performance.now();
  }, { capture: true, once: true });
  new MutationObserver(() => {
    const words = bubbles()[before]?.textContent ?? "";
    if (asked && words.startsWith("Standard")) requestAnimationFrame(() => done(performance.now() - asked));
  }).observe(log, { childList: true, subtree: true, characterData: true });
})"""


def run(context: Context) -> None:
    """Visits, one after the other, each in a fresh browser context."""
    visits = QUICK_VISITS if context.quick else VISITS
    section = results.Section(
        NAME,
        "The chat on a site",
        "Headless Chromium on the machine that serves. Each visit has an empty cache: the sample shop's page is "
        "loaded, the chat's button is pressed, a question is sent. First paint: from the click to the first contentful paint of the frame. "
        "Ready: to the greeting on the screen. First word: from Enter to the frame in which the first words of the answer are drawn; the "
        "first message of a visit also begins the conversation. The desk gives a fixed text, so this is the time of the browser, the "
        "calls, the streaming and the database, and not of a model.",
        COLUMNS,
        facts={"load before": results.load_average()},
    )
    found = context.measured(NAME, {"visits": visits}, lambda: _visits(visits), peer=False)
    for name, words in (
        ("paint", "click to first paint"),
        ("ready", "click to greeting"),
        ("first", "first message to first word"),
        ("next", "later message to first word"),
    ):
        section.rows.append(_row(words, found[name]))
    section.goals = [
        results.at_most("click to first paint, median", PAINT_GOAL, statistics.median(found["paint"]), "ms"),
        results.at_most("message to first word, median", WORD_GOAL, statistics.median(found["first"]), "ms"),
    ]
    results.publish(context, section)


def _row(words: str, took: list[float]) -> list[str]:
    draws = np.median(np.random.default_rng(0).choice(took, (2_000, len(took))), axis=1)
    low, high = np.quantile(draws, (0.025, 0.975))
    return [words, str(len(took)), f"{statistics.median(took):.0f}", f"{low:.0f} to {high:.0f}", f"{np.quantile(took, 0.95):.0f}"]


def _visits(number: int) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    took: dict[str, list[float]] = {"paint": [], "ready": [], "first": [], "next": []}
    with tempfile.TemporaryDirectory() as folder, _shop(Path(folder)) as site, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        for visit in range(number + 1):
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            measured = _visit(page, site)
            page.context.close()
            if visit:  # the first one warms the server
                for name, value in measured.items():
                    took[name].append(value)
        browser.close()
    return took


def _visit(page: Any, site: str) -> dict[str, float]:
    """One visit, in milliseconds. The button gets the focus from the click, as from a keyboard, so nothing is loaded before."""
    page.goto(f"{site}/index.html")
    button = page.locator("smidgen-desk .launcher")
    button.wait_for()
    clicked = button.evaluate("(it) => { const at = performance.timeOrigin + performance.now(); it.click(); return at; }")
    page.frame_locator("smidgen-desk iframe").locator(".message.desk").wait_for()
    frame = next(one for one in page.frames if "/frame" in one.url)
    ready = frame.evaluate("performance.timeOrigin + performance.now()") - clicked
    measured = {"paint": frame.evaluate(PAINTED) - clicked, "ready": ready}
    for name in ("first", "next"):
        frame.locator("#input").fill(QUESTION)
        frame.evaluate(f"() => {{ window.measured = ({FIRST_WORD})(); }}")  # without the braces it would wait for the promise
        frame.locator("#input").press("Enter")
        measured[name] = frame.evaluate("window.measured")
        frame.locator(".message.desk:not(.typing) .thumbs").nth(0 if name == "first" else 1).wait_for()
    return measured


@contextlib.contextmanager
def _shop(folder: Path) -> Iterator[str]:
    """The sample shop and its desk, each on a port of its own; yields the shop's address."""
    from smidgen.desk.routes.sample_site import sample_site
    from smidgen.desk.routes.served_desk import ServedDesk
    from smidgen.desk.routes.widget_settings import WidgetSettings
    from smidgen.desk.store.conversation_store import ConversationStore
    from smidgen.server.app import create_app
    from smidgen.server.process import take_port, url_of
    from smidgen.server.settings import ListenSettings, ServeSettings

    sockets = [take_port(ListenSettings(port=0)) for _ in range(2)]
    desk, site = (url_of(one) for one in sockets)
    settings = WidgetSettings(name="Fern & Hearth", origins=(site,), site=f"{site}/", messages_a_minute=1_000, starts_an_hour=100_000)
    with ConversationStore(f"sqlite:///{folder / 'conversations.db'}") as store:
        served = ServedDesk(FixedDesk(), store, settings)
        apps = [
            create_app([], ServeSettings(port=0, access_log=False, account=False), shown=[served]),
            sample_site(f"{desk}/desk/widget.js", "shop"),
        ]
        with contextlib.ExitStack() as stack:
            for app, socket in zip(apps, sockets, strict=True):
                stack.enter_context(_served(app, socket))
            yield site


@contextlib.contextmanager
def _served(app: Any, bound: Any) -> Iterator[None]:
    import uvicorn

    from smidgen.server.process import config_of

    server = uvicorn.Server(config_of(app, 1.0))
    thread = threading.Thread(target=server.run, args=([bound],), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(20)


class FixedDesk:
    """A desk that always says the same."""

    name = "shop"
    greeting: Mapping[str, str] = {"en": "Hello! Ask me about delivery, returns or an order."}

    def answer(self, conversation: Any, message: str) -> Any:
        """The fixed answer."""
        from smidgen.core.conversations import DeskAnswer, DeskReply

        return DeskAnswer(DeskReply("answered", ANSWER), conversation.state)

    def decide(self, conversation: Any, call: str, yes: bool) -> Any:
        """Not asked in this bench."""
        raise NotImplementedError
