"""The baseline never takes longer than it is worth: timed first, asked for as much as fits, left out where nobody wants it."""

from __future__ import annotations

import csv
import math
import time
from pathlib import Path
from typing import Any

import pytest
from tests.students.tiny_decoder import tiny_decoder

from smidgen.core.errors import RecipeError
from smidgen.flows.build import timing
from smidgen.flows.build.pipeline import build
from smidgen.flows.build.student_plan import students_to_train
from smidgen.flows.build.timing import (
    BASELINE_FEWEST,
    BASELINE_SHARE,
    BaselineSample,
    Timing,
    is_worth_timing,
    measure_speed,
    plan_baseline,
    sample_baseline,
)
from smidgen.judge import writer_wording
from smidgen.judge.report import read
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe, make


class Heard:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.said: list[str] = []

    def start(self, step: str, total: int | None = None) -> None:
        self.steps.append(step)

    def advance(self, units: int = 1, **facts: float | str) -> None: ...

    def finish(self, note: str = "") -> None: ...

    def say(self, text: str) -> None:
        self.said.append(text)


def wanted(**sections: Any) -> Recipe:
    return make({"task": "write", **sections})


def test_it_takes_a_tenth_of_the_training_at_most() -> None:
    seen = 0
    for training in (5.0, 60.0, 600.0, 1560.0, 20_000.0):
        for each in (0.02, 0.5, 2.0, 22.0, 40.0):
            found = sample_baseline(each, BASELINE_SHARE * training, 36, 64, needed=False)
            if found is None:
                # Not even the fewest texts that show anything would have been written in time.
                assert (BASELINE_FEWEST + 2) * each > 0.7 * BASELINE_SHARE * training
                continue
            seen += 1
            assert found.texts * each <= BASELINE_SHARE * training and found.test >= BASELINE_FEWEST and found.held >= 2
    assert seen == 13
    assert sample_baseline(0.02, BASELINE_SHARE * 600, 36, 64, needed=False) == BaselineSample(32, 64, True), (
        "a quick one is asked for all that are compared"
    )


def test_a_slow_one_is_asked_for_the_fewest_where_a_gate_needs_it() -> None:
    # 26 minutes of training; a text in 22 seconds: half an hour for all of them.
    assert sample_baseline(22.0, BASELINE_SHARE * 1560, 36, 64, needed=False) is None
    assert sample_baseline(22.0, BASELINE_SHARE * 1560, 36, 64, needed=True) == BaselineSample(2, BASELINE_FEWEST, False)
    assert sample_baseline(22.0, math.inf, 36, 64, needed=False) == BaselineSample(32, 64, True)


def test_the_build_says_what_it_takes_before_it_asks() -> None:
    slow, heard = Timing(22_000.0, 25_000.0, 1 / 22, 1), Heard()
    assert plan_baseline(wanted(), "prompted", slow, BASELINE_SHARE * 1560, 36, 64, heard) is None
    assert plan_baseline(wanted(gate={"must_beat_baseline": True}), "prompted", slow, BASELINE_SHARE * 1560, 36, 64, heard) is not None
    assert plan_baseline(wanted(), "prompted", Timing(500.0, 600.0, 2.0, 8), BASELINE_SHARE * 1560, 36, 64, heard) == BaselineSample(
        32, 64, True
    )
    assert "is not measured: it writes a text in 22" in heard.said[0] and "--baseline full" in heard.said[0]
    assert "is asked for 10 texts" in heard.said[1] and "gate.must_beat_baseline needs them" in heard.said[1]
    assert "is asked for 160 texts, about 80" in heard.said[2] and "10% of the training time is 2" in heard.said[2]
    full = wanted(student={"baseline": "full"})
    assert timing.baseline_seconds(full, 60.0) == math.inf and timing.baseline_seconds(wanted(), 60.0) == pytest.approx(6.0)


