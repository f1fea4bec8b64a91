"""The chat in Chromium, on the sample shop: by keyboard on a phone, through a restart, through lost connections, in every theme."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.desk.routes.sample_desk import SampleDesk
from tests.desk.routes.serving import ShownDesk, serving, shop, shown_desk
from tests.studio_browser import AXE, CHROMIUM, SIZES, TELL_VIOLATIONS, chromium, close_chromium

from smidgen.desk.routes.sample_site import sample_site
from smidgen.server.process import take_port, url_of
from smidgen.server.settings import ListenSettings

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    """Close the browser after the last test: its driver keeps an event loop running, which other tests of this process cannot have."""
    yield
    close_chromium()


QUESTION = "How long does standard delivery take?"


class ShopPage:
    """A page of the shop in a browser, and the chat's frame on it. `faults`: errors of scripts, broken policies, calls elsewhere."""

    def __init__(self, page: Any, desk: ShownDesk, site: str) -> None:
        self.page, self.desk, self.site = page, desk, site
        self.frame = page.frame_locator("smidgen-desk iframe")
        self.faults: list[str] = []

    @property
    def focused(self) -> str:
        """The id, or else the class, of what has the focus in the frame."""
        found: str = self.inner.evaluate("document.activeElement?.id || document.activeElement?.className || ''")
        return found

    @property
    def inner(self) -> Any:
        return next(frame for frame in self.page.frames if "/frame" in frame.url)

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def tab_to(self, wanted: str, most: int = 40, key: str = "Tab") -> None:
        """Press Tab until the element that fits the selector has the focus."""
        for _ in range(most):
            if self.inner.evaluate("wanted => document.activeElement?.matches(wanted) ?? false", wanted):
                return
            self.page.keyboard.press(key)
        raise AssertionError(f"{wanted} cannot be reached by {key}")

    def ask(self, text: str) -> Any:
        """Ask by keyboard, and wait for the desk's answer."""
        before = self.frame.locator(".message.desk:not(.typing)").count()
        self.frame.locator("#input").focus()
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")
        answer = self.frame.locator(".message.desk:not(.typing)").nth(before)
        answer.wait_for()
        return answer

    def embed(self, language: str = "en", **data: str) -> None:
        """Put the chat's script on the page once more, with these attributes."""
        begin = """([language, data]) => {
          const before = document.querySelector("script[data-desk]"), script = document.createElement("script");
          document.querySelector("smidgen-desk").remove();
          delete window.smidgenDesk;
          document.documentElement.lang = language;
          Object.assign(script.dataset, {desk: "shop", ...data});
          script.src = before.src;
          before.replaceWith(script);
        }"""
        self.page.locator("smidgen-desk .launcher").wait_for()
        self.page.evaluate(begin, [language, data])

    def axe(self) -> list[str]:
        """Serious and critical findings in the frame."""
        if self.inner.evaluate("typeof axe") == "undefined":
            self.inner.evaluate(AXE.read_text(encoding="utf-8"))
        found = self.inner.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{one['id']}: {[(node['target'], node['failureSummary'][:200]) for node in one['nodes']][:2]}"
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]


@contextmanager
def shop_page(desk: ShownDesk, site: str, size: str = "narrow", path: str = "/index.html", **context: Any) -> Iterator[ShopPage]:
    width, height = SIZES[size]
    opened = chromium().new_context(viewport={"width": width, "height": height}, reduced_motion="reduce", **context)
    opened.set_default_timeout(20_000)
    opened.add_init_script(TELL_VIOLATIONS)
    found = ShopPage(opened.new_page(), desk, site)
    try:
        found.page.on("console", lambda said: said.type in ("error", "warning") and found.faults.append(f"console: {said.text}"))
        found.page.on("pageerror", lambda error: found.faults.append(f"error: {error}"))
        found.page.on("request", lambda it: it.url.startswith((desk.url, site, "data:")) or found.faults.append(f"left: {it.url}"))
        found.page.goto(site + path)
        yield found
        assert opened.cookies() == []
    finally:
        opened.close()
    assert found.faults == []


