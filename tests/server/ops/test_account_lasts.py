"""The account of a process that is killed: what it had written stays, and nothing is counted twice."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.server.conftest import running
from tests.server.gateway.test_certified import CHAT, asking
from tests.server.serving import serving

from smidgen.flows.local_model import Model, load
from smidgen.store import usage_records as accounts
from smidgen.store.usage_records import today
from smidgen.usage import energy
from smidgen.usage.energy import WATTS_PER_BUSY_CORE, seconds_of


def counted() -> int:
    return sum(entry.requests for entry in accounts.read(today()).entries.values())


posix = pytest.mark.skipif(sys.platform == "win32", reason="stop signals are POSIX")


@posix
def test_a_killed_server_loses_only_what_it_had_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path))
    before = 0
    for _ in range(2):
        with serving(open=True) as served, httpx.Client(base_url=served.url, timeout=30) as client:
            for _ in range(4):
                client.post("/v1/classify", json={"input": "shipping"})
            (period, *_) = client.get("/smidgen/account").json()["periods"]
            assert period["total"]["requests"] == before + 4, "what it tells is on the disk"
            client.post("/v1/classify", json={"input": "shipping"})
            served.process.send(signal.SIGKILL)
            assert served.process.exit_code() == -signal.SIGKILL
        assert counted() in (before + 4, before + 5)
        before = counted()


@posix
def test_a_server_that_stops_writes_the_last_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path))
    with serving(open=True) as served, httpx.Client(base_url=served.url, timeout=30) as client:
        for _ in range(3):
            client.post("/v1/classify", json={"input": "shipping"})
        assert served.process.stop() == 0
    assert counted() == 3


@pytest.fixture
def writer(writer_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Model]:
    opened = load(writer_bundle, 1)
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    yield opened
    opened.close()


def test_its_own_tokens_are_counted_and_its_engines_energy(writer: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "_RAPL", Path("none"))
    body = asking("Say something about oak.", "writer", max_tokens=8)
    with running(writer) as server:
        assert writer.pid is not None
        before = seconds_of(writer.pid)
        usage = server.post(CHAT, body).json()["usage"]
        last = [event for event in server.post(CHAT, {**body, "stream": True}).text.split("\n\n") if event.startswith("data: {")]
        assert last
        server.post("/v1/completions", {"model": "writer", "prompt": ["one", "two"], "max_tokens": 4})
        after = seconds_of(writer.pid)
        told = server.client.get("/smidgen/account").json()["periods"][0]["total"]["energy"]
    (entry,) = accounts.read(today()).entries.values()
    assert (entry.requests, entry.errors, entry.read_estimated, entry.written_estimated) == (3, 0, 0, 0)
    assert entry.read > 2 * usage["prompt_tokens"] > 0 and entry.written > 2 * usage["completion_tokens"] > 0
    assert before is not None and after is not None
    assert after > before and told["of_that_local_answers_wh"] * 3600 > (after - before) * WATTS_PER_BUSY_CORE
