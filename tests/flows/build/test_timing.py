"""The baseline never takes longer than it is worth: timed first, asked for as much as fits, left out where nobody wants it."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from tests.build_steps import context, planned
from tests.students.tiny_decoder import copying_rows, tiny_decoder

from smidgen.bases.lookup import find
from smidgen.core.errors import RecipeError
from smidgen.core.parts import Base
from smidgen.core.progress import Silent
from smidgen.engines.llama_protocol import Piece
from smidgen.flows.build import timing, training
from smidgen.flows.build.pipeline import build
from smidgen.flows.build.student_plan import students_to_train
from smidgen.flows.build.timing import (
    BASELINE_FEWEST,
    BASELINE_SHARE,
    GUESS_SECONDS,
    GUESS_TOKENS,
    BaselineSample,
    Timing,
    guess_cost,
    is_worth_timing,
    measure_speed,
    plan_baseline,
    sample_baseline,
    with_guess_cost,
)
from smidgen.flows.build.work import Work
from smidgen.judge import wording
from smidgen.judge.report import read
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe, make
from smidgen.students.settings import DecoderSettings


class RecordedProgress:
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
    for seconds in (5.0, 60.0, 600.0, 1560.0, 20_000.0):
        for each in (0.02, 0.5, 2.0, 22.0, 40.0):
            found = sample_baseline(each, BASELINE_SHARE * seconds, 36, 64, needed=False)
            if found is None:
                # Not even the fewest texts that show anything would have been written in time.
                assert (BASELINE_FEWEST + 2) * each > 0.7 * BASELINE_SHARE * seconds
                continue
            seen += 1
            assert found.texts * each <= BASELINE_SHARE * seconds and found.test >= BASELINE_FEWEST and found.held >= 2
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
    slow, heard = Timing(22_000.0, 25_000.0, 1 / 22, 1), RecordedProgress()
    assert plan_baseline(wanted(), "prompted", slow, BASELINE_SHARE * 1560, 36, 64, heard) is None
    assert plan_baseline(wanted(gate={"must_beat_baseline": True}), "prompted", slow, BASELINE_SHARE * 1560, 36, 64, heard) is not None
    assert plan_baseline(wanted(), "prompted", Timing(500.0, 600.0, 2.0, 8), BASELINE_SHARE * 1560, 36, 64, heard) == BaselineSample(
        32, 64, True
    )
    assert "is not measured: it writes a text in 22" in heard.said[0] and "--baseline full" in heard.said[0]
    assert "writes 10 texts" in heard.said[1] and "gate.must_beat_baseline needs them" in heard.said[1]
    assert "writes 160 texts, about 80" in heard.said[2] and "10% of the training time is 2" in heard.said[2]
    full = wanted(student={"baseline": "full"})
    assert timing.baseline_seconds(full, 60.0) == math.inf and timing.baseline_seconds(wanted(), 60.0) == pytest.approx(6.0)


def test_a_base_is_not_even_loaded_where_there_is_no_time_to_ask_it() -> None:
    """Loading and timing it took 80 seconds on a busy machine, beside a training of 150."""
    heard, gate = RecordedProgress(), wanted(gate={"must_beat_baseline": True})
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
    heard = RecordedProgress()
    assert students_to_train(Work(wanted()), heard) == ["decoder", "prompted"]
    assert students_to_train(Work(wanted(student={"baseline": "none"})), heard) == ["decoder"]
    assert students_to_train(Work(wanted(student={"baseline": "none", "kind": "prompted"})), heard) == ["prompted"], (
        "asked for, it is the student"
    )
    with pytest.raises(RecipeError, match="no baseline is to be trained"):
        students_to_train(Work(wanted(student={"baseline": "none"}, gate={"must_beat_baseline": True})), heard)


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
    heard = RecordedProgress()
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
    assert "the input given back unchanged" in wording.verdict(report)[1]
    page, card = ((tmp_path / "out" / name).read_text(encoding="utf-8") for name in ("report.html", "README.md"))
    assert "Input unchanged" in page and '<th scope="row">input unchanged</th>' in page
    assert "baseline (the input given back unchanged)" in card and "baseline (none)" not in card


class Timed:
    """A writer with a clock of its own: what it asks for, what it reads and what it writes take their time. It keeps what it has read."""

    def __init__(self, asking: float, reading: float, writing: float, ends: int = GUESS_TOKENS) -> None:
        self.asking, self.reading, self.writing, self.ends = asking, reading, writing, ends
        self.now, self.known = 0.0, ""

    def clock(self) -> float:
        return self.now

    def count(self, text: str) -> int:
        return len(text.split())

    def write(self, text: str, max_tokens: int) -> Iterator[Piece]:
        words, before = text.split(), self.known.split()
        same = next((place for place, (a, b) in enumerate(zip(words, before, strict=False)) if a != b), min(len(words), len(before)))
        self.now += self.asking + self.writing + self.reading * (len(words) - min(same, len(words) - 1) - 1)
        self.known = text
        for number in range(min(max_tokens, self.ends)):
            self.now += self.writing if number else 0.0
            yield Piece("word ", 1)


@pytest.mark.parametrize("asking", [0.0, 0.5])
@pytest.mark.parametrize("reading", [0.1, 0.4, 0.9])
def test_it_is_what_a_token_more_takes_whatever_else_an_answer_takes(asking: float, reading: float) -> None:
    timed = Timed(asking / 100, reading / 100, 0.01)
    assert guess_cost(timed, timed.clock) == pytest.approx(reading, abs=0.001)


def test_what_cannot_be_is_not_believed_and_too_little_tells_nothing() -> None:
    free, dear, silent = Timed(0.01, 0.0, 0.01), Timed(0.01, 0.09, 0.01), Timed(0.01, 0.004, 0.01, ends=2)
    assert [guess_cost(timed, timed.clock) for timed in (free, dear, silent)] == [None, None, None]


def test_a_machine_that_is_too_busy_is_not_waited_for() -> None:
    slow = Timed(0.1, 0.4, 3.0)
    assert guess_cost(slow, slow.clock) is None
    assert GUESS_SECONDS < slow.now < 2 * GUESS_SECONDS


def _base(folder: Path) -> Base:
    return Base("some", folder, "0" * 64, "unknown", "here", "decoder")


def test_nothing_is_measured_where_nothing_turns_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "open_runner", lambda *given: pytest.fail("a model was loaded"))
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    asked: list[dict[str, Any]] = [{"draft": "none"}, {"draft": "lookup"}, {"guess_cost": 0.5}, {"adapter": True}]
    for given in asked:
        settings = DecoderSettings(**given)
        assert with_guess_cost(settings, _base(tmp_path), 1) is settings
    open_ended = DecoderSettings()
    assert with_guess_cost(open_ended, None, 1) is open_ended
    assert with_guess_cost(open_ended, _base(tmp_path), 1, schema=True) is open_ended
    (tmp_path / "model.gguf").unlink()
    assert with_guess_cost(open_ended, _base(tmp_path), 1) is open_ended


def test_a_base_that_cannot_be_served_as_it_is_is_taught_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF and nothing else")
    settings = DecoderSettings()
    assert with_guess_cost(settings, _base(tmp_path), 1) is settings


def test_a_build_that_teaches_twice_measures_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What beside other work came out otherwise the second time would leave the score fitted on another way of writing."""
    found = iter([0.3, 1.4])
    monkeypatch.setattr(timing, "open_runner", lambda *given: nullcontext(Timed(0.0, 0.0, 0.0)))
    monkeypatch.setattr(timing, "guess_cost", lambda runner: next(found))
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    costs = [with_guess_cost(DecoderSettings(), _base(tmp_path), threads).model_dump()["guess_cost"] for threads in (1, 1, 2)]
    assert costs == [0.3, 0.3, 1.4]


