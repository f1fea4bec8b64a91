"""What the documentation says of a full disk, a read-only one and too many open files, a sentence each.

The faults are made where the stores' writers begin, so that no rights are needed; with the rights to mount one, a disk of a megabyte is
really full.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.certified_bundle import certified_bundle  # noqa: F401
from tests.eventually import eventually
from tests.server.conftest import error_of
from tests.server.gateway.test_certified import CHAT, SURE, UNSURE, asking, certify
from tests.upstream_stub import WHOLE, UpstreamStub

from smidgen.core.errors import SmidgenError
from smidgen.flows.local_model import Model
from smidgen.flows.status_report import read_account
from smidgen.gateway.upstreams import RetryPolicy
from smidgen.store import spending_ledger, sqlite_wal
from smidgen.store import usage_records as accounts
from smidgen.store.traffic.records import TrafficError
from smidgen.store.traffic.store import opened

PATIENCE = RetryPolicy(tries=1)
ON = {"capture": "answers", "capture_redact": "allow", "capture_held_out": 0.0}
BUDGET = {"budget_day": 5.0, "price_in": 1.0, "price_out": 1.0}
FAULTS = [errno.ENOSPC, errno.EROFS, errno.EMFILE]
NAMES = [errno.errorcode[fault] for fault in FAULTS]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SMIDGEN_TRAFFIC_URL", raising=False)
    return tmp_path / "home"


@pytest.fixture
def gateway(serve: Any, upstream: UpstreamStub, model: Model) -> Callable[..., Any]:
    """One over the bundle `support`, whose certificate answers `SURE` here and sends `UNSURE` upstream."""
    certify(model)
    given = {"fallback": (upstream.url,), "fallback_model": ("big",)}
    return lambda **settings: serve(model, patience=PATIENCE, **{**given, **settings})


@contextmanager
def broken(monkeypatch: pytest.MonkeyPatch, fault: int) -> Iterator[None]:
    """No file of a store can be opened to be written."""
    real = os.open

    def fails(path: Any, flags: int, *more: Any, **options: Any) -> int:
        if str(path).endswith(".lock"):
            raise OSError(fault, os.strerror(fault), str(path))
        return real(path, flags, *more, **options)

    with monkeypatch.context() as patch:
        patch.setattr(sqlite_wal.os, "open", fails)
        yield


def metric(running: Any, start: str) -> float:
    found = [line for line in running.client.get("/metrics").text.splitlines() if line.startswith(start)]
    return sum(float(line.rpartition(" ")[2]) for line in found)


@pytest.mark.parametrize("fault", FAULTS, ids=NAMES)
def test_answers_go_on_and_traffic_is_counted_as_not_stored(gateway: Any, monkeypatch: pytest.MonkeyPatch, fault: int) -> None:
    """how-to/run-in-production.md: "answers go on; traffic is not stored, and counted"; "nothing needs a restart"."""
    running = gateway(**ON)
    unwritten = 'smidgen_capture_rows_total{outcome="unwritten"}'
    assert running.post(CHAT, asking(SURE)).status_code == 200
    eventually(lambda: metric(running, 'smidgen_capture_rows_total{outcome="stored"}') == 1)
    with broken(monkeypatch, fault):
        here, there = running.post(CHAT, asking(SURE)), running.post(CHAT, asking(UNSURE))
        assert (here.status_code, here.headers["x-smidgen-answered-by"]) == (200, "local")
        assert there.content == WHOLE
        eventually(lambda: metric(running, unwritten) == 2)
    assert running.post(CHAT, asking(SURE)).status_code == 200
    eventually(lambda: metric(running, 'smidgen_capture_rows_total{outcome="stored"}') == 2)
    with opened(make=False) as store:
        assert store.totals().requests == 2


@pytest.mark.parametrize("fault", FAULTS, ids=NAMES)
def test_feedback_gets_503_and_is_not_acknowledged(gateway: Any, monkeypatch: pytest.MonkeyPatch, fault: int) -> None:
    """how-to/run-in-production.md: "feedback gets 503 and is not acknowledged"; reference/http.md: `feedback_not_stored`."""
    running = gateway(**ON)
    id = running.post(CHAT, asking(SURE)).headers["x-request-id"]
    eventually(lambda: metric(running, 'smidgen_capture_rows_total{outcome="stored"}') == 1)
    with broken(monkeypatch, fault):
        assert error_of(running.post("/v1/feedback", {"request_id": id, "verdict": "up"}), 503)["code"] == "feedback_not_stored"
    with opened(make=False) as store:
        assert store.totals().feedback == 0
    assert running.post("/v1/feedback", {"request_id": id, "verdict": "up"}).status_code == 200


@pytest.mark.parametrize("fault", FAULTS, ids=NAMES)
def test_with_a_budget_nothing_leaves_and_local_answers_go_on(
    gateway: Any, upstream: UpstreamStub, monkeypatch: pytest.MonkeyPatch, fault: int
) -> None:
    """how-to/limit-and-count-costs.md: with a budget nothing goes to the fallback; what the bundle may answer it answers."""
    running = gateway(**BUDGET)
    with broken(monkeypatch, fault):
        told = error_of(running.post(CHAT, asking(UNSURE)), 503)
        assert told["code"] == "upstream_failed" and "cannot be written down, and there is a budget" in told["message"]
        assert str(os.environ["SMIDGEN_HOME"]) not in told["message"]
        here = running.post(CHAT, asking(SURE))
        assert (here.status_code, here.headers["x-smidgen-answered-by"]) == (200, "local")
        assert upstream.seen == []
    assert running.post(CHAT, asking(UNSURE)).content == WHOLE


@pytest.mark.parametrize("fault", FAULTS, ids=NAMES)
def test_with_a_budget_the_bundle_may_answer_in_place_of_the_fallback(gateway: Any, monkeypatch: pytest.MonkeyPatch, fault: int) -> None:
    """how-to/run-in-production.md: with `--when-upstream-fails local` the bundle's answer, marked."""
    running = gateway(**BUDGET, when_upstream_fails="local")
    with broken(monkeypatch, fault):
        found = running.post(CHAT, asking(UNSURE))
    assert found.status_code == 200 and found.headers["x-smidgen-answered-by"] == "local" and found.headers["x-smidgen-uncertified"]