def test_a_visitor_on_a_phone_gets_along_by_keyboard_alone(tmp_path: Path) -> None:
    with shop(tmp_path) as (desk, site), shop_page(desk, site) as at:
        page, frame = at.page, at.frame
        launcher = page.locator("smidgen-desk .launcher")
        launcher.focus()
        at.keys("Enter")
        frame.locator(".message.desk").wait_for()
        box = page.locator("smidgen-desk .panel").bounding_box()
        assert box is not None and (box["x"], box["width"], box["height"]) == (0, 390, 844)
        page.wait_for_function("document.activeElement.localName === 'smidgen-desk'")
        assert at.focused == "input"
        answer = at.ask(QUESTION)
        at.tab_to(".chip", key="Shift+Tab")
        at.keys("Enter")
        passage = frame.locator("dialog.passage")
        assert passage.locator("mark").inner_text() == answer.locator(".bubble").inner_text()
        assert passage.locator(".place").inner_text() == "Delivery in the UK"
        assert passage.locator("a.page").get_attribute("href") == f"{site}/policies.html#p2-1"
        assert passage.locator("a.page").get_attribute("rel") == "noopener noreferrer"
        at.keys("Escape")
        passage.wait_for(state="detached")
        assert at.focused == "chip"
        at.tab_to(".thumb")
        at.keys("Enter")
        frame.locator(".thumb[aria-pressed=true]").wait_for()
        at.ask("Please cancel order FH-20105")
        at.ask("Please cancel order FH-20110")
        assert [one.get_attribute("class") for one in frame.locator(".consent").all()] == ["card consent settled", "card consent"]
        assert frame.locator(".consent dd").last.inner_text() == "FH-20110" and desk.desk.ran == []
        at.tab_to(".consent .strong:enabled", key="Shift+Tab")
        at.keys("Enter")
        frame.get_by_text("Your order is cancelled").wait_for()
        assert at.focused == "log"
        assert len(desk.desk.ran) == 1 and frame.locator(".consent .strong").last.is_disabled()
        at.tab_to("#person")
        at.keys("Enter")
        frame.locator("#email").wait_for()
        page.keyboard.type("nia@example.com")
        at.keys("Enter")
        frame.get_by_text("or write to nia@example.com").wait_for()
        (head,) = desk.store.conversations().conversations
        desk.store.add_turn(head.id, "Hello, this is Ida.", "Ida")
        frame.locator(".message.person").get_by_text("Hello, this is Ida.").wait_for()
        assert at.axe() == []
        at.keys("Escape")
        page.locator("smidgen-desk .panel").wait_for(state="hidden")
        page.wait_for_function("document.querySelector('smidgen-desk').shadowRoot.activeElement?.className === 'launcher'")
        assert [one.verdict for one in desk.store.feedback(head.id)] == ["up"]


@pytest.mark.thorough
def test_the_conversation_lasts_over_pages_reloads_and_a_restart(tmp_path: Path) -> None:
    with shop(tmp_path) as (desk, site), shop_page(desk, site, "wide") as at:
        at.page.locator("smidgen-desk .launcher").click()
        answer = at.ask(QUESTION).locator(".bubble").inner_text()
        at.page.get_by_role("link", name="Policies").first.click()
        at.page.wait_for_url("**/policies.html")
        at.frame.get_by_text(answer).wait_for()
        assert at.frame.locator(".message").count() == 3
        at.page.reload()
        at.frame.get_by_text(answer).wait_for()
        at.frame.locator("#fresh").click()
        assert at.frame.locator(".message").count() == 1
        at.page.reload()
        at.frame.locator(".message.desk").wait_for()
        assert at.frame.locator(".message").count() == 1


@pytest.mark.thorough
def test_a_message_that_the_connection_loses_is_sent_again_and_answered_once(tmp_path: Path) -> None:
    with shop(tmp_path) as (desk, site), shop_page(desk, site, "wide") as at:
        at.page.locator("smidgen-desk .launcher").click()
        at.ask("Where is FH-20103?")
        lost = []

        def lose(route: Any) -> None:
            """The first two calls reach the desk, but their answers are lost on the way."""
            if len(lost) < 2:
                lost.append(route.fetch().status)
                route.abort()
            else:
                route.continue_()

        at.page.route("**/messages", lose)
        at.ask(QUESTION)
        assert lost == [200, 200] and desk.desk.heard == ["Where is FH-20103?", QUESTION]
        assert at.frame.locator(".message.customer").count() == 2
        assert at.frame.get_by_text("No connection").count() == 0
        at.faults[:] = [fault for fault in at.faults if "ERR_FAILED" not in fault]


