"""Usage in the account: a middleware counts each request's usage, and a thread adds the sums to the account's file every few seconds.

Requests only add numbers in memory. If writing fails, answers continue: the sums are kept and written later, and the failure is counted,
and logged once a minute. A killed process loses the last few seconds.

The energy of a period is shared among the requests answered in it, in proportion to processor time. Processor time is known per process,
and for this process per thread. The time of the event loop, which reads, routes and passes on, is shared equally by all requests. The time
of the other threads is shared by requests to small models, by their duration. The time of an engine's own process is shared by the requests
to its models.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from smidgen.server.gateway.prices import UpstreamSizes
from smidgen.server.ops.prometheus import AccountMetrics
from smidgen.server.ops.wall_clock import WallClock
from smidgen.server.request import MOST_OF_ONE_ANSWER, OTHER_MODEL, HttpRequest, UsageRecord, request_of
from smidgen.store import usage_records
from smidgen.store.usage_records import DayPrice, UsageKey, UsageSums, UsageTotals, WaitBucket, wait_bucket
from smidgen.usage.energy import Consumed, Consumption

if TYPE_CHECKING:
    from smidgen.server.gateway.prices import UpstreamCosts


_MICRO = 1_000_000


@dataclass(slots=True)
class RequestWork:
    """For one kind of request: their number, and the seconds that small models worked on them."""

    requests: int = 0
    busy: float = 0.0

    def add(self, requests: int, busy: float) -> None:
        """Add requests."""
        self.requests += requests
        self.busy += busy


def share_energy(
    consumed: Consumed, loop: float, work: Mapping[UsageKey, RequestWork], engines: Mapping[int, Sequence[str]]
) -> dict[UsageKey, tuple[int, int]]:
    """Return measured and estimated microjoules for each kind of request. They add up exactly to the energy consumed.

    Args:
        consumed: consumption of the period.
        loop: core-seconds of the event loop.
        work: the requests; at least one.
        engines: the names of the models in each process.
    """
    loop = min(max(0.0, loop), consumed.own)
    requests = {key: float(done.requests) for key, done in work.items()}
    busy = {key: done.busy for key, done in work.items()}
    seconds = dict.fromkeys(work, 0.0)
    _spread(seconds, loop, requests)
    named = {model for models in engines.values() for model in models}
    inside = {key: time for key, time in busy.items() if key.model not in named}
    _spread(seconds, consumed.own - loop, next((one for one in (inside, busy) if any(one.values())), requests))
    for pid, taken in consumed.others.items():
        apart = {key: time for key, time in busy.items() if key.model in engines.get(pid, ())}
        _spread(seconds, taken, next((one for one in (apart, busy) if any(one.values())), requests))
    measured, estimated = (_whole(joules, seconds) for joules in (consumed.measured, consumed.estimated))
    return {key: (measured[key], estimated[key]) for key in work}


def _spread(seconds: dict[UsageKey, float], amount: float, weights: Mapping[UsageKey, float]) -> None:
    total = sum(weights.values())
    for key, weight in weights.items():
        seconds[key] += amount * weight / total if total > 0 else amount / len(weights)


def _whole(joules: float, seconds: Mapping[UsageKey, float]) -> dict[UsageKey, int]:
    """Return whole microjoules by share. The rounding error goes to the largest share."""
    total, amount = sum(seconds.values()), round(joules * _MICRO)
    found = {key: int(amount * share / total) if total > 0 else 0 for key, share in seconds.items()}
    largest = max(seconds, key=lambda key: seconds[key])
    found[largest] += amount - sum(found.values())
    return found


EVERY_SECONDS = 5.0
CLOSE_SECONDS = 5.0
"""Longest time that a stopping server waits for the last write."""
_COMPLAIN_SECONDS = 60.0
_MOST_KEYS = 2000
_log = logging.getLogger("smidgen.account")
EngineProcesses = Callable[[], Mapping[int, tuple[str, ...]]]
"""Returns the engines' process ids, each with the names of the models in it."""


@dataclass(slots=True)
class _OpenSums:
    """The current sums, and the requests that will share the energy of the period."""

    sums: UsageSums = field(default_factory=UsageSums)
    work: dict[UsageKey, RequestWork] = field(default_factory=dict)


