"""Captured requests become rows: chosen by source, job, model and time, each text once, held-out ones for testing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from smidgen.core.errors import InputError
from smidgen.store.traffic.records import Exchange, Feedback
from smidgen.store.traffic.store import opened
from smidgen.studio.flows.data.captured_rows import CapturedChoice, add_captured, read_captured, traffic_jobs, traffic_sources
from smidgen.studio.flows.serving.servers import traffic_url
from smidgen.studio.store.data_rows import DataRow
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.tables import StudioError

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
GATEWAY = CapturedChoice("gateway")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StudioStore]:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SMIDGEN_TRAFFIC_URL", raising=False)
    opened_store = StudioStore(f"sqlite:///{tmp_path}/studio.db")
    yield opened_store
    opened_store.close()


def exchange(number: int, said: str, answer: str, **more: object) -> Exchange:
    facts = {"answered_by": "upstream", "answer": answer, "model": "big-2", "answer_state": "whole", "template": "t", "kind": "t",
             "held_out": False, "system": "Sort it."}  # fmt: skip
    moment = NOW - timedelta(days=20 - number / 10)
    return Exchange(f"r{number}", moment, "shop-bot", "/v1/chat/completions", said, **{**facts, **more})  # type: ignore[arg-type]


def tickets() -> list[Exchange]:
    """Thirty requests of one job, of which three are held out; one more with personal data taken out, and one of another model."""
    found = [exchange(n, f"ticket {n} about item {n * 7}", "refund" if n % 2 else "delivery", held_out=n < 3) for n in range(30)]
    found.append(exchange(30, "please write to [EMAIL_1] about my lamp", "refund", altered=True))
    return [*found, exchange(31, "a rare one", "once"), exchange(150, "ticket of the others", "refund", model="small")]


@pytest.fixture
def project(store: StudioStore) -> str:
    with opened() as traffic:
        traffic.add(tickets())
        traffic.feedback(Feedback("r5", NOW, corrected="delivery", by_admin=True))
    return store.create("Inbox", "classify").id


def test_sources_are_those_with_requests(store: StudioStore, project: str) -> None:
    other = store.create("Shop", "classify").id
    with opened(traffic_url(other)) as traffic:
        traffic.add(tickets()[:4])
    found = traffic_sources(store, project)
    assert [(one.id, one.name, one.requests) for one in found] == [(other, "Shop", 4), ("gateway", "", 33)]
    assert found[1].models == {"shop-bot": 33} and found[1].last == NOW - timedelta(days=5)
    with pytest.raises(StudioError, match="no such project"):
        read_captured(store, project, CapturedChoice("../../etc"))


def test_rows_have_the_large_models_answer_or_a_persons_and_say_so(store: StudioStore, project: str) -> None:
    store.rows(project).add([DataRow("Ticket 9 about item 63!", output="refund")], "ann", "import", {})
    found = read_captured(store, project, GATEWAY)
    rows = {row.input: row for row in found.rows}
    assert (len(found.rows), found.known) == (31, 1), "each text once, without the one that is in the data"
    assert found.unusable == {"a label that is too rare to be learnt": 1}
    assert rows["please write to [EMAIL_1] about my lamp"].output == "refund", "as it was stored"
    corrected, plain = rows["ticket 5 about item 35"], rows["ticket 7 about item 49"]
    assert (corrected.output, corrected.source) == ("delivery", "traffic, answered by a person")
    assert (plain.output, plain.source) == ("refund", "traffic, answered by big-2")
    assert [row.part for row in found.rows].count("test") == 3
    made = add_captured(store, project, GATEWAY, "ann")
    assert (made.action, made.changed, made.details["traffic"]) == ("import", 31, "gateway")
    assert read_captured(store, project, GATEWAY).rows == ()
    with pytest.raises(InputError, match="no new row"):
        add_captured(store, project, GATEWAY, "ann")


def test_a_choice_narrows_by_job_model_and_time(store: StudioStore, project: str) -> None:
    (job,) = traffic_jobs(store, project, "gateway")
    assert (job.task, job.tally.requests) == ("classify", 33)
    assert len(read_captured(store, project, CapturedChoice("gateway", job=job.id)).rows) == 32
    assert len(read_captured(store, project, CapturedChoice("gateway", model="another")).rows) == 0
    assert len(read_captured(store, project, CapturedChoice("gateway", model="shop-bot"), NOW).rows) == 32
    recent = read_captured(store, project, CapturedChoice("gateway", days=18), NOW)
    assert 0 < len(recent.rows) < 32 and "ticket 7 about item 49" not in {row.input for row in recent.rows}
    texts = store.create("Texts", "write").id
    assert traffic_jobs(store, texts, "gateway") == []
    with pytest.raises(InputError, match="does not fit the project's task, write"):
        read_captured(store, texts, CapturedChoice("gateway", job=job.id))


def test_where_nothing_was_captured_there_is_no_source(store: StudioStore) -> None:
    project = store.create("Inbox", "classify").id
    assert traffic_sources(store, project) == [] and traffic_jobs(store, project, "gateway") == []
    with pytest.raises(InputError, match="nothing was captured"):
        read_captured(store, project, GATEWAY)
