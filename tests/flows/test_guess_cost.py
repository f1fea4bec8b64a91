"""What checking a guess costs is measured on the base's own file, and only where it is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from tests.students.tiny_decoder import copying_rows, tiny_decoder

from smidgen.bases.lookup import find
from smidgen.core.parts import Base
from smidgen.core.progress import Silent
from smidgen.engines.llama_protocol import Piece
from smidgen.flows.build import timing, training
from smidgen.flows.build.timing import GUESS_LEAST_COST, GUESS_MOST_COST, GUESS_SECONDS, GUESS_TOKENS, guess_cost, with_guess_cost
from smidgen.parts import registry
from smidgen.store.step_results import StepResults
from smidgen.students.settings import DecoderSettings


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

    class Heard(Silent):
        def say(self, text: str) -> None:
            said.append(text)

    rows = copying_rows()
    base, task = find(str(tiny_decoder(tmp_path / "base")), family="decoder"), registry.find("tasks", "write")
    form = task.form(rows, task.settings())
    settings = DecoderSettings(epochs=1, batch_rows=8, precision="f32", qat="none")
    bench = training.StudentTrainer(StepResults(tmp_path / "steps"), task, {"decoder": base}, 0, 1, Heard())
    keys = []
    for found in (0.1, 1.4):
        monkeypatch.setattr(training, "with_guess_cost", lambda given, *_, found=found: given.model_copy(update={"guess_cost": found}))
        keys.append(bench.fit("decoder", settings, rows, (), form, None, "teach").key)
    assert keys[0] == keys[1] and len(told := [text for text in said if text.startswith("drafting: ")]) == 1
    assert "lookup" in told[0] and "a guess costs 0.10 of a step here" in told[0]


def test_on_the_starter_it_is_a_number_of_this_machine() -> None:
    settings = with_guess_cost(DecoderSettings(), find("smollm2", family="decoder"), 1)
    assert isinstance(settings, DecoderSettings) and settings.guess_cost is not None
    assert GUESS_LEAST_COST <= settings.guess_cost <= GUESS_MOST_COST
