"""The Studio by keyboard alone, in Chromium: every control can be reached and seen to be reached, and a model is made without a mouse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.studio_browser import RunningStudio, browsing, needed, running_studio
from tests.tried_model import LINEAR, ticket_rows

pytestmark = [*needed, pytest.mark.thorough]
PAGES = (
    "data",
    "data?view=findings",
    "label",
    "build",
    "report",
    "try?text=the+parcel+is+late",
    "run",
    "learn",
    "costs",
    "canvas",
    "canvas?view=text",
)
MOST_TABS = 400
SCRIPT = """
  const named = (it) => it.localName + " " + String(it.getAttribute("aria-label") || it.innerText || it.id || it.className).slice(0, 60);
  const shown = (it) => it.checkVisibility({visibilityProperty: true}) && it.getClientRects().length > 0;
  const all = "a[href], button, input, select, textarea, summary, [tabindex], [role=button], [role=link], [role=slider], [role=switch]";
  const usable = (it) => shown(it) && !it.disabled && !it.closest("[inert], [aria-hidden=true]") && it.getAttribute("tabindex") !== "-1";
  const ringed = (it) => {
    const {outlineStyle, outlineWidth, boxShadow} = getComputedStyle(it);
    return (outlineStyle !== "none" && parseFloat(outlineWidth) > 0) || boxShadow !== "none";
  };
"""
CONTROLS = f"""() => {{ {SCRIPT}
  const inGroup = "[role=radio], [role=tab], [role=menuitem], [role=option], input[type=radio]";
  return [...document.querySelectorAll(all)].filter((it) => usable(it) && !it.matches(inGroup))
    .map((it, number) => {{ it.dataset.control = number; return named(it); }});
}}"""
"""Numbers the controls that are shown and may be used. In a group of radio buttons arrow keys move, so that Tab reaches one of them."""
FOCUSED = f"""() => {{ {SCRIPT}
  const it = document.activeElement;
  if (it === null || it === document.body) return null;
  const places = [it, it.closest("label"), it.parentElement, it.nextElementSibling];
  const wire = it.matches(".react-flow__edge:focus-visible"); // drawn in another colour
  return {{ control: it.dataset.control, seen: wire || places.some((one) => one && ringed(one)), name: named(it) }};
}}"""
CLICKABLE = f"""() => {{ {SCRIPT}
  const control = all + ", label, [role=grid], [role=radio], [role=menuitem]";
  const alone = (it) => !it.closest(control) && !it.querySelector(control);
  return [...document.querySelectorAll("main *")].filter((it) => shown(it) && getComputedStyle(it).cursor === "pointer" && alone(it))
    .map(named);
}}"""
"""Elements that look clickable and are no control."""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with running_studio(tmp_path_factory.mktemp("home")) as running:
        yield running


def tickets(folder: Path) -> Path:
    file = folder / "tickets.csv"
    rows = [f"{row.input},{row.output if number % 9 else ''}" for number, row in enumerate(ticket_rows())]
    file.write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def project(studio: RunningStudio, tmp_path_factory: pytest.TempPathFactory) -> str:
    made = str(studio.client.create_project("Tickets", "classify")["id"])
    studio.client.add_file(made, tickets(tmp_path_factory.mktemp("data")), input="text", label="label")
    studio.client.build(made, LINEAR, timeout=300)
    return made


@pytest.mark.parametrize("place", ["/", "/accounts", *PAGES])
def test_every_control_is_reached(studio: RunningStudio, project: str, place: str) -> None:
    with browsing(studio) as browser:
        page = browser.page
        browser.goto(place if place.startswith("/") else f"/projects/{project}/{place}")
        page.get_by_role("heading", level=1).first.wait_for(state="attached")
        page.wait_for_load_state("networkidle")
        controls: list[str] = page.evaluate(CONTROLS)
        reached: set[int] = set()
        unseen: list[str] = []
        page.evaluate("document.activeElement.blur()")
        for _ in range(MOST_TABS):
            page.keyboard.press("Tab")
            found = page.evaluate(FOCUSED)
            if found is None:
                break
            if not found["seen"]:
                unseen.append(found["name"])
            if found["control"] is not None:
                reached.add(int(found["control"]))
        else:
            pytest.fail("the focus never comes to the end of the page")
        missed = [name for number, name in enumerate(controls) if number not in reached]
        assert (missed, unseen, page.evaluate(CLICKABLE)) == ([], [], []) and len(controls) > 5


def press(page: Any, role: str, name: str, exact: bool = True) -> None:
    """Go to a control by Tab, and press Enter."""
    wanted = page.get_by_role(role, name=name, exact=exact).first
    wanted.wait_for()
    for _ in range(MOST_TABS):
        if wanted.evaluate("(it) => it === document.activeElement"):
            break
        page.keyboard.press("Tab")
    else:
        pytest.fail(f"Tab does not reach {name}")
    page.keyboard.press("Enter")


def test_a_model_is_made_without_a_mouse(studio: RunningStudio) -> None:
    """From the first page to an answer. The rows are pasted: a file is chosen in a window of the system, which has its own keys."""
    with browsing(studio) as browser:
        page = browser.page
        press(page, "button", "Sort messages", exact=False)
        page.get_by_role("dialog").wait_for()
        page.keyboard.type("By keys")
        page.keyboard.press("Enter")
        press(page, "button", "Paste rows")
        page.get_by_role("dialog").get_by_role("textbox").wait_for()
        page.keyboard.insert_text("\n".join(["text\tlabel", *(f"{row.input}\t{row.output}" for row in ticket_rows())]))
        press(page, "button", "Read them")
        press(page, "button", "Add these rows")
        grid = page.get_by_role("grid")
        grid.wait_for()
        project = next(one["id"] for one in studio.client.projects() if one["name"] == "By keys")
        studio.client.call("PUT", f"projects/{project}/recipe", {"tree": {"name": "keys", "task": "classify", **LINEAR}})
        press(page, "link", "Build")
        page.get_by_role("heading", level=1, name="Build").wait_for()
        press(page, "button", "Build a model")
        page.get_by_role("table").get_by_role("link", name="Report").wait_for(timeout=240_000)
        press(page, "link", "Report")
        page.get_by_text("test rows").first.wait_for()
        press(page, "link", "Try")
        box = page.get_by_role("textbox", name="Your text")
        box.wait_for()
        for _ in range(MOST_TABS):
            if box.evaluate("(it) => it === document.activeElement"):
                break
            page.keyboard.press("Tab")
        page.keyboard.type("the parcel for my tent is late")
        page.get_by_text("Which words mattered").wait_for()
        assert "delivery" in page.inner_text("main")
