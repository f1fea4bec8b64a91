"""Capture: a middleware that copies passing requests, and a recorder that stores them in one thread, from a bounded queue.

The middleware changes nothing. If the recorder fails, answers continue. While answers need the processor, the recorder waits.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from prometheus_client import Counter as Metric
from starlette.types import ASGIApp, Receive, Scope, Send

from smidgen.core.errors import EngineError, RedactionError, RequestError, SmidgenError
from smidgen.flows.capture.redaction import CaptureRedactor
from smidgen.gateway.eligibility import CERTIFIED_PATHS
from smidgen.machine import processor
from smidgen.server.models import ServedBundle, models_of_request
from smidgen.server.ops.wall_clock import TRUSTED_SECONDS, WallClock
from smidgen.server.request import request_of
from smidgen.server.traffic.captured_request import (
    FULL,
    OVERHEAD_BYTES,
    STOPPED,
    Backlog,
    BacklogEntry,
    CapturedRequest,
    CaptureMemory,
    RequestCollector,
)
from smidgen.store.traffic.records import MOST_TEXT, STORED, AuditAnswer, Exchange, Feedback, TrafficError
from smidgen.store.traffic.store import TrafficStore

SHARE = 0.1
"""Share of a core that background work always gets."""
LONGEST_SECONDS = 2.0
"""Longest pause, in seconds."""
LOOK_SECONDS = 0.02
"""Seconds between two checks of the load."""
_TAKER_BUSY = 0.6
"""If the thread that takes requests works for more than this share of its time, it needs what other Python threads take."""


@dataclass(frozen=True)
class ProcessorTime:
    """Seconds of the clock, and of processor time: of the whole process, this thread, and the thread that takes requests."""

    clock: float
    process: float
    own: float
    taker: float


class BackgroundThrottle:
    """Lets one background thread give way while answers need the processor, but not for ever.

    A lower priority would not help: the threads share the interpreter's lock, and a thread that the system pauses while it holds the lock
    stops all others.

    Args:
        spent: returns the processor time so far; called in the background thread, with the clock of the request thread, or None.
        cores: cores that the process may use.
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
        """Mark the current thread as the one that takes requests. Only the first call counts."""
        if self._taker is None and sys.platform == "linux":
            self._taker = time.pthread_getcpuclockid(threading.get_ident())

    def after(self, worked: float, rest: Callable[[float], bool]) -> None:
        """Pause after some seconds of work: briefly, and while others are busy so long that this thread gets `SHARE` of a core.

        `rest` waits for some seconds, and returns True if urgent work has come.
        """
        until = self._clock() + min(worked * (1 / SHARE - 1), LONGEST_SECONDS)
        while not rest(LOOK_SECONDS) and self.busy() and self._clock() < until:
            pass

    def busy(self) -> bool:
        """Return True if, since the last call, other threads left no core free, or the request thread worked most of the time.

        False on the first call.
        """
        now, last = self._spent(self._taker), self._last
        self._last = now
        if last is None or now.clock <= last.clock:
            return False
        seconds = now.clock - last.clock
        others = (now.process - last.process - (now.own - last.own)) / seconds
        taker = (now.taker - last.taker) / seconds if self._taker is not None else others
        return others > max(self._cores - 1, _TAKER_BUSY) or taker > _TAKER_BUSY


def processor_time_now(taker: int | None) -> ProcessorTime:
    """Return the processor time so far."""
    try:
        taken = time.clock_gettime(taker) if taker is not None else 0.0
    except OSError:  # that thread has ended, so no requests come
        taken = 0.0
    return ProcessorTime(time.monotonic(), time.process_time(), time.thread_time(), taken)


OUTCOMES = (STORED, FULL, "too_large", "unreadable", "unredacted", "unwritten", "duplicate", STOPPED)
"""Outcomes of storing a request. Only with the first one it is stored."""
FAILURES = ("retention", "feedback", "audit", "labels", "thread")
"""Failures that concern no single request: deleting old data, storing feedback, an audit's answer or new labels, and any other."""

_MOST_BYTES = 64_000_000
"""Bytes of all requests in progress or in the queue: about 12,000 of usual size."""
_FORGET_SECONDS = 3600.0
_COUNT_SECONDS = 5.0
"""Seconds between two writes of the outcome counts. A killed process loses no more than that."""
_COMPLAIN_SECONDS = 60.0
_log = logging.getLogger("smidgen.server")


