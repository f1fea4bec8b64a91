"""Background work gives way: it waits while answers need the processor, but never for ever.

A lower priority would not do: the threads share the interpreter's lock, and one that the system keeps waiting while it holds that would
keep all others waiting.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from smidgen.machine import processor

SHARE = 0.1
"""Of a core, which work that gives way takes at least."""
LONGEST_SECONDS = 2.0
"""Longest that it waits at a time."""
LOOK_SECONDS = 0.02
"""Between two looks at how busy the others are."""
_TAKER_BUSY = 0.6
"""Share of its time that the thread that takes requests works for, from which on it lacks whatever another thread of Python takes."""


@dataclass(frozen=True)
class ProcessorTime:
    """Seconds: of the clock, and of processors that the whole process, this thread, and the one that takes requests have used."""

    clock: float
    process: float
    own: float
    taker: float


class BackgroundThrottle:
    """A throttle for one thread whose work can wait.

    Args:
        spent: the processor time used so far, asked in that thread; it is given the clock of the taker, None where none is known.
        cores: the cores that the process may use.
        clock: seconds.
    """

    def __init__(
        self,
        spent: Callable[[int | None], ProcessorTime] | None = None,
        cores: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spent, self._clock = spent or processor_time_now, clock
        self._cores = cores or processor.cores()
        self._taker: int | None = None
        self._last: ProcessorTime | None = None

    def taken_here(self) -> None:
        """Say, once, in the thread that takes requests, that it is the one."""
        if self._taker is None and sys.platform == "linux":
            self._taker = time.pthread_getcpuclockid(threading.get_ident())

    def after(self, worked: float, rest: Callable[[float], bool]) -> None:
        """Rest after some seconds of work: a moment, or while others are busy so long that this thread has `SHARE` of a core.

        `rest` waits for some seconds, and says whether there is something that may not wait.
        """
        until = self._clock() + min(worked * (1 / SHARE - 1), LONGEST_SECONDS)
        while not rest(LOOK_SECONDS) and self.busy() and self._clock() < until:
            pass

    def busy(self) -> bool:
        """Whether, since this was asked last, the other threads left no core free, or the one that takes requests was at work for most of
        the time. False the first time."""
        now, last = self._spent(self._taker), self._last
        self._last = now
        if last is None or now.clock <= last.clock:
            return False
        seconds = now.clock - last.clock
        others = (now.process - last.process - (now.own - last.own)) / seconds
        taker = (now.taker - last.taker) / seconds if self._taker is not None else others
        return others > max(self._cores - 1, _TAKER_BUSY) or taker > _TAKER_BUSY


def processor_time_now(taker: int | None) -> ProcessorTime:
    """The processor time used so far."""
    try:
        taken = time.clock_gettime(taker) if taker is not None else 0.0
    except OSError:  # that thread has ended: nobody asks for anything any more
        taken = 0.0
    return ProcessorTime(time.monotonic(), time.process_time(), time.thread_time(), taken)