@pytest.mark.thorough
def test_a_restart_of_the_server_is_told_and_the_visit_goes_on(tmp_path: Path) -> None:
    sockets = [take_port(ListenSettings(port=0)) for _ in range(2)]
    site, port = url_of(sockets[0]), sockets[1].getsockname()[1]
    sockets[1].close()
    server, pages = {"port": port}, sample_site(f"http://127.0.0.1:{port}/desk/widget.js", "shop")
    with serving(pages, bound=sockets[0]), ExitStack() as first:
        desk = first.enter_context(shown_desk(tmp_path, server=server))
        with shop_page(desk, site, "wide") as at:
            at.page.locator("smidgen-desk .launcher").click()
            at.ask(QUESTION)
            first.close()
            at.frame.locator("#input").fill("Where is FH-20103?")
            at.frame.locator("#input").press("Enter")
            at.frame.get_by_text("No connection").wait_for()
            with shown_desk(tmp_path, server=server) as again:
                at.frame.get_by_text("Here is your order.").wait_for()
                assert at.frame.get_by_text("No connection").count() == 0
                assert again.desk.heard == ["Where is FH-20103?"] and at.frame.locator(".message").count() == 5
            at.faults[:] = [fault for fault in at.faults if "ERR_CONNECTION_REFUSED" not in fault]


@pytest.mark.thorough
def test_axe_finds_nothing_in_any_size_theme_or_colour(tmp_path: Path) -> None:
    looked = 0
    with shop(tmp_path, starters=("Where is my order?",), starts_an_hour=1000) as (desk, site):
        for colour in ("#2f5d46", "#ffd400", "#ffffff"):
            for size in SIZES:
                for scheme in ("light", "dark"):
                    with shop_page(desk, site, size, color_scheme=scheme) as at:
                        at.embed(colour=colour, theme=scheme)
                        at.page.locator("smidgen-desk .launcher").click()
                        at.ask(QUESTION)
                        at.ask("I need a lamp")
                        at.ask("Please cancel order FH-20110")
                        assert at.axe() == [], (colour, size, scheme)
                        at.frame.locator("#person").click()
                        at.frame.locator("#email").wait_for()
                        assert at.axe() == [], (colour, size, scheme)
                        assert at.inner.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
                        looked += 1
    assert looked == 12


@pytest.mark.thorough
def test_what_documents_and_customers_say_is_never_markup(tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    with shop(tmp_path, SampleDesk(greeting={"en": evil}), name=evil[:40]) as (desk, site), shop_page(desk, site, "wide") as at:
        at.page.locator("smidgen-desk .launcher").click()
        at.ask(f"FH-20103 {evil}")
        assert at.frame.locator(".message.customer .bubble").inner_text() == f"FH-20103 {evil}"
        assert at.frame.locator(".message.desk .bubble").first.inner_text() == evil
        assert at.inner.evaluate("document.querySelectorAll('img, #log script').length") == 0


@pytest.mark.thorough
def test_a_page_that_is_not_allowed_shows_no_chat(tmp_path: Path) -> None:
    with shop(tmp_path, origins=["https://shop.example"]) as (_, site):
        opened = chromium().new_context()
        try:
            page = opened.new_page()
            page.goto(f"{site}/index.html")
            page.locator("smidgen-desk .launcher").click()
            page.wait_for_timeout(500)
            assert page.frame_locator("smidgen-desk iframe").locator("#input").count() == 0
        finally:
            opened.close()


@pytest.mark.thorough
def test_german_words_and_the_left_side(tmp_path: Path) -> None:
    with shop(tmp_path) as (desk, site), shop_page(desk, site, "wide") as at:
        at.embed("de", position="left")
        at.page.get_by_role("button", name="Chat mit uns").click()
        at.frame.get_by_placeholder("Stellen Sie eine Frage").wait_for()
        box = at.page.locator("smidgen-desk .panel").bounding_box()
        assert box is not None and (box["x"], box["width"], box["height"]) == (20, 400, 640)
