"""The recorder: whatever fails in it, it goes on; when it stops, what is left is let go, counted, and nobody waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter
from tests.eventually import eventually

from smidgen.core.errors import RequestError
from smidgen.server.ops.wall_clock import WallClock
from smidgen.server.request import HttpRequest
from smidgen.server.traffic.captured_request import CapturedRequest, CaptureMemory, RequestCollector
from smidgen.server.traffic.recorder import Recorder
from smidgen.store.traffic.records import DeletedTraffic, Exchange, Feedback
from smidgen.store.traffic.store import TrafficStore, opened

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[TrafficStore, threading.Event, threading.Event]]:
    """A store, an event when it is first added to, and the one that lets it."""
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    entered, gate = threading.Event(), threading.Event()
    real = TrafficStore.add

    def waits(self: TrafficStore, exchanges: Any) -> int:
        entered.set()
        assert gate.wait(60)
        return real(self, exchanges)

    monkeypatch.setattr(TrafficStore, "add", waits)
    with opened() as store:
        yield store, entered, gate
        gate.set()


def read(taken: CapturedRequest) -> Exchange:
    return Exchange(taken.id, NOW, "support", taken.path, "text", "upstream")


def counter(name: str, label: str) -> Counter:
    return Counter(name, "So many.", (label,), registry=CollectorRegistry())


def taken(id: str) -> CapturedRequest:
    return CapturedRequest(id, "/v1/chat/completions", 0.0, None, "")


def test_what_is_left_when_it_stops_is_let_go_and_counted(held: tuple[TrafficStore, threading.Event, threading.Event]) -> None:
    store, entered, gate = held
    rows = counter("rows", "outcome")
    recorder = Recorder(store, None, read, 4000, rows, counter("failures", "what"))
    recorder.offer(taken("first"))
    assert entered.wait(60)
    for number in range(3):
        recorder.offer(taken(f"{number}"))
    promised = recorder.told(Feedback("first", NOW, verdict="up"))
    recorder.close(0.05)
    assert rows.labels("stopped")._value.get() == 3
    with pytest.raises(RequestError) as told:
        promised.result(0)
    assert told.value.status == 503
    recorder.offer(taken("late"))
    assert rows.labels("stopped")._value.get() == 4
    with pytest.raises(RequestError):
        recorder.told(Feedback("first", NOW, verdict="up"))
    gate.set()
    recorder._thread.join(60)
    assert rows.labels("stored")._value.get() == 1


def test_feedback_goes_before_all_requests_but_its_own(
    held: tuple[TrafficStore, threading.Event, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, entered, gate = held
    order: list[str] = []
    add, said = TrafficStore.add, TrafficStore.feedback
    monkeypatch.setattr(TrafficStore, "add", lambda self, new: [order.append(one.id) for one in new] and add(self, new))
    monkeypatch.setattr(TrafficStore, "feedback", lambda self, one: order.append(f"of {one.request_id}") or said(self, one))
    monkeypatch.setattr("smidgen.server.traffic.captured_request._BATCH", 5)
    monkeypatch.setattr("smidgen.server.traffic.captured_request._MOST_FEEDBACK", 5)
    recorder = Recorder(store, None, read, 4000, counter("rows", "outcome"), counter("failures", "what"))
    recorder.offer(taken("first"))
    assert entered.wait(60)
    for number in range(5):
        recorder.offer(taken(f"{number}"))
    promised = [recorder.told(Feedback(id, NOW, verdict="up")) for id in ("4", "unknown", "first")]
    promised += [recorder.told(Feedback("first", NOW, verdict="down")) for _ in range(2)]
    with pytest.raises(RequestError) as refused:
        recorder.told(Feedback("first", NOW, verdict="up"))
    assert refused.value.status == 503, "as much feedback waits as may"
    gate.set()
    assert [one.result(60) for one in promised] == [True, False, True, True, True]
    recorder.close(60)
    assert order == ["first", "4", "of 4", *["of first"] * 3, "0", "1", "2", "3"]


def test_a_batch_under_way_ends_before_the_process_does(held: tuple[TrafficStore, threading.Event, threading.Event]) -> None:
    store, entered, gate = held
    rows = counter("rows", "outcome")
    recorder = Recorder(store, None, read, 4000, rows, counter("failures", "what"))
    recorder.offer(taken("first"))
    assert entered.wait(60)
    recorder.offer(taken("waits"))
    let_go = threading.Event()

    def open_the_gate() -> None:
        while rows.labels("stopped")._value.get() < 1 and not let_go.wait(0.01):
            pass
        gate.set()

    opener = threading.Thread(target=open_the_gate)
    opener.start()
    recorder.close(0.05, 60)
    let_go.set()
    opener.join(60)
    assert not recorder._thread.is_alive()
    assert (rows.labels("stored")._value.get(), rows.labels("stopped")._value.get()) == (1, 1)


def test_room_is_taken_and_given_back() -> None:
    room = CaptureMemory(10)
    assert room.take(6) and not room.take(5) and room.take(4)
    room.give(6)
    assert room.take(6) and not room.take(1)


def test_a_burst_of_five_thousand_ordinary_requests_is_held(held: tuple[TrafficStore, threading.Event, threading.Event]) -> None:
    store, entered, gate = held
    rows = counter("rows", "outcome")
    recorder = Recorder(store, None, read, 4000, rows, counter("failures", "what"))
    recorder.offer(taken("first"))
    assert entered.wait(60)
    for number in range(5_000):
        recorder.offer(collected(recorder.room, f"{number}"))
    assert rows.labels("queue_full")._value.get() == 0
    gate.set()
    recorder.close(120)
    assert rows.labels("stored")._value.get() == 5_001 and recorder.room.take(64_000_000), "and all memory is given back"


def test_what_became_of_requests_outlives_the_process(held: tuple[TrafficStore, threading.Event, threading.Event]) -> None:
    store, entered, gate = held
    recorder = Recorder(store, None, read, 4000, counter("rows", "outcome"), counter("failures", "what"))
    recorder.offer(taken("first"))
    assert entered.wait(60)
    recorder.room.take(63_999_000)
    recorder.offer(collected(recorder.room, "too much"))
    recorder.room.give(63_999_000)
    recorder.offer(taken("waits"))
    recorder.close(0.05)
    gate.set()
    recorder._thread.join(60)
    recorder.close(0.05)
    with opened() as after:
        found = after.seen()
    assert (found.stored, found.lost) == (1, {"queue_full": 1, "stopped": 1})
    assert found.words.startswith("2 of 3 requests since 20") and "66.7%: 1 queue_full, 1 stopped" in found.words


def collected(room: CaptureMemory, id: str) -> CapturedRequest:
    """A request of a usual size, as the door hands it on."""
    request = HttpRequest({"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": []})
    request.id = id
    one = RequestCollector(request, room)
    asked, answered = b"x" * 600, b"y" * 400

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": asked, "more_body": False}

    async def send(message: Any) -> None:
        pass

    async def pass_through() -> None:
        await request.read(receive)
        sending = one.sending(send, lambda: None)
        await sending({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")] * 8})
        await sending({"type": "http.response.body", "body": answered})

    asyncio.run(pass_through())
    return one.done({})


def test_its_thread_outlives_whatever_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    broke = threading.Event()

    def fails(self: TrafficStore, days: float, **more: Any) -> Any:
        broke.set()
        raise ArithmeticError("a private text")

    monkeypatch.setattr(TrafficStore, "delete_older", fails)
    rows, failures = counter("rows", "outcome"), counter("failures", "what")
    with opened() as store, caplog.at_level("WARNING", "smidgen.server"):
        recorder = Recorder(store, None, read, 30, rows, failures)
        assert broke.wait(60)
        recorder.offer(taken("after"))
        assert recorder.told(Feedback("after", NOW, verdict="up")).result(60)
        recorder.close(60)
    assert rows.labels("stored")._value.get() == failures.labels("thread")._value.get() == 1
    assert "thread: ArithmeticError" in caplog.text and "private" not in caplog.text


def test_nothing_is_deleted_by_a_clock_that_was_set_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path / "home"))
    wall = [1e9]
    asked: list[float] = []
    monkeypatch.setattr("smidgen.server.traffic.recorder.WallClock", lambda: WallClock(lambda: wall[0], lambda: 5.0))
    monkeypatch.setattr(TrafficStore, "delete_older", lambda self, days, **more: asked.append(days) or DeletedTraffic(0, 0, None))
    monkeypatch.setattr("smidgen.server.traffic.recorder._FORGET_SECONDS", 0.01)
    failures = counter("failures", "what")
    with opened() as store, caplog.at_level("WARNING", "smidgen.server"):
        recorder = Recorder(store, None, read, 30, counter("rows", "outcome"), failures)
        try:
            eventually(lambda: len(asked) > 0)
            wall[0] += 200 * 86400
            eventually(lambda: failures.labels("retention")._value.get() >= 2)
            before = len(asked)
            eventually(lambda: failures.labels("retention")._value.get() >= 4)
            assert len(asked) == before
            wall[0] -= 200 * 86400
            eventually(lambda: len(asked) > before)
        finally:
            recorder.close(60)
    assert "4800 hours ahead" in caplog.text