def test_a_base_is_not_even_loaded_where_there_is_no_time_to_ask_it() -> None:
    """Loading and timing it took 80 seconds on a busy machine, beside a training of 150."""
    heard, gate = Heard(), wanted(gate={"must_beat_baseline": True})
    assert not is_worth_timing(wanted(), "prompted", BASELINE_SHARE * 90, None, 36, 64, heard), "loading alone takes longer than 9 seconds"
    assert not is_worth_timing(wanted(), "prompted", BASELINE_SHARE * 150, 1.7, 36, 64, heard), "the taught one took 1.7 seconds for a text"
    assert len(heard.said) == 2 and all("is not measured" in line and "--baseline full" in line for line in heard.said)
    assert is_worth_timing(wanted(), "prompted", BASELINE_SHARE * 1560, 1.7, 36, 64, heard) and is_worth_timing(
        gate, "prompted", 1.0, 9.0, 36, 64, heard
    )
    assert is_worth_timing(wanted(student={"baseline": "full"}), "prompted", math.inf, 9.0, 36, 64, heard) and len(heard.said) == 2


def test_timing_a_slow_writer_ends() -> None:
    class Slow:
        asked = 0

        def run(self, inputs: Any) -> dict[str, Any]:
            self.asked += len(inputs)
            time.sleep(0.05 * len(inputs))
            return {"tokens": [10.0] * len(inputs)}

    slow, quick = Slow(), Slow()
    found = measure_speed(slow, ["a", "b", "c"], seconds=0.1)  # type: ignore[arg-type]
    assert slow.asked <= 4 and found.batch == 1 and found.texts_per_second == pytest.approx(20, rel=0.3)
    most = timing._WRITTEN_BATCH
    assert measure_speed(quick, ["a", "b", "c"]).batch == most and quick.asked == 1 + timing._WRITTEN_SINGLES + most  # type: ignore[arg-type]


def test_none_is_trained_where_none_is_wanted() -> None:
    task, heard = registry.find("tasks", "write"), Heard()
    assert students_to_train(wanted(), task, {}, heard) == ["decoder", "prompted"]
    assert students_to_train(wanted(student={"baseline": "none"}), task, {}, heard) == ["decoder"]
    assert students_to_train(wanted(student={"baseline": "none", "kind": "prompted"}), task, {}, heard) == ["prompted"], (
        "asked for, it is the student"
    )
    with pytest.raises(RecipeError, match="no baseline is to be trained"):
        students_to_train(wanted(student={"baseline": "none"}, gate={"must_beat_baseline": True}), task, {}, heard)


def corrections(folder: Path, **student: Any) -> Recipe:
    """Drafts with one wrong word, and the same without; a tiny base to learn from."""
    with (folder / "train.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["draft", "corrected"])
        for colour in ("red", "blue", "green", "black", "white", "grey", "pink", "gold"):
            for thing in ("vase", "lamp", "rug", "bowl", "chair", "mug"):
                writer.writerow([f"the {colour} {thing} are here and it is nice", f"the {colour} {thing} is here and it is nice"])
    return make(
        {
            "name": "corrections",
            "task": "write",
            "data": {"train": str(folder / "train.csv"), "input": "draft", "label": "corrected", "holdout": 0.15, "test_share": 0.25},
            "base": {"name": str(tiny_decoder(folder / "base"))},
            "student": student,
            "train": {"epochs": 4, "learning_rate": 0.01, "precision": "f32", "vocabulary": "trimmed", "frequent_tokens": 1024},
            "compress": {"method": "none"},
            "gate": {"max_loss": 1.0},
        }
    )


def test_a_correction_is_held_against_the_draft_left_as_it_is(tmp_path: Path) -> None:
    """Teaching is credited with what it adds to the draft left alone; and no base is asked where none is wanted."""
    heard = Heard()
    build(corrections(tmp_path, baseline="none"), tmp_path / "out", threads=1, progress=heard)
    report = read(tmp_path / "out" / "report.json")
    assert report.baseline is None and not [step for step in heard.steps if "prompted" in step or "base" in step]
    assert {row.student for row in report.alternatives} == {"decoder", "unchanged"}
    unchanged = report.unchanged
    assert unchanged is not None and unchanged.change is not None and report.strongest == unchanged
    # Seven of eight words are right.
    assert unchanged.metrics["rougeL"].value == pytest.approx(8 / 9, abs=0.01)
    gain = report.metrics["rougeL"].value - unchanged.metrics["rougeL"].value
    assert unchanged.change.value == pytest.approx(gain, abs=1e-6)
    assert "the input given back unchanged" in writer_wording.verdict(report)[1]
    page, card = ((tmp_path / "out" / name).read_text(encoding="utf-8") for name in ("report.html", "README.md"))
    assert "Input unchanged" in page and '<th scope="row">input unchanged</th>' in page
    assert "baseline (the input given back unchanged)" in card and "baseline (none)" not in card
