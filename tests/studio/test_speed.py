"""How fast the Studio's pages are, in Chromium, on large data."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.studio_browser import RunningStudio, browsing, needed, running_studio

pytestmark = [*needed, pytest.mark.thorough]
MOST_FRAME_MS = 20.0
FRAMES = """async ([selector, step]) => {
  const place = document.querySelector(selector);
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


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStudio]:
    with running_studio(tmp_path_factory.mktemp("home")) as running:
        yield running


def median_frame(page: Any, selector: str, step: int) -> float:
    return statistics.median(page.evaluate(FRAMES, [selector, step]))


def test_the_first_view_is_there_within_a_second(studio: RunningStudio) -> None:
    """From an empty cache; the best of three, since the machine may be busy."""
    times = []
    for _ in range(3):
        with browsing(studio) as browser:
            browser.page.get_by_role("heading", level=1).wait_for()
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
        print("frames", slow)
        assert max(slow) <= MOST_FRAME_MS and len(slow) == 3
