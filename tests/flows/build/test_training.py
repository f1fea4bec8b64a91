"""Beside the bar of a training stands the energy that it has taken so far, and what stopped tries took is not forgotten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.build_steps import context, planned
from tests.forms import label_form, text_form
from tests.students.tiny_decoder import tiny_decoder

from smidgen.bases.lookup import find
from smidgen.core.rows import Row
from smidgen.flows.build import training
from smidgen.flows.build.training import StepEffort
from smidgen.flows.build.work import BuildContext
from smidgen.parts import registry
from smidgen.store.step_results import StepResults
from smidgen.students.prompted import PromptedSettings
from smidgen.usage.energy import Energy, EnergyMeter


class Constant(EnergyMeter):
    """Two watt hours, whenever it is read."""

    def read(self) -> Energy:
        return Energy(2.0, "rapl: counters")


class RecordedProgress:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.steps: list[str] = []

    def start(self, step: str, total: int | None = None) -> None:
        self.steps.append(step)

    def advance(self, units: int = 1, **facts: float | str) -> None:
        self.told.append(facts)

    def finish(self, note: str = "") -> None: ...

    def say(self, text: str) -> None: ...


def test_energy_so_far_is_told_with_every_step_and_read_once_a_second(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    read = 0

    def so_far(self: EnergyMeter) -> Energy:
        nonlocal read
        read += 1
        return Energy(0.25 * read, "estimate: 10 W a busy core")

    monkeypatch.setattr(EnergyMeter, "read", so_far)
    clock = iter((100.0, 100.0, 100.4, 101.5, 101.5))  # looked at once a step, and once more where the meter is read
    monkeypatch.setattr(training.time, "monotonic", lambda: next(clock))
    heard = RecordedProgress()
    titled = training._TitledProgress(heard, "train decoder", StepEffort(tmp_path, EnergyMeter()))
    titled.start("whatever the student calls it", 3)
    for _ in range(3):
        titled.advance(1, loss=2.0)
    assert heard.steps == ["train decoder"]
    assert [facts["energy"] for facts in heard.told] == ["0.25 Wh (estimate)", "0.25 Wh (estimate)", "0.50 Wh (estimate)"]
    assert all(facts["loss"] == 2.0 for facts in heard.told) and read == 2


def test_what_stopped_tries_took_is_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((100.0, 160.0, 500.0, 507.0, 900.0, 901.0))
    monkeypatch.setattr("smidgen.flows.build.training.time.perf_counter", lambda: next(clock))
    first = StepEffort(tmp_path, Constant())
    first.noted()
    # Killed here: another process goes on.
    second = StepEffort(tmp_path, Constant())
    assert second.taken() == (67.0, Energy(4.0, "rapl: counters; and what stopped tries took"))
    second.forget()
    assert StepEffort(tmp_path, Constant()).taken() == (1.0, Energy(2.0, "rapl: counters"))


def test_a_training_that_breaks_off_leaves_what_it_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not killed but interrupted, between two readings of the meter: the next try adds it all the same."""
    steps = StepResults(tmp_path / "steps")
    own = BuildContext(steps, tmp_path, 1, RecordedProgress())
    linear = registry.find("students", "linear")
    rows = [Row("where is my parcel", "x"), Row("please send an invoice", "y")] * 8
    work = planned("classify", label_form("xy"), "linear", linear.settings())

    def broken(self: Any, given: Any, space: Any) -> None:
        (space.folder / "smidgen_spent.json").write_text('{"seconds": 50, "watt_hours": 3}', encoding="utf-8")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(type(linear), "fit", broken)
        training.fit(work, own, "linear", rows, (), "train linear")
    (note,) = steps._root.glob("*.part/smidgen_spent.json")
    assert 0 < json.loads(note.read_text(encoding="utf-8"))["seconds"] < 50, "what is told in the end is the step's own account"
    note.write_text('{"seconds": 540, "watt_hours": 9}', encoding="utf-8")
    fitted = training.fit(work, own, "linear", rows, (), "train linear")
    assert fitted.seconds > 540 and fitted.energy.watt_hours >= 9
    assert not (fitted.folder / "smidgen_spent.json").exists()


ROWS = [Row(f"colour: {c}", f"A {c} vase.", n) for n, c in enumerate(("red", "blue", "green"), 1)]


@pytest.mark.parametrize(
    "name", ["tokenizer_config.json", "config.json", "generation_config.json", "chat_template.jinja", "tokenizer.json"]
)
def test_an_edited_base_is_asked_anew(tmp_path: Path, name: str) -> None:
    folder = tiny_decoder(tmp_path / "base")

    def fitted() -> Path:
        base = find(str(folder), family="decoder")
        work = planned("write", text_form(instruction="Write."), "prompted", PromptedSettings(shots=1), base=base)
        return training.fit(work, context(tmp_path), "prompted", ROWS, (), "prompt").folder

    first = fitted()
    assert fitted() == first
    if name == "chat_template.jinja":
        told = "{% for message in messages %}<|im_start|>{{ message.role }}: {{ message.content }}<|im_end|>{% endfor %}"
        (folder / name).write_text(told, encoding="utf-8")
    else:
        found = json.loads((folder / name).read_text(encoding="utf-8")) if (folder / name).is_file() else {}
        edited = found if name == "tokenizer.json" else found | {"edited": True}
        (folder / name).write_text(json.dumps(edited, indent=1), encoding="utf-8")
    again = fitted()
    assert again != first
    if name == "chat_template.jinja":
        before, after = (json.loads((place / "smidgen_student.json").read_text(encoding="utf-8"))["facts"] for place in (first, again))
        assert before["before"] != after["before"], "the prompt is that of the new template"
