"""Models at their posts while they are replaced, over real HTTP: which one a request has, what is stored of it, what is left behind."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.certified_bundle import LABELS, text
from tests.eventually import eventually
from tests.line_versions import add, line_of
from tests.server.conftest import WordModel, running
from tests.server.gateway.test_certified import certify
from tests.server.test_champion_reload import metric, serving
from tests.server.traffic.test_capture import ON
from tests.upstream_stub import Said, Seen, UpstreamStub

from smidgen.flows.learn.promotion import roll_back
from smidgen.flows.local_model import Model, load
from smidgen.gateway.upstreams import RetryPolicy
from smidgen.server import champion_reload
from smidgen.server.models import ModelQueues
from smidgen.store.traffic.store import TrafficStore, opened

_PATIENCE = 30.0


@pytest.fixture(autouse=True)
def _quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(champion_reload, "EVERY_SECONDS", 0.01)


def test_models_that_were_replaced_leave_memory(tmp_path: Path, upstream: UpstreamStub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever asked them: the gateway's certificates, the questions of System One, captured rows, the connections to the upstream."""
    line, ids = line_of(tmp_path / "support", 2)
    seen: list[weakref.ref[Model]] = []

    def noted(folder: Path, threads: int | None) -> Model:
        model = load(folder, threads)
        seen.append(weakref.ref(model))
        return model

    monkeypatch.setattr(champion_reload.local_model, "load", noted)
    chat = {"model": "support", "messages": [{"role": "user", "content": text(0, 1)}]}
    questions = {"q": {"type": "choice", "instructions": "?", "criteria": {"yes": None, "no": None}}}
    with running(load(line.folder, 1), fallback=(upstream.url,), fallback_model=("big",), **ON) as server:
        for turn in range(3):
            line.point(ids[turn % 2], by="hand", why="", instead_of=ids[1 - turn % 2])
            eventually(lambda turn=turn: metric(server.client, 'smidgen_champions_total{model="support",outcome="promoted"}') == turn + 1)
            assert server.post("/v1/systemone", {"state": text(0, 1), "questions": questions}).json()["smidgen"]["q"] == ids[turn % 2]
            assert server.post("/v1/chat/completions", chat).headers["x-smidgen-answered-by"] == "upstream"
            assert server.post("/v1/classify", {"model": "support", "input": text(0, 1)}).status_code == 200
        eventually(lambda: gc.collect() >= 0 and [one() is None for one in seen] == [True, True, False])


def test_metrics_bind_no_request_to_a_model(tmp_path: Path, upstream: UpstreamStub, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are made in a thread of their own, where nothing of a request may be touched."""
    line, _ = line_of(tmp_path / "support", 1)
    model = load(line.folder, 1)
    certify(model)
    held, real = [], ModelQueues.held

    def noted(self: ModelQueues, holds: Any) -> ModelQueues:
        held.append(threading.current_thread().name)
        return real(self, holds)

    monkeypatch.setattr(ModelQueues, "held", noted)
    with running(model, fallback=(upstream.url,), fallback_model=("big",)) as server:
        assert metric(server.client, 'smidgen_certificate_state{model="support",state="valid"}') == 1
        assert held == []
        body = {"model": "support", "messages": [{"role": "user", "content": text(0, 1)}]}
        assert server.post("/v1/chat/completions", body).headers["x-smidgen-answered-by"] == "local"
        assert len(set(held)) == 1  # and of all others the loop's thread alone


def test_a_request_whose_model_ended_while_it_waited_above_falls_back_to_the_one_of_now(
    tmp_path: Path, upstream: UpstreamStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, ids = line_of(tmp_path / "support", 1)
    old, new, retire = WordModel(), WordModel(), ModelQueues.retire
    old.id, new.id, old.line = ids[0], "f" * 12, line  # type: ignore[attr-defined]
    monkeypatch.setattr(champion_reload.local_model, "load", lambda folder, threads: new)
    monkeypatch.setattr(ModelQueues, "retire", lambda self, seconds: retire(self, 0.01))
    entered, gate = threading.Event(), threading.Event()

    def late(seen: Seen) -> Said:
        entered.set()
        gate.wait(_PATIENCE)
        return Said(status=500)

    upstream.answer = late
    above = {"fallback": (upstream.url,), "fallback_model": ("big",), "when_upstream_fails": "local"}
    once = RetryPolicy(tries=1, first=0.001, longest=0.002, total=1.0)
    with running(old, patience=once, **above, **ON) as server, ThreadPoolExecutor(1) as pool:
        body = {"model": "support", "messages": [{"role": "user", "content": "shipping"}]}
        first = pool.submit(httpx.post, f"{server.url}/v1/chat/completions", json=body, timeout=_PATIENCE)
        eventually(entered.is_set)
        add(line, 1, ids[0])
        eventually(lambda: hasattr(old, "closed"))
        gate.set()
        found = first.result(_PATIENCE)
        assert (found.status_code, found.headers.get("x-smidgen-uncertified")) == (200, "upstream failed"), found.text
        assert (found.json()["system_fingerprint"], found.json()["choices"][0]["message"]["content"]) == (new.id, "shipping")
    with opened() as store:
        row = store.find(found.headers["x-request-id"])
    assert row is not None and (row["answered_by"], row["bundle_id"]) == ("local", new.id)


def test_a_row_names_the_bundle_that_its_request_had_however_late_it_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line, ids = line_of(tmp_path / "support", 2)
    entered, gate, real = threading.Event(), threading.Event(), TrafficStore.add

    def waits(self: TrafficStore, exchanges: Any) -> int:
        entered.set()
        assert gate.wait(_PATIENCE)
        return real(self, exchanges)

    monkeypatch.setattr(TrafficStore, "add", waits)
    body = {"model": "support", "messages": [{"role": "user", "content": text(0, 1)}]}
    with running(load(line.folder, 1), **ON) as server:
        first = server.post("/v1/chat/completions", body)
        assert entered.wait(_PATIENCE)
        second = server.post("/v1/chat/completions", body)  # read when the other is stored
        roll_back(line.folder)
        eventually(lambda: serving(server.client) == ids[0])
        third = server.post("/v1/chat/completions", body)
        gate.set()
    with opened() as store:
        rows = [store.find(found.headers["x-request-id"]) for found in (first, second, third)]
    assert [row and (row["bundle_id"], json.loads(row["local_output"])) for row in rows] == [
        (ids[1], LABELS[1]),
        (ids[1], LABELS[1]),
        (ids[0], LABELS[0]),
    ]


def test_a_row_of_a_request_that_a_swap_came_into_names_the_bundle_that_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line, ids = line_of(tmp_path / "support", 1)
    old, new = WordModel(), WordModel()
    old.id, new.id, old.line = ids[0], "f" * 12, line  # type: ignore[attr-defined]
    monkeypatch.setattr(champion_reload.local_model, "load", lambda folder, threads: new)
    with running(old, **ON) as server, ThreadPoolExecutor(1) as pool:
        old.gate.clear()
        body = {"model": "support", "messages": [{"role": "user", "content": "shipping"}]}
        first = pool.submit(httpx.post, f"{server.url}/v1/chat/completions", json=body, timeout=_PATIENCE)
        eventually(old.entered.is_set)
        add(line, 1, ids[0])
        eventually(lambda: serving(server.client) == new.id)
        second = server.post("/v1/chat/completions", body)
        old.gate.set()
        answered = [found.headers["x-request-id"] for found in (first.result(_PATIENCE), second)]
    with opened() as store:
        rows = [store.find(id) for id in answered]
    assert [row and row["bundle_id"] for row in rows] == [ids[0], new.id]
