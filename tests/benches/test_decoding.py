"""The benches of decoding and of smaller models: what they make of what was measured."""

from __future__ import annotations

import json
import xml.dom.minidom
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bench import decoding, shrinking, shrinking_plot
from bench.context import Context
from bench.shrinking_plot import Point


def ran(speed: float, texts: list[str], many: float | None = None) -> dict[str, Any]:
    """A side's answer."""
    told = {"1": {"tokens_per_second": speed, "tokens": 9, "texts": texts}}
    return told if many is None else {**told, "8": {"tokens_per_second": many, "tokens": 9, "texts": texts}}


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(tmp_path, tmp_path, tmp_path / "RESULTS.md", (0,), None, 1, False, False, "none", (), 1.0, "python -m bench decoding")


def test_the_page_of_decoding(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding.decoders, "size_mb", lambda folder: 63.4)
    models = {form: tmp_path / form for form in decoding.FORMS}
    beside = {
        "stream": [ran(97, ["a", "b"], 90), ran(98, ["a", "b"], 90)],
        "list": [ran(99, ["a", "b"], 99)],
        "bare": [ran(80, ["a", "x"], 100)],
        "same": [ran(100, ["a", "b"], 80), {"trouble": "same: exit 1"}],
    }
    cut = {"whole q8-0": [ran(100, ["a"])], "trimmed q8-0": [ran(121, ["a"])], "whole q4-0": [], "trimmed q4-0": []}
    drafted = {"none": [ran(100, ["a", "b"])], "lookup": [ran(160, ["a", "c"])]}
    section = decoding.results.Section("decoding", "How fast", "About.", decoding.COLUMNS)
    decoding._publish(context, section, beside, cut, drafted, 8, models, models)
    goals = {goal.what: (goal.got, goal.met) for goal in section.goals}
    assert goals["one text at a time, streamed, against the faster of the two in process"] == ("97.5%", True)
    assert goals["8 clients, streamed, against the faster of the two in process"] == ("90.0%", False)
    assert goals["8 at once, a list, against the faster of the two in process"] == ("99.0%", True)
    assert goals["trimmed against whole, q8-0"] == ("1.21 times", True)
    assert goals["trimmed against whole, q4-0"] == ("", None)
    assert goals["drafting against none, corrections"] == ("1.60 times", True)
    assert goals["texts with drafting as without"] == ("1 of 2 the same", False)
    page = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert "its own settings 1 of 2 the same" in page and "the engine's settings 2 of 2 the same" in page
    assert "Note: same: exit 1" in page and "q8-0, vocabulary trimmed" in page and "97.0, 98.0" in page


POINTS = [
    Point(model, form, 270.0 - 90 * at, 50.0 + 60 * at, (50.0,), (0.68 - 0.02 * at, 0.6, 0.7))
    for model in ("whole vocabulary", "trimmed")
    for at, form in enumerate(("f16", "q4-0"))
]


def test_the_plot_holds_every_point_and_has_a_dark_side() -> None:
    drawn = shrinking_plot.draw(POINTS)
    page = xml.dom.minidom.parseString(drawn)
    marks = [node for name in ("circle", "rect") for node in page.getElementsByTagName(name) if node.getAttribute("class") == "dot"]
    assert len(marks) == 2 * (len(POINTS) + 1), "two panels, and a key of two models"
    assert drawn.count("whole vocabulary, f16</title>") == 2 and "prefers-color-scheme: dark" in drawn
    assert shrinking_plot.draw([POINTS[0], Point("trimmed", "f16", 200.0, None, (), None)]) == ""


@pytest.mark.parametrize(("low", "high", "ends"), [(0.61, 0.64, (0.6, 0.7)), (0.6, 0.7, (0.6, 0.7)), (0.31, 0.66, (0.3, 0.7))])
def test_an_axis_ends_at_round_numbers(low: float, high: float, ends: tuple[float, float]) -> None:
    assert shrinking_plot.ticked(low, high) == pytest.approx(ends)


def test_the_documentation_shows_what_was_measured() -> None:
    page = shrinking.PAGE.read_text(encoding="utf-8")
    once = shrinking.shown(page, POINTS)
    assert "images/shrinking.svg" in once and "| trimmed | q4-0 | 180.0 | 110 | 50 | 0.660 | 0.600 to 0.700 |" in once
    assert shrinking.shown(once, POINTS) == once and once.startswith(page.split("<!-- shrinking -->")[0])


def test_rouge_is_against_the_best_reference() -> None:
    value, low, high = shrinking.rouge(["a cat sat", "x"], {"one": ["a cat sat", "b"], "two": ["y"]})
    assert (value, low, high) == pytest.approx((0.5, 0.0, 1.0))


def test_an_input_is_taught_or_tested_on_and_never_both(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(f"name[{number}]", f"text {way}") for number in range(60) for way in range(3)]
    monkeypatch.setattr(shrinking.data, "e2e", lambda folder, part: rows)
    train, test, wanted = shrinking._split(context)
    taught = {line.split(",")[0] for line in train.read_text(encoding="utf-8").splitlines()[1:]}
    assert len(wanted) == shrinking.TEST and len(taught) == 60 - shrinking.TEST and not taught & set(wanted)
    assert all(len(texts) == 3 for texts in wanted.values()) and len(test.read_text(encoding="utf-8").splitlines()) == shrinking.TEST


def test_what_a_build_was_asked_for_is_measured_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    report = {
        "alternatives": [{"name": "q4-0", "chosen": True, "size_mb": 1.0, "tokens_per_second": 999.0}],
        "student": {"chosen_because": "x"},
    }
    (tmp_path / "report.json").write_text(json.dumps(report), encoding="utf-8")
    monkeypatch.setattr(shrinking, "_build", lambda *given: (tmp_path, {"trouble": ""}))
    monkeypatch.setattr(shrinking, "_side", lambda *given: {"1": {"tokens_per_second": 10.0}})
    monkeypatch.setattr(shrinking.decoders, "size_mb", lambda folder: 500.0)
    points = [Point("trimmed", form, 100.0 + 10 * n, 100.0, (100.0,), None) for n, form in enumerate(shrinking.FORMS)]
    section: Any = SimpleNamespace(notes=[])
    asked = list(shrinking._asked(None, section, points, (tmp_path, tmp_path), ["a"]))  # type: ignore[arg-type]
    assert [(one.met, one.got) for one in asked] == [(False, "500: x"), (False, "10: x")] and not section.notes
    assert list(shrinking._asked(None, section, points[:4], (tmp_path, tmp_path), ["a"])) == []  # type: ignore[arg-type]
    assert "4 were measured" in section.notes[0]
