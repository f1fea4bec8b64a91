"""What waits to be stored: requests wait a moment for others; feedback, the end and a full batch wait for nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from smidgen.server.traffic import captured_request
from smidgen.server.traffic.captured_request import Backlog, BacklogEntry, CapturedRequest
from smidgen.server.traffic.recorder import BackgroundThrottle, ProcessorTime
from smidgen.store.traffic.records import Feedback

FOR_EVER = 3_600.0
"""Seconds that a test does not last."""


def taken(id: str) -> CapturedRequest:
    return CapturedRequest(id, "/v1/chat/completions", 0.0, None, "")


def told(given: Sequence[BacklogEntry] | None) -> list[str]:
    return [
        one.id if isinstance(one, CapturedRequest) else f"of {one[0].request_id}"
        for one in given or ()
        if isinstance(one, (CapturedRequest, tuple))
    ]


def given(line: Backlog, then: Callable[[], None], *, first: str) -> list[str]:
    """What is given out to a thread that has begun to wait for more than the first, once `then` has happened."""
    found: list[list[str]] = []
    thread = threading.Thread(target=lambda: found.append(told(line.next(FOR_EVER))), daemon=True)
    line.add(taken(first))
    thread.start()
    thread.join(0.05)
    assert not found, "one request alone waits for others"
    then()
    thread.join(60)
    return found[0]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captured_request, "_GATHER_SECONDS", FOR_EVER)


def test_a_batch_that_is_full_is_given_out_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captured_request, "_MOST_BATCH", captured_request._BATCH)
    line, names = Backlog(), [f"{number}" for number in range(captured_request._BATCH + 2)]

    def fill() -> None:
        for name in names[1:]:
            line.add(taken(name))

    assert given(line, fill, first="0") == names[: captured_request._BATCH]
    assert [one.id for one in line.left() if isinstance(one, CapturedRequest)] == names[captured_request._BATCH :]


def test_of_a_burst_more_is_given_out_at_a_time() -> None:
    line = Backlog()
    for number in range(5_000):
        assert line.add(taken(f"{number}")) == ""
    sizes = [len(line.next(FOR_EVER) or ()) for _ in range(2)]
    assert sizes == [captured_request._MOST_BATCH] * 2 and len(line.left()) == 5_000 - sum(sizes)


def test_feedback_waits_for_nothing() -> None:
    line = Backlog()

    def say() -> None:
        line.say(Feedback("a", datetime(2026, 5, 1, tzinfo=UTC), verdict="up"))

    assert given(line, say, first="a") == ["a", "of a"]


def test_the_end_waits_for_nothing() -> None:
    line = Backlog()
    assert given(line, line.close, first="a") == ["a"]
    assert line.next(FOR_EVER) is None


def test_one_that_nothing_follows_waits_no_longer_than_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captured_request, "_GATHER_SECONDS", 0.01)
    line = Backlog()
    line.add(taken("a"))
    assert told(line.next(FOR_EVER)) == ["a"]


def test_one_that_waited_while_others_were_stored_waits_for_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(captured_request, "time", SimpleNamespace(monotonic=lambda: now[0]))
    line, found = Backlog(), list[list[str]]()
    line.add(taken("a"))
    now[0] = FOR_EVER
    thread = threading.Thread(target=lambda: found.append(told(line.next(FOR_EVER))), daemon=True)
    thread.start()
    thread.join(20)
    assert found == [["a"]]


def test_a_pause_for_busy_answers_ends_when_a_few_requests_are_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed process loses what waits, so a few requests do not wait for an idle processor. A burst does."""
    monkeypatch.setattr(captured_request, "_DUE_SECONDS", 0.0)
    monkeypatch.setattr(captured_request, "_BURST", 3)
    line, looks = Backlog(), [0]

    def rest(seconds: float) -> bool:
        looks[0] += 1
        return line.rest(0.0)

    def paused() -> int:
        looks[0] = 0
        clock, used = iter(range(1, 1_000)), iter(range(0, 20_000, 20))
        busy = BackgroundThrottle(lambda taker: ProcessorTime(next(clock), next(used), 0.0, 0.0), 2, lambda: looks[0] * 0.02)
        busy.busy()
        busy.after(60.0, rest)
        return looks[0]

    assert paused() > 50, "nothing waits"
    for number in range(3):
        line.add(taken(f"{number}"))
    assert paused() == 1
    line.add(taken("one more"))
    assert paused() > 50, "a burst is stored in what time answers leave"
    assert len(line.left()) == 4 and paused() > 50
