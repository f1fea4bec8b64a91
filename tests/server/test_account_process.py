"""The account of a process that is killed: what it had written stays, and nothing is counted twice."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from smidgen.store import usage_records as accounts
from smidgen.usage.daily_budget import today

from .test_server_process import line, process


@contextmanager
def served() -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    with process("open") as running, httpx.Client(base_url=line(running), timeout=30) as client:
        yield running, client


def counted() -> int:
    return sum(entry.requests for entry in accounts.read(today()).entries.values())


posix = pytest.mark.skipif(sys.platform == "win32", reason="stop signals are POSIX")


@posix
def test_a_killed_server_loses_only_what_it_had_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path))
    before = 0
    for _ in range(2):
        with served() as (running, client):
            for _ in range(4):
                client.post("/v1/classify", json={"input": "shipping"})
            (period, *_) = client.get("/smidgen/account").json()["periods"]
            assert period["total"]["requests"] == before + 4, "what it tells is on the disk"
            client.post("/v1/classify", json={"input": "shipping"})
            running.kill()
            running.wait(30)
        assert counted() in (before + 4, before + 5)
        before = counted()


@posix
def test_a_server_that_stops_writes_the_last_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path))
    with served() as (running, client):
        for _ in range(3):
            client.post("/v1/classify", json={"input": "shipping"})
        running.terminate()
        assert running.wait(30) == 0
    assert counted() == 3
