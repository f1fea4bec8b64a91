"""Work that can wait: it does while others need the processor, for as long as it takes to leave them their share, and not for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from smidgen.server.traffic.recorder import LONGEST_SECONDS, SHARE, BackgroundThrottle, ProcessorTime, processor_time_now


def read(*readings: ProcessorTime) -> Iterator[ProcessorTime]:
    yield from readings
    raise AssertionError("it looked once too often")


def way(cores: int, *readings: ProcessorTime) -> BackgroundThrottle:
    given = read(*readings)
    return BackgroundThrottle(lambda taker: next(given), cores)


def test_others_are_busy_where_they_leave_no_core() -> None:
    idle = way(2, ProcessorTime(0, 0, 0, 0), ProcessorTime(1, 1.5, 0.9, 0))
    assert not idle.busy(), "the first look knows nothing yet"
    assert not idle.busy(), "others had 0.6 of a core, and one is free"
    full = way(2, ProcessorTime(0, 0, 0, 0), ProcessorTime(1, 1.9, 0.8, 0))
    full.busy()
    assert full.busy(), "others had 1.1 of two cores: none is free"
    many = way(16, ProcessorTime(0, 0, 0, 0), ProcessorTime(1, 9.0, 0.5, 0))
    many.busy()
    assert many.busy(), "on a machine that tells nothing of the taker, what others use may be all its own"


@pytest.mark.skipif(not hasattr(time, "pthread_getcpuclockid"), reason="the system has no clocks of threads")
def test_the_thread_that_takes_requests_is_heard_where_it_is_at_work_most_of_the_time() -> None:
    for taker, busy in ((0.5, False), (0.7, True)):
        one = way(16, ProcessorTime(0, 0, 0, 0), ProcessorTime(1, 9.0, 0.5, taker))
        one.taken_here()
        one.busy()
        assert one.busy() is busy


@pytest.mark.skipif(not hasattr(time, "pthread_getcpuclockid"), reason="the system has no clocks of threads")
def test_clocks_tell_threads_apart_and_outlive_them() -> None:
    one = BackgroundThrottle()
    taker = threading.Thread(target=lambda: (one.taken_here(), sum(range(3_000_000))))
    before = processor_time_now(None)
    taker.start()
    taker.join(60)
    after = processor_time_now(None)
    others = after.process - before.process - (after.own - before.own)
    assert others > 10 * max(1e-4, after.own - before.own), "what the other thread used is not this one's"
    assert one.busy() is False and one.busy() in (True, False), "the taker's thread has ended, and nothing is raised"


def test_it_rests_a_moment_where_nobody_is_busy_and_its_share_where_somebody_is() -> None:
    def rested(busy: bool, worked: float, stop_after: int = 10**6) -> tuple[int, float]:
        clock = [0.0]
        looks = [0]

        def spent(taker: int | None) -> ProcessorTime:
            return ProcessorTime(clock[0], 2 * clock[0] if busy else 0.0, 0.0, 0.0)

        def rest(seconds: float) -> bool:
            clock[0] += seconds
            looks[0] += 1
            return looks[0] >= stop_after

        one = BackgroundThrottle(spent, 2, lambda: clock[0])
        one.busy()
        one.after(worked, rest)
        return looks[0], clock[0]

    assert rested(False, 5.0)[0] == 1
    assert rested(True, 0.0)[0] == 1
    share = 0.05 / (0.05 + rested(True, 0.05)[1])
    assert share == pytest.approx(SHARE, abs=0.005)
    assert rested(True, 60.0)[1] == pytest.approx(LONGEST_SECONDS, abs=0.1)
    assert rested(True, 60.0, stop_after=3)[0] == 3, "what may not wait is not kept waiting"
