"""The queue of runs, and what they tell."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from smidgen.store.database import Database, file_url
from smidgen.store.sqlite_wal import writing
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.runs import RunStore
from smidgen.studio.store.tables import StudioError


@pytest.fixture
def runs(tmp_path: Path) -> RunStore:
    return RunStore(StudioStore(f"sqlite:///{tmp_path}/studio.db").database)


@pytest.fixture
def project(runs: RunStore, tmp_path: Path) -> str:
    return StudioStore(f"sqlite:///{tmp_path}/studio.db").create("Tickets", "classify").id


def test_a_run_goes_from_the_queue_to_its_end(runs: RunStore, project: str) -> None:
    run = runs.enqueue(project, "build", {"recipe": {}}, "ann")
    assert (run.state, run.finished, runs.unfinished()) == ("queued", False, [run])
    assert runs.start(run.id, 41) and not runs.start(run.id, 42)
    assert (runs.get(run.id).process, runs.get(run.id).attempts) == (41, 1)
    runs.finish(run.id, "done", result={"model": "x"})
    ended = runs.get(run.id)
    assert (ended.state, ended.result, ended.process, runs.unfinished()) == ("done", {"model": "x"}, 0, [])
    assert ended.ended is not None and ended.started is not None and ended.ended >= ended.started


def test_a_waiting_run_stops_at_once_and_a_running_one_is_asked_to(runs: RunStore, project: str) -> None:
    waiting, running = (runs.enqueue(project, "build", {}, "ann") for _ in range(2))
    runs.start(running.id, 41)
    assert runs.ask_to_stop(waiting.id).state == "stopped"
    assert runs.ask_to_stop(running.id).state == "stopping" and runs.is_stopping(running.id)
    runs.finish(running.id, "stopped")
    assert runs.resume(running.id).state == "queued"


def test_a_finished_run_is_not_resumed(runs: RunStore, project: str) -> None:
    run = runs.enqueue(project, "build", {}, "ann")
    runs.start(run.id, 41)
    runs.finish(run.id, "done", result={})
    with pytest.raises(StudioError, match="stopped or failed"):
        runs.resume(run.id)
    assert runs.ask_to_stop(run.id).state == "done"


def test_events_are_told_in_their_order_and_from_a_number_on(runs: RunStore, project: str) -> None:
    run = runs.enqueue(project, "build", {}, "ann")
    for number in range(5):
        runs.tell(run.id, "remark", {"text": f"{number} é"})
    assert [(event.number, event.body["text"]) for event in runs.events(run.id, 3)] == [(4, "3 é"), (5, "4 é")]


def test_an_unknown_run_is_told(runs: RunStore) -> None:
    with pytest.raises(StudioError, match="no such run"):
        runs.get("none")
    assert runs.is_stopping("none")


def test_finished_runs_are_numbered_by_their_end(runs: RunStore, project: str) -> None:
    first, second, failed, other = (runs.enqueue(project, kind, {}, "ann").id for kind in ("build", "build", "build", "look"))
    for id, state in ((second, "done"), (failed, "failed"), (other, "done"), (first, "done")):
        runs.start(id, 41)
        runs.finish(id, state)  # type: ignore[arg-type]
    assert runs.numbers(project) == {second: 1, first: 2, other: 1}


def test_a_run_waits_while_a_large_file_is_added(tmp_path: Path, runs: RunStore, project: str) -> None:
    file = tmp_path / "studio.db"
    run, hasty = runs.enqueue(project, "build", {}, "ann"), Database(file_url(file), "the store", StudioError, patience=0.2)
    hasty.open()
    with writing(file, 1):
        telling = threading.Thread(target=runs.tell, args=(run.id, "step", {"step": "train", "total": None}))
        telling.start()
        with pytest.raises(StudioError, match="another program writes to it"), hasty.writing():
            pass
        assert runs.events(run.id) == [] and telling.is_alive()
    telling.join(10)
    assert [event.kind for event in runs.events(run.id)] == ["step"]
    hasty.close()
