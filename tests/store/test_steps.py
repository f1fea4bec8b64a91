"""Step results: stored once, found again, never half."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from smidgen.store.steps import StepBusy, Steps


def write(folder: Path, text: str) -> None:
    (folder / "result.txt").write_text(text, encoding="utf-8")


def test_a_result_is_made_once_for_the_same_inputs(tmp_path: Path) -> None:
    steps, calls = Steps(tmp_path), []

    def work(folder: Path) -> None:
        calls.append(1)
        write(folder, "done")

    first, second = steps.run("fit", {"b": 1, "a": 2}, work), steps.run("fit", {"a": 2, "b": 1}, work)
    other = steps.run("fit", {"a": 3}, work)
    assert first == second != other
    assert len(calls) == 2
    assert (first / "result.txt").read_text(encoding="utf-8") == "done"


def test_a_killed_step_finds_what_it_left_and_is_not_taken_for_done(tmp_path: Path) -> None:
    steps = Steps(tmp_path)

    def killed(folder: Path) -> None:
        write(folder, "epoch 1")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        steps.run("fit", {"a": 1}, killed)
    seen = []
    folder = steps.run("fit", {"a": 1}, lambda place: seen.append((place / "result.txt").read_text(encoding="utf-8")))
    assert seen == ["epoch 1"]
    assert not folder.name.endswith(".part")


def test_fresh_does_every_step_anew_once(tmp_path: Path) -> None:
    Steps(tmp_path).run("fit", {"a": 1}, lambda folder: write(folder, "old"))
    fresh = Steps(tmp_path, fresh=True)
    folder = fresh.run("fit", {"a": 1}, lambda place: write(place, "new"))
    again = fresh.run("fit", {"a": 1}, lambda place: write(place, "newer"))
    assert (folder / "result.txt").read_text(encoding="utf-8") == "new"
    assert again == folder


def test_two_processes_do_not_work_on_one_step(tmp_path: Path) -> None:
    steps, other = Steps(tmp_path), Steps(tmp_path)

    def nested(folder: Path) -> None:
        with pytest.raises(StepBusy, match="another process"):
            other.run("fit", {"a": 1}, lambda place: write(place, "second"))
        write(folder, "first")

    folder = steps.run("fit", {"a": 1}, nested)
    assert (folder / "result.txt").read_text(encoding="utf-8") == "first"


def test_pruning_keeps_the_newest_and_this_run(tmp_path: Path) -> None:

    old = Steps(tmp_path).run("fit", {"a": 1}, lambda folder: write(folder, "x" * 1000))
    os.utime(old, (1, 1))
    steps = Steps(tmp_path)
    new = steps.run("fit", {"a": 2}, lambda folder: write(folder, "y" * 1000))
    steps.prune(limit=500)
    assert new.is_dir()
    assert not old.exists()
