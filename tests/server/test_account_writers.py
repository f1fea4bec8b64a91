"""The account of a bundle that writes: its own tokens, and the energy of its engine's process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from smidgen.flows.local_model import Model, load
from smidgen.store import usage_records as accounts
from smidgen.usage import energy
from smidgen.usage.daily_budget import today
from smidgen.usage.energy import WATTS_PER_BUSY_CORE, seconds_of

from .conftest import running
from .test_gateway_door import CHAT, asking


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
    if before is not None and after is not None:  # only Linux tells of other processes
        assert after > before and told["of_that_local_answers_wh"] * 3600 > (after - before) * WATTS_PER_BUSY_CORE
