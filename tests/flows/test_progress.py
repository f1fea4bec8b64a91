"""Beside the bar of a training stands the energy that it has taken so far."""

from __future__ import annotations

from typing import Any

import pytest

from smidgen.flows import training
from smidgen.machine.energy import Energy, Meter


class Heard:
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


def test_energy_so_far_is_told_with_every_step_and_read_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0

    def so_far(self: Meter) -> Energy:
        nonlocal read
        read += 1
        return Energy(0.25 * read, "estimate: 10 W a busy core")

    monkeypatch.setattr(Meter, "read", so_far)
    clock = iter((100.0, 100.0, 100.4, 101.5, 101.5))  # looked at once a step, and once more where the meter is read
    monkeypatch.setattr(training.time, "monotonic", lambda: next(clock))
    heard = Heard()
    titled = training._Titled(heard, "train decoder", Meter())
    titled.start("whatever the student calls it", 3)
    for _ in range(3):
        titled.advance(1, loss=2.0)
    assert heard.steps == ["train decoder"]
    assert [facts["energy"] for facts in heard.told] == ["0.25 Wh (estimate)", "0.25 Wh (estimate)", "0.50 Wh (estimate)"]
    assert all(facts["loss"] == 2.0 for facts in heard.told) and read == 2
