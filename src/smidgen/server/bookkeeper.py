"""The bookkeeper: adds up what requests took, and every few seconds adds the sums to the account's file, in a thread of its own.

Requests only add numbers in memory. Whatever fails on the disk, answers go on: the sums are kept and written later, it is counted, and told
once a minute. A process that is killed loses what it had not written yet, some seconds.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from smidgen.gateway import budget as budgets
from smidgen.machine.consumption import Consumption
from smidgen.server.account_metrics import AccountMetrics
from smidgen.server.shares import Work, shared
from smidgen.server.slip import OTHER
from smidgen.server.wall_clock import WallClock
from smidgen.stats.log_buckets import bucket
from smidgen.store import account
from smidgen.store.account import Entry, Key, Price, Sums, Wait

EVERY_SECONDS = 5.0
CLOSE_SECONDS = 5.0
"""Longest that a server which stops waits for the last addition."""
_COMPLAIN_SECONDS = 60.0
_MOST_KEYS = 2000
_log = logging.getLogger("smidgen.account")
Engines = Callable[[], Mapping[int, tuple[str, ...]]]
"""Processes that engines run in, by their numbers, each with the names of the models in it."""


@dataclass(slots=True)
class _Open:
    """What is being added up: the sums, and whom the energy of the time will be shared out to."""

    sums: Sums = field(default_factory=Sums)
    work: dict[Key, Work] = field(default_factory=dict)


class Bookkeeper:
    """See above. `close` ends it.

    Args:
        metrics: the same for Prometheus.
        engines: see there.
        file: of the account; its place by default.
        every: seconds between two additions.
    """

    def __init__(self, metrics: AccountMetrics, engines: Engines, file: Path | None = None, every: float | None = None) -> None:
        self._metrics, self._engines, self._file, self._every = metrics, engines, file, every or EVERY_SECONDS
        self._writer, self._number = uuid.uuid4().hex, 0
        self._open = _Open()
        self._pending: Sums | None = None
        self._consumption, self._clock = Consumption(), WallClock()
        self._loop_before = self._loop_now = 0.0
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._stop = threading.Event()
        self._complained = -_COMPLAIN_SECONDS
        self._untold = 0
        self.fault = ""
        """Why the last addition failed; empty where it did not."""
        self._thread = threading.Thread(target=self._run, name="bookkeeper", daemon=True)
        self._thread.start()

    def take(self, key: Key, entry: Entry, seconds: float | None = None, busy: float = 0.0, price: Price | None = None) -> None:
        """Add up a request. Returns at once, and raises nothing.

        Args:
            key: what it is counted as.
            entry: what it took.
            seconds: how long the client waited; None where that is not to be told of.
            busy: of that, how long a small model was at it.
            price: what was reckoned with, where it was.
        """
        with self._lock:
            sums = self._open.sums
            if key not in sums.entries and len(sums.entries) >= _MOST_KEYS:
                key = Key(key.day, OTHER, key.by, "")
            sums.entry(key).add(entry)
            if seconds is not None:
                sums.entry(key).waited += round(seconds * 1_000_000)
                sums.waits[Wait(key.day, key.model, key.by, bucket(seconds))] += 1
            if price is not None:
                sums.prices.add(price)
            self._open.work.setdefault(key, Work()).add(entry.requests, busy)
        self._metrics.took(key, entry, seconds)

    def begin(self, seconds: float) -> None:
        """The event loop begins, its thread having had so much processor time before: loading models is none of its work, nor is what the
        engines' processes took for it."""
        with self._writing:
            self._loop_before = self._loop_now = seconds
            self._consumption.note(self._engines())
            self._consumption.take()

    def looped(self, seconds: float) -> None:
        """Processor time that the event loop's thread has had so far."""
        self._loop_now = seconds

    def flush(self) -> bool:
        """Write what was added up; whether it is all on the disk."""
        with self._writing:
            self._consumption.note(self._engines())
            done = self._written()
            if done:  # then also what has gathered behind it
                with self._lock:
                    taken, self._open = self._open, _Open()
                if taken.sums:  # before anything can fail: what was taken would be lost
                    self._pending, self._number = taken.sums, self._number + 1
                self._charge(taken)
                if self._pending is not None:
                    done = self._written()
            return done

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Write the last of it, for so long at most."""
        self._stop.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stop.wait(self._every)
            try:
                self.flush()
            except Exception as error:  # noqa: BLE001 the thread outlives whatever fails in it, or nothing would ever be written again
                self._failed(type(error).__name__)
        self._tell(force=True)

    def _written(self) -> bool:
        """Add what waits to the file. What may have been added already is not added twice: its number says so. Old days go by a clock that
        is believed alone, for what is deleted does not come back."""
        if self._pending is None:
            return True
        try:
            account.add(self._pending, self._writer, self._number, budgets.today(), self._file, self._clock.believed())
        except OSError as error:
            self._failed(str(error))
            return False
        self._pending, self.fault = None, ""
        return True

    def _charge(self, taken: _Open) -> None:
        """Share out the energy of the time among the requests that ended in it. Where none did, it is shared out with the next."""
        if not taken.work:
            return
        consumed = self._consumption.take()
        loop, self._loop_before = self._loop_now - self._loop_before, self._loop_now
        for key, (measured, estimated) in shared(consumed, loop, taken.work, self._engines()).items():
            entry = taken.sums.entry(key)
            entry.measured += measured
            entry.estimated += estimated
            self._metrics.energy(key, measured, estimated)

    def _failed(self, why: str) -> None:
        self.fault = why
        self._metrics.failures.inc()
        self._untold += 1
        self._tell()

    def _tell(self, force: bool = False) -> None:
        """Log what failed, once a minute."""
        now = time.monotonic()
        if not self._untold or (now - self._complained < _COMPLAIN_SECONDS and not force):
            return
        kept = "what was not written is lost" if force else "the numbers are kept, and tried again"
        _log.warning("the account could not be written, %d times: %s; %s", self._untold, self.fault, kept)
        self._untold, self._complained = 0, now
