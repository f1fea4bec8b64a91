"""Step results: stored once, found again, never half."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import filelock
import pytest

from smidgen.store.step_results import StepBusy, StepResults


def write(folder: Path, text: str) -> None:
    (folder / "result.txt").write_text(text, encoding="utf-8")


def test_a_result_is_made_once_for_the_same_inputs(tmp_path: Path) -> None:
    steps, calls = StepResults(tmp_path), []

    def work(folder: Path) -> None:
        calls.append(1)
        write(folder, "done")

    first, second = steps.run("fit", {"b": 1, "a": 2}, work), steps.run("fit", {"a": 2, "b": 1}, work)
    other = steps.run("fit", {"a": 3}, work)
    assert first == second != other
    assert len(calls) == 2
    assert (first / "result.txt").read_text(encoding="utf-8") == "done"


def test_a_killed_step_finds_what_it_left_and_is_not_taken_for_done(tmp_path: Path) -> None:
    steps = StepResults(tmp_path)

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
    reads = StepResults(tmp_path).run("fit", {"a": 1}, lambda folder: write(folder, "old"))
    fresh = StepResults(tmp_path, fresh=True)
    folder = fresh.run("fit", {"a": 1}, lambda place: write(place, "new"))
    again = fresh.run("fit", {"a": 1}, lambda place: write(place, "newer"))
    assert (folder / "result.txt").read_text(encoding="utf-8") == "new"
    assert again == folder
    assert (reads / "result.txt").read_text(encoding="utf-8") == "old", "another build may be reading it"
    assert StepResults(tmp_path).run("fit", {"a": 1}, lambda place: write(place, "no")) == folder, "the newest is found"
    twice = StepResults(tmp_path, fresh=True).run("fit", {"a": 1}, lambda place: write(place, "newest"))
    assert twice not in (reads, folder) and StepResults(tmp_path).run("fit", {"a": 1}, lambda place: write(place, "no")) == twice


def test_two_fresh_builds_do_not_wait_for_one_another(tmp_path: Path) -> None:
    one, other = StepResults(tmp_path, fresh=True), StepResults(tmp_path, fresh=True)
    inner = []

    def nested(folder: Path) -> None:
        inner.append(other.run("fit", {"a": 1}, lambda place: write(place, "second")))
        write(folder, "first")

    outer = one.run("fit", {"a": 1}, nested)
    assert [(folder / "result.txt").read_text(encoding="utf-8") for folder in (outer, *inner)] == ["first", "second"]


def test_two_processes_do_not_work_on_one_step(tmp_path: Path) -> None:
    steps, other = StepResults(tmp_path), StepResults(tmp_path)

    def nested(folder: Path) -> None:
        with pytest.raises(StepBusy, match="another process"):
            other.run("fit", {"a": 1}, lambda place: write(place, "second"))
        write(folder, "first")

    folder = steps.run("fit", {"a": 1}, nested)
    assert (folder / "result.txt").read_text(encoding="utf-8") == "first"


def made(root: Path, number: int, days: float = 0.0) -> Path:
    """A result that was last used so many days ago."""
    folder = StepResults(root).run("fit", {"a": number}, lambda folder: write(folder, "x" * 1000))
    moment = time.time() - days * 86_400
    os.utime(folder, (moment, moment))
    return folder


def test_pruning_keeps_the_newest_and_this_run(tmp_path: Path) -> None:
    old, older = made(tmp_path, 1, 2), made(tmp_path, 3, 20_000)
    steps = StepResults(tmp_path)
    new = steps.run("fit", {"a": 2}, lambda folder: write(folder, "y" * 1000))
    steps.prune(limit=2500)
    assert new.is_dir() and old.is_dir() and not older.exists()
    steps.prune(limit=500)
    assert new.is_dir() and not old.exists()
    assert [entry for entry in tmp_path.iterdir() if entry.is_dir()] == [new]


def test_what_another_build_uses_stays(tmp_path: Path) -> None:
    """It found the result and reads it; or it is at work on a step whose folder has been still for long."""
    used, still = made(tmp_path, 1, 0.9), made(tmp_path, 2, 2)
    part = still.rename(still.with_name(f"{still.name}.part"))
    steps = StepResults(tmp_path)
    with filelock.FileLock(tmp_path / f"{still.name}.lock", timeout=0):
        steps.prune(limit=0)
        assert used.is_dir() and part.is_dir()
    steps.prune(limit=0)
    assert used.is_dir() and not part.exists(), "nobody is at work on it any more"


def test_what_was_used_while_it_was_pruned_stays_and_what_was_taken_away_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = made(tmp_path, 1, 2)
    real = filelock.FileLock

    def late(*given: object, **more: object) -> object:
        os.utime(old)  # another build found it a moment before
        return real(*given, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(filelock, "FileLock", late)
        StepResults(tmp_path).prune(limit=0)
    assert old.is_dir()

    def gone(place: Path, *given: object) -> None:
        shutil.rmtree(place)
        raise FileNotFoundError(place)

    with monkeypatch.context() as patch:
        patch.setattr(os, "utime", gone)
        again = StepResults(tmp_path).run("fit", {"a": 1}, lambda folder: write(folder, "anew"))
    assert (again / "result.txt").read_text(encoding="utf-8") == "anew"


def test_what_a_killed_pruning_left_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = made(tmp_path, 1, 2)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *given, **more: None)
        StepResults(tmp_path).prune(limit=0)
    assert not old.exists() and len([entry for entry in tmp_path.iterdir() if entry.is_dir()]) == 1
    StepResults(tmp_path).prune()
    assert not [entry for entry in tmp_path.iterdir() if entry.is_dir()]


@pytest.mark.parametrize("what", ["is_dir", "stat", "rglob"])
def test_a_folder_that_vanishes_while_it_looks_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    gone, kept = made(tmp_path, 1, 3), made(tmp_path, 2, 2)
    real = getattr(Path, what)

    def vanishing(self: Path, *given: object, **more: object) -> object:
        if self == gone:
            shutil.rmtree(gone, ignore_errors=True)
        return real(self, *given, **more)

    monkeypatch.setattr(Path, what, vanishing)
    StepResults(tmp_path).prune(limit=1500)
    assert not gone.exists() and kept.is_dir()