class Recorder:
    """Stores captured requests.

    Args:
        traffic: the store, which is closed with the recorder.
        scrubber: removes personal data; None if it may stay.
        reading: returns the exchange to store; None for an unreadable request.
        days: days to keep requests.
        rows: counts by outcome.
        failures: counts failures that concern no single request, by kind.
        kept_days: days to keep the requests in the lines' reservoirs; None: as the others.
    """

    def __init__(
        self,
        traffic: TrafficStore,
        scrubber: CaptureRedactor | None,
        reading: Callable[[CapturedRequest], Exchange | None],
        days: int,
        rows: Metric,
        failures: Metric,
        *,
        kept_days: int | None = None,
    ) -> None:
        self._kept_days = kept_days
        self.room = CaptureMemory(_MOST_BYTES)
        self._traffic, self._scrubber, self._reading, self._days = traffic, scrubber, reading, days
        self._rows, self._failures = rows, failures
        self._backlog, self._way, self._clock = Backlog(), BackgroundThrottle(), WallClock()
        self._lock = threading.Lock()
        self._complaints: Counter[str] = Counter()
        self._uncounted: Counter[str] = Counter()
        self._count_at = 0.0
        self._complained = -_COMPLAIN_SECONDS
        self._forget_at = time.monotonic()
        for outcome in OUTCOMES:
            rows.labels(outcome)
        for what in FAILURES:
            failures.labels(what)
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def offer(self, taken: CapturedRequest) -> None:
        """Queue a request for storing. Called by the thread that takes requests. Returns at once and raises nothing."""
        self._way.taken_here()
        if taken.lost:
            self._drop(taken.lost, "it is larger than is kept, or memory for the queue is used up", taken)
        elif refused := self._backlog.add(taken):
            self._drop(refused, "requests come faster than they are stored", taken)

    def holds_out(self, input: str) -> bool:
        """Return True if a text is held out, by the store's key and share. Thread-safe, without reading the store."""
        return self._traffic.holds_out(input)

    def audited(self, found: AuditAnswer) -> None:
        """Queue the large model's answer in an audit for storing.

        It is dropped if it is too long or the memory is used up. Raises nothing.
        """
        if len(found.answer) <= MOST_TEXT and self.room.take(_size(found)) and self._backlog.add(found):
            self.room.give(_size(found))

    def told(self, said: Feedback) -> Future[bool]:
        """Queue feedback, to be stored after its request. The future tells whether that request is stored; the result is then on disk.

        Raises RequestError, 503, if too much waits.
        """
        done = self._backlog.say(said)
        if done is None:
            raise _unavailable("server.feedback_has_too_much_before_it")
        return done

    def close(self, seconds: float, batch_seconds: float = 0.0) -> None:
        """Store queued entries for at most `seconds`, drop the rest, and close the store.

        The current batch then gets `batch_seconds` more, because a process should not end while a model computes in a thread.
        """
        self._backlog.close()
        self._thread.join(seconds)
        for one in self._backlog.left():
            self._let_go(one, STOPPED, "the server stopped before it could be stored")
        self._thread.join(batch_seconds)
        self._told_of(force=True)
        if not self._thread.is_alive():
            self._write_counts(force=True)
            self._traffic.close()

    def _run(self) -> None:
        while True:
            try:
                if not self._turn():
                    return
            except Exception as error:  # noqa: BLE001 the thread must survive any failure, or nothing would be stored any more
                self._failed("thread", type(error).__name__)
                self._way.after(0.0, self._backlog.rest)

    def _turn(self) -> bool:
        """Do the next piece of work. False at the end."""
        now = time.monotonic()
        if now >= self._forget_at:
            self._forget_at = now + _FORGET_SECONDS  # set first, so that a failure is not retried sooner
            self._forget()
        found = self._backlog.next(min(self._forget_at, self._count_due()) - now)
        if found is None:
            return False
        self._write_counts()
        began, batch = time.monotonic(), list(found)
        try:
            self._take_in(batch)
        finally:
            for one in batch:  # empty unless something failed
                self._let_go(one, "unwritten", "a failure came before it was stored")
        self._told_of()
        # Meanwhile more requests gather, and other writers get access to the store.
        self._way.after(time.monotonic() - began if found else 0.0, self._backlog.rest)
        return True

    def _take_in(self, batch: list[BacklogEntry]) -> None:
        """Store a batch, in order. Entries are removed from it when done."""
        rows: list[CapturedRequest] = []
        while batch:
            one = batch.pop(0)
            if isinstance(one, CapturedRequest):
                rows.append(one)
                continue
            self._store(rows)
            rows = []
            if isinstance(one, AuditAnswer):
                try:
                    self._keep(one)
                finally:
                    self.room.give(_size(one))
            else:
                self._answer(*one)
        self._store(rows)

    def _keep(self, found: AuditAnswer) -> None:
        """Store an audit's answer with its request. A failure only costs one row to learn from."""
        try:
            row = self._traffic.find(found.id)
            safe = found if self._scrubber is None or row is None else self._scrubber.audited(found, row["asked"], row["key_hash"])
            if row is not None and safe is not None:
                self._traffic.audited(safe)
        except (TrafficError, EngineError) as error:
            self._failed("audit", str(error))

    def _store(self, rows: Sequence[CapturedRequest]) -> None:
        if not rows:
            return
        try:
            read = [found for one in rows if (found := self._read(one)) is not None]
            safe = self._safe(read)
            if safe:
                new = self._traffic.add(safe)
                self._put_right()
                self._count(STORED, new)
                self._note("duplicate", "a request with that id is stored already", len(safe) - new)
        except TrafficError as error:
            self._note("unwritten", str(error), len(safe))
        except Exception as error:  # noqa: BLE001 the thread must survive any batch, or nothing would be stored any more
            self._note("unwritten", type(error).__name__, len(rows))
        finally:
            self.room.give(sum(one.size for one in rows))

    def _put_right(self) -> None:
        """Store the labels that became known, and unmask the rows that were stored masked for want of them.

        Retried with the next batch on failure.
        """
        recurring = self._scrubber.recurring if self._scrubber is not None else None
        if recurring is None or not (recurring.new or recurring.late):
            return
        try:
            self._traffic.know(recurring.new, recurring.late)
        except TrafficError as error:
            self._failed("labels", str(error))
            return
        recurring.settled()

    def _read(self, taken: CapturedRequest) -> Exchange | None:
        try:
            found = self._reading(taken)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
            # A body may have any shape. One that no face understands is not stored.
            self._note("unreadable", type(error).__name__)
            return None
        if found is None:
            self._note("unreadable", "the body is no JSON object")
        return found

    def _safe(self, read: list[Exchange]) -> list[Exchange]:
        """Return the exchanges that may be stored; none if the model cannot run."""
        if self._scrubber is None:
            return read
        try:
            safe = [one for one in self._scrubber.exchanges(read) if one is not None]
        except SmidgenError as error:
            self._note("unredacted", f"the redaction model cannot run ({type(error).__name__})", len(read))
            return []
        self._note("unredacted", "personal data cannot be taken out of it", len(read) - len(safe))
        return safe

    def _answer(self, said: Feedback, done: Future[bool]) -> None:
        if not done.set_running_or_notify_cancel():
            return  # the client is gone, and was not told that it is stored
        try:
            row = self._traffic.find(said.request_id)
            if row is None or not (said.by_admin or row["key_hash"] == said.key):
                done.set_result(False)
                return
            if self._scrubber is not None:
                said = self._scrubber.feedback(said, row["asked"], row["key_hash"])
            done.set_result(self._traffic.feedback(said))
        except (TrafficError, EngineError) as error:
            self._failed("feedback", str(error))
            done.set_exception(_unavailable("server.feedback_cannot_be_stored_now"))
        except RedactionError as error:
            done.set_exception(RequestError(error.what, value=error.value, todo=error.todo, code="redaction_failed"))
        except Exception as error:  # noqa: BLE001 the waiting client must learn of any failure
            done.set_exception(error)

    def _forget(self) -> None:
        """Delete old requests. Nothing is deleted while the clock was set ahead, because deletion is final."""
        ahead = self._clock.ahead()
        if ahead > TRUSTED_SECONDS:
            why = f"the clock was set {ahead / 3600:.0f} hours ahead; nothing is deleted until it is back, or a restart"
            self._failed("retention", why)
            return
        try:
            deleted = self._traffic.delete_older(self._days, kept_days=self._kept_days)
        except TrafficError as error:
            self._failed("retention", str(error))
            return
        self._know_labels()
        if deleted.requests:
            left = "; its journal is being read, and holds them a while longer" if deleted.gone is False else ""
            _log.info("%d stored requests are over %d days old, and are deleted%s", deleted.requests, self._days, left)

    def _know_labels(self) -> None:
        """Load the labels from the store. Labels deleted there are no longer known."""
        if self._scrubber is None:
            return
        try:
            self._scrubber.recurring.know(self._traffic.labels())
        except TrafficError as error:
            self._failed("labels", str(error))

    def _drop(self, outcome: str, why: str, taken: CapturedRequest) -> None:
        self.room.give(taken.size)
        self._note(outcome, why)
        self._told_of()

    def _let_go(self, one: BacklogEntry, outcome: str, why: str) -> None:
        if isinstance(one, CapturedRequest):
            self._drop(outcome, why, one)
        elif isinstance(one, AuditAnswer):
            self.room.give(_size(one))
        elif one[1].set_running_or_notify_cancel():
            one[1].set_exception(_unavailable("server.feedback_cannot_be_stored_now"))

    def _failed(self, what: str, why: str) -> None:
        self._failures.labels(what).inc()
        self._note_only(what, why)
        self._told_of()

    def _note(self, outcome: str, why: str, count: int = 1) -> None:
        if count > 0:
            self._count(outcome, count)
            self._note_only(outcome, why, count)

    def _count(self, outcome: str, count: int) -> None:
        self._rows.labels(outcome).inc(count)
        with self._lock:
            self._uncounted[outcome] += count

    def _count_due(self) -> float:
        """Return when outcome counts are to be written next."""
        with self._lock:
            return self._count_at if self._uncounted else float("inf")

    def _write_counts(self, force: bool = False) -> None:
        """Write the outcome counts to the store, so that they survive this process. Retried on failure."""
        now = time.monotonic()
        with self._lock:
            if not self._uncounted or (now < self._count_at and not force):
                return
            counts, self._uncounted = self._uncounted, Counter()
            self._count_at = now + _COUNT_SECONDS
        try:
            self._traffic.add_outcomes(counts)
        except TrafficError as error:
            with self._lock:
                self._uncounted.update(counts)
            self._note_only("counts", str(error))

    def _note_only(self, outcome: str, why: str, count: int = 1) -> None:
        with self._lock:
            self._complaints[f"{outcome}: {why}"] += count

    def _told_of(self, force: bool = False) -> None:
        """Log how many requests were not stored, and why, at most once a minute."""
        now = time.monotonic()
        with self._lock:
            if not self._complaints or (now - self._complained < _COMPLAIN_SECONDS and not force):
                return
            said = "; ".join(f"{count} {reason}" for reason, count in self._complaints.most_common(5))
            self._complaints.clear()
            self._complained = now
        _log.warning("not everything that was captured could be stored: %s", said)


def _size(found: AuditAnswer) -> int:
    """Return the approximate bytes of a waiting audit's answer."""
    return OVERHEAD_BYTES + len(found.answer)


def _unavailable(message: str) -> RequestError:
    return RequestError(message, status=503, code="feedback_not_stored")


class CaptureMiddleware:
    """A layer around the gateway: sees requests to chat, completions and responses as clients send them, and answers as clients get them.

    Args:
        app: the layers behind it.
        recorder: stores requests.
        models: the current bundles, by name. The stored ones are those at the time of the request.
    """

    def __init__(self, app: ASGIApp, recorder: Recorder, models: Mapping[str, ServedBundle]) -> None:
        self._app, self._recorder, self._models = app, recorder, models

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and give it to the recorder when it ends, in any way."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in CERTIFIED_PATHS:
            await self._app(scope, receive, send)
            return
        request = request_of(scope)
        collector = RequestCollector(request, self._recorder.room)
        handed = False

        def hand_on() -> None:
            nonlocal handed
            if not handed:
                handed = True
                self._recorder.offer(collector.done(models_of_request(request.held, self._models)))

        try:
            await self._app(scope, receive, collector.sending(send, hand_on))
        finally:
            hand_on()
