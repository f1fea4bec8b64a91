"""Learning from use: a review queue whose answers become rows, a line that learns and goes back, and a project from a recurring job."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.certified_bundle import pairs, text
from tests.studio_model import do, project_with_model

from smidgen.core.errors import InputError
from smidgen.store.traffic.records import Exchange, Feedback
from smidgen.store.traffic.store import opened
from smidgen.studio.flows.data.review import label_request, read_queue, skip_request
from smidgen.studio.flows.jobs import project_of_job, run_jobs
from smidgen.studio.flows.learn import run_learn
from smidgen.studio.flows.serving.line import go_back, read_line
from smidgen.studio.flows.serving.servers import LINE, ModelServers, served_folder, served_name, traffic_url
from smidgen.studio.store.data_rows import DataRow
from smidgen.studio.store.projects import StudioStore

RECIPE = 'name = "support"\ntask = "classify"\n\n[student]\nkind = "linear"\nbaseline = "none"\n'
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StudioStore]:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SMIDGEN_TRAFFIC_URL", f"sqlite:///{tmp_path}/none.db")  # put back after a run has named another
    opened = StudioStore(f"sqlite:///{tmp_path}/studio.db")
    yield opened
    opened.close()


def exchange(number: int, said: str, answer: str, *, local: bool = False, **more: object) -> Exchange:
    facts = {"answered_by": "local" if local else "upstream", "why": "" if local else "score", "local_score": 0.5, "local_output": '"no"'}
    facts |= {"answer": None if local else answer, "model": "" if local else "big", "answer_state": "" if local else "whole"}
    facts |= {"template": "t", "kind": "t", "held_out": False}
    moment = NOW + timedelta(minutes=number)
    return Exchange(f"r{number}", moment, "support", "/v1/chat/completions", said, **{**facts, **more})  # type: ignore[arg-type]


def capture(project: str, exchanges: list[Exchange]) -> None:
    with opened(traffic_url(project)) as traffic:
        assert traffic.add(exchanges) == len(exchanges)


def test_passed_on_and_corrected_requests_are_reviewed_into_rows(store: StudioStore, tmp_path: Path) -> None:
    project, _ = project_with_model(store, tmp_path / "models")
    assert read_queue(store, project, 10).waiting == 0
    capture(
        project,
        [
            exchange(1, "w01 unsure", "yes", local_score=0.6),
            exchange(2, "w03 least sure", "yes", local_score=0.2),
            exchange(3, "w05 held out", "yes", held_out=True),
            exchange(4, "w07 answered here", "", local=True),
            exchange(5, "w09 answered wrongly", "", local=True, local_score=0.9),
            exchange(6, "with tools", "", odd="tools"),
            exchange(7, "only collected, by no model", "yes", why="", local_score=None, local_output=None),
        ],
    )
    with opened(traffic_url(project)) as traffic:
        traffic.feedback(Feedback("r5", NOW + timedelta(hours=1), corrected="yes"))
    queue = read_queue(store, project, 10)
    assert [(one.id, one.corrected) for one in queue.requests] == [("r2", None), ("r1", None), ("r5", "yes")] and queue.waiting == 3

    before = store.rows(project).head()
    version = label_request(store, project, "r2", "yes", "ann")
    skip_request(store, project, "r1", "ann")
    assert (version.number, version.action, version.author, version.changed) == (before + 1, "review", "ann", 1)
    (row,) = [row for row in store.rows(project).each() if row.source == "traffic"]
    assert (row.input, row.output, row.part) == ("w03 least sure", "yes", "train")
    after = read_queue(store, project, 10)
    assert ([one.id for one in after.requests], after.waiting, after.done) == (["r5"], 1, 2)
    with opened(traffic_url(project)) as traffic:
        assert {pair.id: (pair.reference, pair.whose) for pair in traffic.pairs("support")}["r2"] == ("yes", "human")
    for request in ("r3", "none"):
        with pytest.raises(InputError, match="cannot be reviewed"):
            label_request(store, project, request, "yes", "ann")
    with pytest.raises(InputError, match="does not fit"):
        label_request(store, project, "r5", {"no": "label"}, "ann")


def test_a_line_learns_from_rows_and_traffic_and_goes_back(store: StudioStore, tmp_path: Path) -> None:
    project, model = project_with_model(store, tmp_path / "models", RECIPE)
    assert read_line(project) is None
    with pytest.raises(InputError, match="no line"):
        ModelServers(store).start(project, ModelServers(store).status(project).settings.model_copy(update={"model": LINE}), "ann")
    store.rows(project).add([DataRow(said, output=label) for said, label in pairs(400, 7, start=30_000)], "ann", "import", {})
    capture(project, [exchange(number, text(number % 100, 50_000 + number), "yes") for number in range(30)])
    told = do(store, project, run_learn, "learn", {"model": model, "uncertified": True}).result
    assert told is not None and told["line"] == "support" and told["outcome"] in ("promoted", "kept")
    # What the first version was trained on is never held out; the others are, by their share.
    assert told["rows"]["sources"]["original"] == 200 and told["rows"]["choosing"] > 20 and told["contest"]["n"] > 20
    line = read_line(project)
    assert line is not None and line.last_outcome is not None and line.champion == told["champion"] and line.waiting == 0
    assert line.history[-1].by == "hand" and {version.id for version in line.versions} >= {line.champion}
    assert served_name(served_folder(store, project, LINE) or tmp_path) == "support"
    again = do(store, project, run_learn, "learn", {"uncertified": True}).result
    assert again is not None and again["why"] == "there is nothing new to learn from"
    if told["outcome"] == "promoted":
        go_back(project, line.history[-1].champion, "it was better")
        back = read_line(project)
        assert back is not None and (back.champion, back.history[0].by, back.history[0].why) == (
            line.history[-1].champion,
            "rollback",
            "it was better",
        )
    with pytest.raises(InputError):
        go_back(project, "0" * 12, "")


def test_a_line_needs_a_model(store: StudioStore) -> None:
    project = store.create("Empty", "classify").id
    with pytest.raises(InputError, match="no model"):
        do(store, project, run_learn, "learn", {})


def test_a_recurring_job_becomes_a_project(store: StudioStore, tmp_path: Path) -> None:
    project = store.create("Watch", "classify").id
    with pytest.raises(InputError, match="nothing was captured"):
        do(store, project, run_jobs, "jobs", {})
    labels = ("refund", "delivery")
    capture(
        project,
        [
            exchange(number, f"message {number} about {labels[number % 2]}", labels[number % 2], held_out=number % 5 == 0, system="sort it")
            for number in range(60)
        ],
    )
    found = do(store, project, run_jobs, "jobs", {}).result
    assert found is not None
    (job,) = found["jobs"]
    assert (job["task"], job["tally"]["requests"]) == ("classify", 60)
    made = project_of_job(store, project, job["id"], "Sorting", "ann")
    rows = list(store.rows(made.id).each())
    assert (made.name, made.task, made.version) == ("Sorting", "classify", 1)
    assert ({row.output for row in rows}, len(rows), sum(row.part == "test" for row in rows)) == (set(labels), 60, 12)
    with pytest.raises(InputError, match="no recurring job"):
        project_of_job(store, project, "00000000", "Sorting", "ann")
