"""How fast the Studio's pages are, in Chromium, on large data."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.house.conftest import ROOT
from tests.studio_browser import RunningStudio, browsing, close_chromium, needed, running_studio, with_bases

pytestmark = [*needed, pytest.mark.thorough]
MOST_FRAME_MS = 20.0
MOST_FIRST_ANSWER_SECONDS = 60.0
BANKING = ROOT.parent / "shared" / "data" / "banking77" / "train.csv"
FRAMES = """async ([selector, step]) => {
  const place = document.querySelector(selector);
  place.scrollTop = 0;
  const times = [];
  let last = await new Promise(requestAnimationFrame);
  for (let frame = 0; frame < 120; frame += 1) {
    place.scrollTop += step;
    const now = await new Promise(requestAnimationFrame);
    times.push(now - last);
    last = now;
  }
  return times;
}"""

BEGIN = """() => {
  window.seen = [];
  cancelAnimationFrame(window.next);
  const note = (now) => { window.seen.push(now); window.next = requestAnimationFrame(note); };
  note(performance.now());
}"""


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with running_studio(tmp_path_factory.mktemp("home")) as running:
        yield running


def least(measure: Callable[[], float]) -> float:
    """The least of up to three measurements: the machine may be busy with something else."""
    found = measure()
    for _ in range(2):
        if found > MOST_FRAME_MS:
            found = min(found, measure())
    return found


def median_frame(page: Any, selector: str, step: int) -> float:
    """While an element scrolls, by so many pixels a frame."""
    return least(lambda: statistics.median(page.evaluate(FRAMES, [selector, step])))


def median_frame_of_hover(page: Any, selector: str) -> float:
    """While the mouse moves over an element."""
    return least(lambda: hover(page, selector))


def hover(page: Any, selector: str) -> float:
    box = page.locator(selector).first.bounding_box()
    page.evaluate(BEGIN)
    for step in range(120):
        page.mouse.move(box["x"] + 20 + (step * 7) % (box["width"] - 40), box["y"] + 20 + (step * 5) % (box["height"] - 40))
    times: list[float] = page.evaluate("window.seen")
    assert len(times) > 40
    return statistics.median(after - before for before, after in itertools.pairwise(times))


def test_the_first_view_is_there_within_a_second(studio: RunningStudio) -> None:
    """From an empty cache, in a browser that has just started; the best of three, since the machine may be busy."""
    times = []
    for _ in range(3):
        close_chromium()
        with browsing(studio) as browser:
            browser.page.get_by_role("heading", level=1).wait_for()
            browser.page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
            times.append(browser.page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
    print("first view", times)
    assert min(times) < 1_000


def test_a_hundred_thousand_rows_scroll(studio: RunningStudio, tmp_path: Path) -> None:
    project = studio.client.create_project("Many rows", "classify")["id"]
    file = tmp_path / "many.csv"
    lines = [f"message number {number} about topic {number % 77},topic {number % 77}" for number in range(100_000)]
    file.write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    assert studio.client.add_file(project, file)["version"]["rows"] == 100_000
    with browsing(studio) as browser:
        browser.goto(f"/projects/{project}/data")
        browser.page.get_by_text("message number 0 ").wait_for()
        slow = [median_frame(browser.page, '[role="grid"]', step) for step in (40, 400, 20_000)]
        browser.page.get_by_text("message number 60005 ").wait_for()  # the rows where the last scroll ended
        slow.append(median_frame_of_hover(browser.page, '[role="grid"]'))
        print("frames", slow)
        assert max(slow) <= MOST_FRAME_MS and len(slow) == 4


def test_a_confusion_map_of_150_labels_scrolls(studio: RunningStudio, tmp_path: Path) -> None:
    project = studio.client.create_project("Many labels", "classify")["id"]
    file = tmp_path / "labels.csv"
    lines = [f"word{(label + row // 12) % 150} and w{row},label {label}" for label in range(150) for row in range(14)]
    file.write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    studio.client.add_file(project, file)
    studio.client.build(project, {"student": {"kind": "linear", "baseline": "none"}}, timeout=300)
    with browsing(studio) as browser:
        browser.goto(f"/projects/{project}/report")
        place = browser.page.get_by_role("region", name="Map of")
        place.wait_for()
        for whole in browser.page.get_by_role("button", name="Show the whole map").all():  # none where every label is mistaken
            whole.click()
        place.scroll_into_view_if_needed()
        browser.page.wait_for_timeout(500)
        assert place.locator("[class*=rows] > span").count() == 150
        slow = [median_frame(browser.page, "[role=region][class*=scroll]", step) for step in (6, 30)]
        slow.append(median_frame_of_hover(browser.page, "[role=region][class*=scroll]"))
        assert browser.page.locator("[class*=tip]").filter(has_text="label").count() == 1, "the mouse was over cells"
        print("map frames", slow)
        assert max(slow) <= MOST_FRAME_MS and len(slow) == 3


@pytest.mark.skipif(not BANKING.is_file(), reason="the data is not here")
def test_a_first_answer_comes_within_a_minute(tmp_path: Path) -> None:
    """From dropping the file of BANKING77 on the page to the first accuracy on it, with the encoder."""
    with running_studio(with_bases(tmp_path)) as running, browsing(running) as browser:
        page, project = browser.page, running.client.create_project("Bank", "classify")["id"]
        browser.goto(f"/projects/{project}/data")
        page.get_by_text("Drop your examples here").wait_for()
        began = time.monotonic()
        browser.drop('[role="group"][aria-label="Drop your examples here"]', "train.csv", BANKING.read_text(encoding="utf-8"))
        page.get_by_role("button", name="Add these rows").click()
        page.get_by_text("I would answer").first.wait_for(timeout=3 * 1000 * MOST_FIRST_ANSWER_SECONDS)
        took = time.monotonic() - began
        print("first answer", took, "seconds")
        look = running.client.call("GET", f"projects/{project}/look")
        assert took < MOST_FIRST_ANSWER_SECONDS and look["by"] == "meaning" and look["answer"]["accuracy"]["value"] > 0.85
