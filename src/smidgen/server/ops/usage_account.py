"""Usage in the account: a middleware counts what each request took, and a thread adds the sums to the account's file every few seconds.

Requests only add numbers in memory. If the disk fails, answers go on: the sums are kept and written later, and the failure is counted and
logged once a minute. A process that is killed loses some seconds that were not written.

The energy of a stretch of time is divided among the requests that were answered in it, in proportion to processor time. The time of the
event loop is divided equally among all requests. The time of the other threads is divided among requests to small models, by how long the
models worked on them. The time of an engine's process is divided among the requests to its models.
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
from smidgen.server.http_request import MOST_OF_ONE_ANSWER, OTHER_MODEL, HttpRequest, UsageRecord, request_of
from smidgen.server.ops.prometheus import AccountMetrics
from smidgen.server.ops.wall_clock import WallClock
from smidgen.store import usage_records
from smidgen.store.usage_records import DayPrice, UsageKey, UsageSums, UsageTotals, WaitBucket, wait_bucket
from smidgen.usage import budgets as budgets
from smidgen.usage.energy import Consumed, Consumption

if TYPE_CHECKING:
    from smidgen.server.gateway.prices import UpstreamCosts


_MICRO = 1_000_000


@dataclass(slots=True)
class RequestWork:
    """The work on one kind of request: how many there were, and the seconds that small models spent on them."""

    requests: int = 0
    busy: float = 0.0

    def add(self, requests: int, busy: float) -> None:
        """One more."""
        self.requests += requests
        self.busy += busy


def share_energy(
    consumed: Consumed, loop: float, work: Mapping[UsageKey, RequestWork], engines: Mapping[int, Sequence[str]]
) -> dict[UsageKey, tuple[int, int]]:
    """Microjoules by kind of request: measured, and estimated. They add up to what was consumed, to the microjoule.

    Args:
        consumed: the consumption of that time.
        loop: core-seconds of the event loop in it.
        work: the work that was done; at least one request.
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
    """Microjoules by share, whole ones; what rounding leaves goes to the largest share."""
    total, amount = sum(seconds.values()), round(joules * _MICRO)
    found = {key: int(amount * share / total) if total > 0 else 0 for key, share in seconds.items()}
    largest = max(seconds, key=lambda key: seconds[key])
    found[largest] += amount - sum(found.values())
    return found


EVERY_SECONDS = 5.0
CLOSE_SECONDS = 5.0
"""Longest that a server which stops waits for the last addition."""
_COMPLAIN_SECONDS = 60.0
_MOST_KEYS = 2000
_log = logging.getLogger("smidgen.account")
EngineProcesses = Callable[[], Mapping[int, tuple[str, ...]]]
"""Processes that engines run in, by their numbers, each with the names of the models in it."""


@dataclass(slots=True)
class _OpenSums:
    """The sums that are not written yet, and the work of each model, by which the energy of that time is shared out."""

    sums: UsageSums = field(default_factory=UsageSums)
    work: dict[UsageKey, RequestWork] = field(default_factory=dict)


class AccountWriter:
    """Writes the account in a thread of its own. `close` ends it.

    Args:
        metrics: the same for Prometheus.
        engines: see there.
        file: of the account; its place by default.
        every: seconds between two additions.
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
        """Why the last addition failed; empty where it did not."""
        self._thread = threading.Thread(target=self._run, name="account_writer", daemon=True)
        self._thread.start()

    def take(
        self, key: UsageKey, entry: UsageTotals, seconds: float | None = None, busy: float = 0.0, price: DayPrice | None = None
    ) -> None:
        """Add up a request. Returns at once, and raises nothing.

        Args:
            key: the key that it is counted under.
            entry: its usage.
            seconds: how long the client waited; None to leave it out.
            busy: the part of that time in which a small model worked on it.
            price: the price that was used, if any.
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
        """Note the processor time at the start of the event loop: the time to load models, here and in the engines' processes, does not
        count."""
        with self._writing:
            self._loop_before = self._loop_now = seconds
            self._consumption.note(self._engines())
            self._consumption.take()

    def looped(self, seconds: float) -> None:
        """Processor time that the event loop's thread has had so far."""
        self._loop_now = seconds

    def flush(self) -> bool:
        """Write the sums. Returns whether all is on the disk."""
        with self._writing:
            self._consumption.note(self._engines())
            done = self._written()
            if done:  # then also what has gathered behind it
                with self._lock:
                    taken, self._open = self._open, _OpenSums()
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
        """Add the waiting sums to the file. Each addition has a number, so none is added twice. Old days are deleted only by a trusted
        clock, since they do not come back."""
        if self._pending is None:
            return True
        try:
            usage_records.add(self._pending, self._writer, self._number, budgets.today(), self._file, self._clock.believed())
        except OSError as error:
            self._failed(str(error))
            return False
        self._pending, self.fault = None, ""
        return True

    def _charge(self, taken: _OpenSums) -> None:
        """Share out the energy of the time among the requests that ended in it. Where none did, it is shared out with the next."""
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
        """Log a failure, at most once a minute."""
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
"""Of the questions of a request, so many: a reason each, if they were kept."""


class UsageMiddleware:
    """Counts what is posted under `/v1/`, and all other requests that an upstream answers.

    Args:
        app: the layers behind it.
        account_writer: adds up.
        costs: prices and names of large models; None without a fallback.
        instead: the first fallback's name for its model, whose price local answers are compared to. Empty without a fallback.
        sizes: collects the upstream's usage for requests to each bundle; None where it is not needed.
    """

    def __init__(
        self, app: ASGIApp, account_writer: AccountWriter, costs: UpstreamCosts | None, instead: str, sizes: UpstreamSizes | None = None
    ) -> None:
        self._app, self._account_writer, self._costs, self._instead, self._sizes = app, account_writer, costs, instead, sizes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it through, and count it when it is done, however it ended."""
        if scope["type"] != "http" or not scope["path"].startswith(_UNDER) or scope["path"] == _FEEDBACK:
            await self._app(scope, receive, send)
            return
        request = request_of(scope)
        request.usage = UsageRecord(budgets.today())
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
    """The observed part of an answer."""

    def __init__(self, record: UsageRecord) -> None:
        self.record = record
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._complete = False

    def sent(self, message: Message) -> None:
        """A piece of it has gone."""
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], message.get("headers", [])
        elif message["type"] == "http.response.body":
            self._complete = not message.get("more_body", False)

    @property
    def failed(self) -> bool:
        """Whether it is an error, or not the whole of an answer."""
        return not (200 <= self._status < 400 and self._complete)

    def marks(self) -> dict[bytes, str]:
        """Its `x-smidgen-` headers, by the rest of their names."""
        size = len(_MARK)
        return {name[size:]: value.decode("latin-1") for name, value in self._headers if name.startswith(_MARK)}

    def by(self, marks: Mapping[bytes, str]) -> str:
        """Who answered: as the answer's headers say, or the bundle if no gateway was asked."""
        said = marks.get(b"answered-by", "")
        if said in _BY:
            return "none" if said == "local" and not 200 <= self._status < 400 else said
        return "local" if not said and self.record.answered and self._status == 200 else "none"

    def why(self, by: str, marks: Mapping[bytes, str]) -> str:
        """Why it was not answered under a certificate, one of a few words; empty where it was."""
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
    """A bundle's."""
    return UsageTotals(
        read=record.read, written=record.written, read_estimated=record.read_estimated, written_estimated=record.written_estimated
    )