def test_a_build_chooses_by_what_was_measured_and_is_not_taught_anew_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    class RecordedProgress(Silent):
        def say(self, text: str) -> None:
            said.append(text)

    rows = copying_rows()
    base, task = find(str(tiny_decoder(tmp_path / "base")), family="decoder"), registry.find("tasks", "write")
    form = task.form(rows, task.settings())
    settings = DecoderSettings(epochs=1, batch_rows=8, precision="f32", qat="none")
    work, own = planned("write", form, "decoder", settings, base=base), context(tmp_path, RecordedProgress())
    keys = []
    for found in (0.1, 1.4):
        monkeypatch.setattr(training, "with_guess_cost", lambda given, *_, found=found: given.model_copy(update={"guess_cost": found}))
        keys.append(training.fit(work, own, "decoder", rows, (), "teach").key)
    assert keys[0] == keys[1] and len(told := [text for text in said if text.startswith("drafting: ")]) == 1
    assert "lookup" in told[0] and "a guess costs 0.10 of a step here" in told[0]


def test_on_the_starter_it_is_a_number_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    # Beside other work it takes longer, and comes out anyhow.
    for name, bound in {"GUESS_SECONDS": 600.0, "GUESS_LEAST_COST": -1e9, "GUESS_MOST_COST": 1e9, "GUESS_ROUNDS": 2}.items():
        monkeypatch.setattr(timing, name, bound)
    monkeypatch.setattr(timing, "measure_guess_cost", timing.measure_guess_cost.__wrapped__)
    settings = with_guess_cost(DecoderSettings(), find("smollm2", family="decoder"), 1)
    assert isinstance(settings, DecoderSettings) and isinstance(settings.guess_cost, float)
