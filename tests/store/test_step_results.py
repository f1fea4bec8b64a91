"""Step results: stored once, found again, never half."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import filelock
import pytest

from smidgen.core.errors import MachineError
from smidgen.store.step_results import StepBusy, StepResults, prune, size_of


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


def test_results_of_a_running_build_stay_and_all_others_go_however_new(tmp_path: Path) -> None:
    running, over = StepResults(tmp_path), made(tmp_path, 9)
    found = made(tmp_path, 1, 3)
    assert running.run("fit", {"a": 1}, lambda folder: write(folder, "no")) == found
    own = running.run("fit", {"a": 2}, lambda folder: write(folder, "y" * 1000))
    assert prune([tmp_path], 0) > 0
    assert found.is_dir() and own.is_dir() and not over.exists()
    running.close()
    assert prune([tmp_path], 0) > 0
    assert not found.exists() and not own.exists()
    assert not list(tmp_path.glob("*.lease")) and not list(tmp_path.glob("*.used"))


def test_a_step_at_work_stays(tmp_path: Path) -> None:
    still = made(tmp_path, 2, 2)
    part = still.rename(still.with_name(f"{still.name}.part"))
    with filelock.FileLock(tmp_path / f"{still.name}.lock", timeout=0):
        prune([tmp_path], 0)
        assert part.is_dir()
    prune([tmp_path], 0)
    assert not part.exists(), "nobody is at work on it any more"


def test_the_lease_of_a_killed_build_holds_nothing(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys\nfrom smidgen.store.step_results import StepResults\n"
        "steps = StepResults(pathlib.Path(sys.argv[1]))\nsteps.run('fit', {}, lambda folder: (folder / 'a').write_text('x' * 9))\n"
        "os.kill(os.getpid(), 9) if hasattr(os, 'kill') and os.name == 'posix' else os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert len(list(tmp_path.glob("*.used"))) == 1
    prune([tmp_path], 0)
    assert not [entry for entry in tmp_path.iterdir() if entry.is_dir()] and not list(tmp_path.glob("*.used"))


def test_equal_large_files_are_stored_once(tmp_path: Path) -> None:
    steps, content = StepResults(tmp_path), b"w" * 2_000_000
    folders = [steps.run("fit", {"a": number}, lambda folder: (folder / "model").write_bytes(content) and None) for number in range(5)]
    assert [(folder / "model").read_bytes() for folder in folders] == [content] * 5
    assert size_of([tmp_path]) < 2_010_000
    steps.close()
    prune([tmp_path], 0)
    assert size_of([tmp_path]) < 1000, "the one copy goes with its last result"


def test_spare_results_go_after_a_success_alone_and_are_made_again(tmp_path: Path) -> None:
    calls: list[str] = []

    def run(steps: StepResults, name: str, spare: bool) -> Path:
        def work(folder: Path) -> None:
            calls.append(name)
            write(folder, name)

        return steps.run(name, {}, work, spare)

    def build(kept: str | None) -> dict[str, Path]:
        steps = StepResults(tmp_path)
        made = {name: run(steps, name, name != "fit") for name in ("fit", "export", "int8")}
        steps.close(None if kept is None else made[kept])
        return made

    made = build(None)
    assert all(folder.is_dir() for folder in made.values()), "a build that was stopped goes on from there"
    made = build("int8")
    assert {name for name, folder in made.items() if folder.is_dir()} == {"fit", "int8"} and calls == ["fit", "export", "int8"]
    other = StepResults(tmp_path)
    used = run(other, "export", True)
    build("int8")
    assert used.is_dir(), "another build uses it"
    other.close()
    assert calls == ["fit", "export", "int8", "export"]


def test_several_folders_count_towards_one_limit(tmp_path: Path) -> None:
    old, new = made(tmp_path / "run", 1, 2), made(tmp_path / "steps", 2)
    prune([tmp_path / "steps", tmp_path / "run"], 1500)
    assert new.is_dir() and not old.exists()


def test_a_full_disk_costs_old_results_and_then_an_error_that_loses_nothing(tmp_path: Path) -> None:
    old, steps, tries = made(tmp_path, 1), StepResults(tmp_path), []

    def work(folder: Path) -> None:
        tries.append(1)
        write(folder, "epoch 1")
        if old.exists() or len(tries) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    done = steps.run("fit", {"a": 2}, work)
    assert not old.exists() and len(tries) == 2 and (done / "result.txt").is_file()
    with pytest.raises(MachineError, match="too little space") as raised:
        steps.run("fit", {"a": 3}, work)
    assert "SMIDGEN_HOME" in raised.value.todo
    (part,) = tmp_path.glob("*.part")
    assert (part / "result.txt").read_text(encoding="utf-8") == "epoch 1", "the next try goes on with it"


def test_room_is_made_before_a_build_or_the_error_says_how_much_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, 1)
    old = made(tmp_path, 2, 1)
    total = 2_000_000_000

    def usage(place: Path) -> SimpleNamespace:
        return SimpleNamespace(free=total - size_of([tmp_path]))

    monkeypatch.setattr(shutil, "disk_usage", usage)
    StepResults(tmp_path).make_room(total - 1500)
    assert not old.exists() and size_of([tmp_path]) > 0
    with pytest.raises(MachineError, match=r"1\.0 GB more needed"):
        StepResults(tmp_path).make_room(total + 1_000_000_000)


def test_a_result_that_vanishes_as_it_is_found_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path, 1, 2)

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
