"""The chart of a break-even: a whole SVG file whose labels do not meet, whatever the sums."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from tests.usage.test_break_even import CASE

from smidgen.judge.charts import standalone
from smidgen.judge.month_chart import month_chart
from smidgen.usage.break_even import CostCase, compute_break_even

SVG = "{http://www.w3.org/2000/svg}"


def chart(case: CostCase, model: str = "Claude Haiku 5.5") -> ElementTree.Element:
    return ElementTree.fromstring(standalone(month_chart(compute_break_even(case), model, "100,000 requests a month", "small print")))


def texts(svg: ElementTree.Element) -> list[tuple[float, float, str, str]]:
    """Left, height, words and class of each text; those that end at their place begin so much to the left of it."""
    found = []
    for text in svg.iter(f"{SVG}text"):
        words, anchor = text.text or "", text.get("text-anchor")
        width = 7.0 * len(words)
        left = float(text.get("x", 0)) - {"end": width, "middle": width / 2}.get(anchor or "", 0.0)
        found.append((left, float(text.get("y", 0)), words, text.get("class") or ""))
    return found


def test_it_says_what_was_reckoned() -> None:
    svg = chart(CASE)
    words = [text for _, _, text, _ in texts(svg)]
    assert {"Claude Haiku 5.5 alone", "Small model alone", "Both", "$1,200", "$930", "$1,170"} < set(words)
    assert "Small model alone: pays back in month 2; Both: pays back in month 8" in words and {"month 2", "month 8"} < set(words)
    assert [text for _, _, text, kind in texts(svg) if kind == "heading"] == ["100,000 requests a month"]
    assert len(list(svg.iter(f"{SVG}circle"))) == 2
    assert svg.get("role") == "img" and "$930 after 12 months" in (svg.findtext(f"{SVG}desc") or "")


def test_it_brings_its_colours_with_it() -> None:
    style = chart(CASE).findtext(f"{SVG}style") or ""
    used = set(re.findall(r"var\((--[a-z]+)\)", style))
    assert len(used) > 5 and all(f"{name}:" in style for name in used)
    assert "prefers-color-scheme: dark" in style and ".chart .curve.llm" in style and "body" not in style


def test_a_note_that_would_lie_on_a_line_is_left_out() -> None:
    """What pays back in the first month has its lines right above the axis; the sentence says it."""
    svg = chart(replace(CASE, requests=1_000_000))
    words = [text for _, _, text, _ in texts(svg)]
    assert "Small model alone: pays back in month 1; Both: pays back in month 1" in words
    assert "month 1" not in words and len(list(svg.iter(f"{SVG}circle"))) == 2


@pytest.mark.parametrize(
    "case",
    [
        CASE,
        replace(CASE, share_local=1.0),
        replace(CASE, share_local=0.0),
        replace(CASE, requests=1000),
        replace(CASE, requests=73_000, build_usd=0.0),
        replace(CASE, growth=0.3, months=36),
        replace(CASE, months=1, build_usd=0.0),
        replace(CASE, usd_per_request=0.0, machine_usd_per_hour=0.0, build_usd=0.0),
        replace(CASE, requests=10**12, growth=1.0, months=120),
    ],
)
def test_labels_do_not_meet(case: CostCase) -> None:
    svg = chart(case, "A large model with a very long name indeed")
    names = sorted((height, left, text) for left, height, text, kind in texts(svg) if kind.startswith("label "))
    heights = [height for height, _, text in names if not text.startswith("month ")]
    assert len(heights) == 3 and all(later - earlier > 30 for earlier, later in pairwise(heights))
    notes = [height for height, _, text in names if text.startswith("month ")]
    assert all(later - earlier > 15 for earlier, later in pairwise(notes))
    _, _, width, height = (float(part) for part in (svg.get("viewBox") or "").split())
    assert all(left >= 0 and 0 < at < height and left + 20 < width for left, at, _, _ in texts(svg))