class AccountWriter:
    """Writes the account in a separate thread. `close` ends it.

    Args:
        metrics: receives the same numbers for Prometheus.
        engines: see `EngineProcesses`.
        file: of the account; by default in smidgen's home.
        every: seconds between two writes.
    """

    def __init__(self, metrics: AccountMetrics, engines: EngineProcesses, file: Path | None = None, every: float | None = None) -> None:
        self._metrics, self._engines, self._file, self._every = metrics, engines, file, every or EVERY_SECONDS
        self._writer, self._number = uuid.uuid4().hex, 0
        self._open = _OpenSums()
        self._pending: UsageSums | None = None
        self._consumption, self._clock = Consumption(), WallClock()
        self._loop_before = self._loop_now = 0.0
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._stop = threading.Event()
        self._complained = -_COMPLAIN_SECONDS
        self._untold = 0
        self.fault = ""
        """Why the last write failed; empty if it did not."""
        self._thread = threading.Thread(target=self._run, name="account_writer", daemon=True)
        self._thread.start()

    def take(
        self, key: UsageKey, entry: UsageTotals, seconds: float | None = None, busy: float = 0.0, price: DayPrice | None = None
    ) -> None:
        """Add a request. Returns at once and raises nothing.

        Args:
            key: the kind of request.
            entry: its usage.
            seconds: time that the client waited; None to leave it out.
            busy: seconds of that in which a small model worked on it.
            price: the price used, if any.
        """
        with self._lock:
            sums = self._open.sums
            if key not in sums.entries and len(sums.entries) >= _MOST_KEYS:
                key = UsageKey(key.day, OTHER_MODEL, key.by, "")
            sums.entry(key).add(entry)
            if seconds is not None:
                sums.entry(key).waited += round(seconds * 1_000_000)
                sums.waits[WaitBucket(key.day, key.model, key.by, wait_bucket(seconds))] += 1
            if price is not None:
                sums.prices.add(price)
            self._open.work.setdefault(key, RequestWork()).add(entry.requests, busy)
        self._metrics.took(key, entry, seconds)

    def begin(self, seconds: float) -> None:
        """Start with the event loop. Processor time before, such as for loading models, does not count. `seconds`: of the loop's thread."""
        with self._writing:
            self._loop_before = self._loop_now = seconds
            self._consumption.note(self._engines())
            self._consumption.take()

    def looped(self, seconds: float) -> None:
        """Update the processor time of the event loop's thread."""
        self._loop_now = seconds

    def flush(self) -> bool:
        """Write the sums. Returns True if everything is on disk."""
        with self._writing:
            self._consumption.note(self._engines())
            done = self._written()
            if done:  # then write the newer sums, too
                with self._lock:
                    taken, self._open = self._open, _OpenSums()
                if taken.sums:  # before anything can fail and lose the sums
                    self._pending, self._number = taken.sums, self._number + 1
                self._charge(taken)
                if self._pending is not None:
                    done = self._written()
            return done

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Write the last sums, for at most `seconds`."""
        self._stop.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stop.wait(self._every)
            try:
                self.flush()
            except Exception as error:  # noqa: BLE001 the thread must survive any failure, or nothing would be written any more
                self._failed(type(error).__name__)
        self._tell(force=True)

    def _written(self) -> bool:
        """Add pending sums to the file. Their number keeps them from being added twice.

        Old days are deleted only if the clock is plausible, because deletion is final.
        """
        if self._pending is None:
            return True
        try:
            usage_records.add(self._pending, self._writer, self._number, usage_records.today(), self._file, self._clock.believed())
        except OSError as error:
            self._failed(str(error))
            return False
        self._pending, self.fault = None, ""
        return True

    def _charge(self, taken: _OpenSums) -> None:
        """Share the energy of the period among the requests that ended in it. Without any, it goes to the next period."""
        if not taken.work:
            return
        consumed = self._consumption.take()
        loop, self._loop_before = self._loop_now - self._loop_before, self._loop_now
        for key, (measured, estimated) in share_energy(consumed, loop, taken.work, self._engines()).items():
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
        """Log failures, once a minute."""
        now = time.monotonic()
        if not self._untold or (now - self._complained < _COMPLAIN_SECONDS and not force):
            return
        kept = "what was not written is lost" if force else "the numbers are kept, and tried again"
        _log.warning("the account could not be written, %d times: %s; %s", self._untold, self.fault, kept)
        self._untold, self._complained = 0, now


_UNDER = "/v1/"
_FEEDBACK = "/v1/feedback"
_BY = ("local", "upstream", "cache")
_GONE = 499
_MARK = b"x-smidgen-"
_COUNTS = re.compile(r"\d+ of \d+")
"""A number of questions in a reason: kept, each number would be a reason of its own."""


class UsageMiddleware:
    """Counts POST requests under `/v1/`, and everything else that an upstream answers.

    Args:
        app: the layers behind it.
        account_writer: adds up the usage.
        costs: prices and names of large models; None without a fallback.
        instead: the first fallback's model, with which local answers are compared; empty without a fallback.
        sizes: receives the upstream's usage of requests to a bundle; None if not needed.
    """

    def __init__(
        self, app: ASGIApp, account_writer: AccountWriter, costs: UpstreamCosts | None, instead: str, sizes: UpstreamSizes | None = None
    ) -> None:
        self._app, self._account_writer, self._costs, self._instead, self._sizes = app, account_writer, costs, instead, sizes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and count it when it ends, in any way."""
        if scope["type"] != "http" or not scope["path"].startswith(_UNDER) or scope["path"] == _FEEDBACK:
            await self._app(scope, receive, send)
            return
        request = request_of(scope)
        request.usage = UsageRecord(usage_records.today())
        seen = _SeenAnswer(request.usage)
        began = time.perf_counter()

        async def noted(message: Message) -> None:
            await send(message)
            seen.sent(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            self._count(seen, request, time.perf_counter() - began)
            self._account_writer.looped(time.thread_time())

    def _count(self, seen: _SeenAnswer, request: HttpRequest, seconds: float) -> None:
        marks = seen.marks()
        by = seen.by(marks)
        if request.method != "POST" and by != "upstream":
            return
        record, costs = seen.record, self._costs
        named = record.bundle or (costs.name(record.named) if costs is not None and record.named else OTHER_MODEL)
        key = UsageKey(record.day, named, by, seen.why(by, marks))
        failed = by == "none" or seen.failed
        entry, price = record.paid, None
        entry.requests, entry.errors = 1, int(failed)
        if by == "local":
            entry.add(_bundle_tokens(record))
        if (
            self._sizes is not None
            and by == "upstream"
            and record.bundle
            and not (failed or entry.read_estimated or entry.written_estimated)
        ):
            self._sizes.note(record.bundle, record.request_tokens, entry.read, entry.written)
        if costs is not None and by == "upstream" and entry.spent:
            price = costs.noted(record.day, marks.get(b"model", ""))
        elif costs is not None and by in ("local", "cache") and record.avoided_tokens is not None:
            saved = costs.cost(self._instead, *record.avoided_tokens)
            entry.saved, entry.unsaved = min(saved or 0, MOST_OF_ONE_ANSWER), int(saved is None)
            price = costs.noted(record.day, self._instead)
        local = request.local_seconds
        busy = local if local is not None else seconds if record.answered else 0.0
        self._account_writer.take(key, entry, None if failed else seconds, busy, price)
        record.late = lambda paid: self._account_writer.take(key, paid)


class _SeenAnswer:
    """The observed parts of an answer."""

    def __init__(self, record: UsageRecord) -> None:
        self.record = record
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._complete = False

    def sent(self, message: Message) -> None:
        """Record a message of the answer."""
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], message.get("headers", [])
        elif message["type"] == "http.response.body":
            self._complete = not message.get("more_body", False)

    @property
    def failed(self) -> bool:
        """True if it is an error or incomplete."""
        return not (200 <= self._status < 400 and self._complete)

    def marks(self) -> dict[bytes, str]:
        """Return the values of its `x-smidgen-` headers, by the rest of their names."""
        size = len(_MARK)
        return {name[size:]: value.decode("latin-1") for name, value in self._headers if name.startswith(_MARK)}

    def by(self, marks: Mapping[bytes, str]) -> str:
        """Return who answered: as its headers say; without a gateway, the bundle if it did."""
        said = marks.get(b"answered-by", "")
        if said in _BY:
            return "none" if said == "local" and not 200 <= self._status < 400 else said
        return "local" if not said and self.record.answered and self._status == 200 else "none"

    def why(self, by: str, marks: Mapping[bytes, str]) -> str:
        """Return a short reason why it was not answered under a certificate; empty if it was."""
        escalated = marks.get(b"escalated", "").partition(" (")[0]
        if self._status == _GONE:
            return "client gone"
        if by == "local":
            uncertified = _COUNTS.sub("some", marks.get(b"uncertified", ""))
            return uncertified or ("" if b"certificate" in marks else "asked directly")
        if by == "none":
            return escalated or ("refused" if 400 <= self._status < 500 else "failed")
        return escalated or "passed"


def _bundle_tokens(record: UsageRecord) -> UsageTotals:
    """Return the bundle's tokens."""
    return UsageTotals(
        read=record.read, written=record.written, read_estimated=record.read_estimated, written_estimated=record.written_estimated
    )