@pytest.mark.parametrize("fault", FAULTS, ids=NAMES)
def test_without_a_ledger_no_server_with_a_budget_starts(gateway: Any, monkeypatch: pytest.MonkeyPatch, fault: int) -> None:
    """how-to/limit-and-count-costs.md: "the ledger cannot be read or written: Nothing leaves"; "No server starts without it"."""
    with broken(monkeypatch, fault), pytest.raises(SmidgenError, match="no budget can be kept"):
        gateway(**BUDGET)
    assert gateway().post(CHAT, asking(SURE)).status_code == 200


@pytest.mark.parametrize("fault", FAULTS, ids=NAMES)
def test_the_account_is_kept_in_memory_and_written_later(gateway: Any, monkeypatch: pytest.MonkeyPatch, fault: int) -> None:
    """how-to/limit-and-count-costs.md: "What cannot be written is kept in memory, written later, and counted"."""
    running = gateway()
    with broken(monkeypatch, fault):
        for _ in range(3):
            assert running.post(CHAT, asking(SURE)).status_code == 200
        told = running.client.get("/smidgen/account")
        assert told.status_code == 200 and told.json()["unwritten"] is True
        assert metric(running, "smidgen_account_failures_total") >= 1
    told = running.client.get("/smidgen/account").json()
    assert told["unwritten"] is False and told["periods"][0]["total"]["local"] == 3
    assert sum(entry.requests for entry in accounts.read(accounts.today()).entries.values()) == 3


@pytest.mark.parametrize("fault", FAULTS, ids=NAMES)
def test_an_account_that_cannot_be_read_gets_503(gateway: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: int) -> None:
    """reference/errors.md: `account_unreadable`; also where the home itself cannot be had any more. Then no certificate holds: all
    escalates."""
    running = gateway()
    assert running.post(CHAT, asking(SURE)).status_code == 200

    def fails(self: Path, *args: Any, **options: Any) -> None:
        raise OSError(fault, os.strerror(fault), str(self))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", fails)
        failed = running.client.get("/smidgen/account")
        assert error_of(failed, 503)["code"] == "account_unreadable" and str(tmp_path) not in failed.text
        escalated = running.post(CHAT, asking(SURE))
        assert escalated.content == WHOLE and escalated.headers["x-smidgen-answered-by"] == "upstream"
        assert "home cannot be made" in read_account()["error"]
    assert running.post(CHAT, asking(SURE)).headers["x-smidgen-answered-by"] == "local"
    assert running.client.get("/smidgen/account").json()["periods"][0]["total"]["local"] == 2


def test_a_store_of_traffic_that_cannot_be_opened_stops_the_start(gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with broken(monkeypatch, errno.EROFS), pytest.raises(TrafficError, match="Read-only"):
        gateway(**ON)


@pytest.fixture
def tiny_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home on a disk of a megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], capture_output=True, timeout=20, check=False)
    except OSError:
        pytest.skip("cannot mount a disk here")
    if done.returncode:
        pytest.skip("cannot mount a disk here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], timeout=20, check=False)


def fill(place: Path) -> Path:
    """Fill a disk to its last byte."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    with filler.open("ab", buffering=0) as file, suppress(OSError):
        while file.write(b"x"):
            pass
    return filler


def test_a_disk_that_is_really_full(gateway: Any, upstream: UpstreamStub, home: Path, tiny_disk: Path) -> None:
    """All of the sentences at once, with a budget, and on from there when there is room again."""
    shutil.copytree(home, tiny_disk, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMIDGEN_HOME", str(tiny_disk))
        running = gateway(**ON, **BUDGET)
        id = running.post(CHAT, asking(SURE)).headers["x-request-id"]
        eventually(lambda: metric(running, 'smidgen_capture_rows_total{outcome="stored"}') == 1)
        filler = fill(tiny_disk)
        refused = 0
        for number in range(60):
            here = running.post(CHAT, asking(f"{SURE} {number} " + "word " * 400))
            assert here.status_code in (200, 503), here.text
            refused += error_of(running.post(CHAT, asking(f"{UNSURE} {number}")), 503)["code"] == "upstream_failed"
        assert refused == 60 and running.post(CHAT, asking(SURE)).headers["x-smidgen-answered-by"] == "local"
        assert upstream.seen == []
        eventually(lambda: metric(running, 'smidgen_capture_rows_total{outcome="unwritten"}') >= 1)
        assert error_of(running.post("/v1/feedback", {"request_id": id, "comment": "x" * 3000}), 503)["code"] == "feedback_not_stored"
        assert running.client.get("/smidgen/account").status_code in (200, 503)
        filler.unlink()
        assert running.post(CHAT, asking(UNSURE)).content == WHOLE
        assert running.post("/v1/feedback", {"request_id": id, "verdict": "up"}).status_code == 200
        assert running.client.get("/smidgen/account").json()["unwritten"] is False
        assert spending_ledger.read(accounts.today())["all"].requests <= 1
