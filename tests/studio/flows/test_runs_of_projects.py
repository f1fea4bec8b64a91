"""Runs as processes: a build to its end, a killed one that goes on, one that is stopped, one that keeps dying."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.tried_model import LINEAR, ticket_rows

from smidgen.core.progress import Silent
from smidgen.studio.flows import supervisor as watching
from smidgen.studio.flows.deletion import delete_project
from smidgen.studio.flows.run_process import is_alive, run_folder
from smidgen.studio.flows.serving.servers import ModelServers
from smidgen.studio.flows.supervisor import Supervisor
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.runs import Run, RunStore
from smidgen.studio.store.tables import StudioError

BUILD = {"recipe": LINEAR}


@pytest.fixture
def project(store: StudioStore) -> str:
    project = store.create("Support tickets", "classify").id
    store.rows(project).add(ticket_rows(), "ann", "import", {})
    return project


class Steps(Silent):
    """The steps that were told."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.ended: list[str] = []

    def start(self, step: str, total: int | None = None) -> None:
        self.began.append(step)

    def finish(self, note: str = "") -> None:
        self.ended.append(note)


def wait(supervisor: Supervisor, runs: RunStore, run: Run, until: Callable[[Run], bool], seconds: float = 120.0) -> Run:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        supervisor.look()
        found = runs.get(run.id)
        if until(found):
            return found
        time.sleep(0.05)
    raise AssertionError(f"the run is still {runs.get(run.id).state}")


def test_a_killed_build_goes_on_and_ends_with_a_model(store: StudioStore, project: str) -> None:
    runs, supervisor = RunStore(store.database), Supervisor(store)
    run = runs.enqueue(project, "build", BUILD, "ann")
    started = wait(supervisor, runs, run, lambda found: found.state == "running" and bool(runs.events(found.id)))
    os.kill(started.process, signal.SIGKILL)
    # Another server, as after a restart: it finds the run by its lock.
    ended = wait(Supervisor(store), runs, run, lambda found: found.finished)
    assert (ended.state, ended.attempts, ended.error) == ("done", 2, None)
    assert ended.result is not None and (Path(ended.result["model"]) / "smidgen.json").is_file()
    assert {event.kind for event in runs.events(run.id)} >= {"step", "step_done"}
    assert not is_alive(run.id)


def test_a_run_without_answers_fails_in_words(store: StudioStore) -> None:
    runs, supervisor = RunStore(store.database), Supervisor(store)
    run = runs.enqueue(store.create("Empty", "classify").id, "build", {}, "ann")
    ended = wait(supervisor, runs, run, lambda found: found.finished)
    assert ended.state == "failed" and ended.error is not None and "no row of this version has an answer" in ended.error["message"]


def test_runs_that_keep_dying_fail_and_say_so(store: StudioStore, project: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching.Supervisor, "_start", lambda self, run: self._runs.start(run.id, 0))
    runs, supervisor = RunStore(store.database), Supervisor(store)
    run = runs.enqueue(project, "build", BUILD, "ann")
    folder = run_folder(run.id)
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text("Killed: out of memory\n")
    ended = wait(supervisor, runs, run, lambda found: found.finished, 10)
    assert ended.attempts == watching.MOST_ATTEMPTS and ended.error is not None and "out of memory" in ended.error["message"]


def test_one_run_goes_on_at_a_time(store: StudioStore, project: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(watching, "is_alive", lambda id: True)
    monkeypatch.setattr(watching.Supervisor, "_start", lambda self, run: started.append(run.id) or self._runs.start(run.id, 1))
    runs, supervisor = RunStore(store.database), Supervisor(store)
    first, second = (runs.enqueue(project, "build", BUILD, "ann") for _ in range(2))
    supervisor.look()
    supervisor.look()
    assert started == [first.id]
    runs.finish(first.id, "done", result={})
    supervisor.look()
    assert started == [first.id, second.id]


def test_a_quick_run_does_not_wait_for_a_build(store: StudioStore, project: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(watching, "is_alive", lambda id: True)
    monkeypatch.setattr(watching.Supervisor, "_start", lambda self, run: started.append(run.id) or self._runs.start(run.id, 1))
    runs, supervisor = RunStore(store.database), Supervisor(store)
    build, later, look, second = (runs.enqueue(project, kind, {}, "ann") for kind in ("build", "build", "look", "look"))
    supervisor.look()
    supervisor.look()
    assert started == [build.id, look.id]
    runs.finish(look.id, "done", result={})
    supervisor.look()
    assert started == [build.id, look.id, second.id] and runs.get(later.id).state == "queued"


def test_the_queue_goes_on_after_the_database_or_a_process_failed(
    store: StudioStore, project: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    runs, failures = RunStore(store.database), [StudioError("the disk is full", value="1 B", todo="Make room."), OSError("no memory")]

    def fail_first(supervisor: Supervisor, run: Run) -> None:
        if failures:
            raise failures.pop(0)
        assert runs.start(run.id, 1)
        runs.finish(run.id, "done", result={})

    monkeypatch.setattr(watching.Supervisor, "_start", fail_first)
    monkeypatch.setattr(watching, "_TROUBLE_SECONDS", 0.05)
    supervisor = Supervisor(store)
    run = runs.enqueue(project, "build", {"recipe": LINEAR}, "ann")
    supervisor.start()
    end = time.monotonic() + 30
    while not runs.get(run.id).finished and time.monotonic() < end:
        time.sleep(0.05)
    supervisor.close()
    assert runs.get(run.id).state == "done" and not failures
    assert "the disk is full" in caplog.text and "no memory" in caplog.text


def test_a_terminal_may_wait_for_the_runs(store: StudioStore, project: str) -> None:
    runs, progress = RunStore(store.database), Steps()
    first = runs.enqueue(project, "build", {"recipe": LINEAR}, "ann")
    watching.finish_runs(store, project, progress)
    assert runs.get(first.id).state == "done" and len(progress.began) >= 3 and len(progress.ended) >= 3
    runs.enqueue(store.create("Empty", "classify").id, "build", {}, "ann")
    with pytest.raises(StudioError, match="no row of this version has an answer"):
        watching.finish_runs(store, store.projects()[0].id, progress)


def test_a_deleted_project_leaves_nothing_behind(store: StudioStore, project: str) -> None:
    runs, supervisor = RunStore(store.database), Supervisor(store)
    done = runs.enqueue(project, "build", {"recipe": LINEAR}, "ann")
    wait(supervisor, runs, done, lambda found: found.finished)
    going = runs.enqueue(project, "build", {}, "ann")
    process = wait(supervisor, runs, going, lambda found: found.state == "running").process
    waiting = runs.enqueue(project, "build", {"recipe": LINEAR}, "ann")
    assert run_folder(done.id).is_dir() and run_folder(going.id).is_dir()
    delete_project(store, project, ModelServers(store))
    assert process and supervisor._processes[going.id].wait(10) == -signal.SIGKILL
    assert store.projects() == [] and not any(run_folder(run.id).exists() for run in (done, going, waiting))
    with pytest.raises(StudioError):
        runs.get(waiting.id)
