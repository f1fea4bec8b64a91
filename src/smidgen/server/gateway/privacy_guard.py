"""The privacy guard: mask a request's personal data before it is sent, or refuse to send it; restore the values in the answer.

If anything fails here, the request is not sent. Finding personal data is slow, so clients take turns, in rotation, however many requests
each of them has.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes

import httpx

from smidgen.core.errors import EngineError, RedactionError, shown
from smidgen.gateway.headers import answer_headers, impersonal_headers
from smidgen.privacy.border import Border, MaskedRequest, RequestTooLong
from smidgen.privacy.policy import FILE, Action
from smidgen.privacy.request_masking import MASKED_PATHS
from smidgen.privacy.request_structure import UnknownParts, unknown_parts
from smidgen.privacy.restoring import json_bytes, restorer
from smidgen.server.gateway.escalation import Unreachable
from smidgen.server.gateway.response_stream import changed_in_passing
from smidgen.server.gateway.upstream import OutgoingCall, UpstreamCall
from smidgen.server.ops.prometheus import ServerMetrics
from smidgen.server.request import RequestBody


class FairTurns:
    """Lets clients take turns. Used by threads.

    Each client's requests wait in a queue of their own. Long work runs in short pieces, and passes its turn to a waiting request before
    each piece. One client never holds all turns, so that another's short request is done beside its long ones.

    Args:
        at_once: number of turns; a single client gets at most half of them, but at least one.
    """

    def __init__(self, at_once: int) -> None:
        self._lock = threading.Lock()
        self._at_once, self._each = at_once, max(1, at_once // 2)
        self._running: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[threading.Event]] = OrderedDict()

    @contextmanager
    def turn(self, client: str, until: float) -> Iterator[None]:
        """Hold a turn. Raises EngineError if none comes by `until`, in seconds of `time.monotonic`."""
        self._enter(client, until)
        try:
            yield
        finally:
            self._leave(client)

    def pass_on(self, client: str, until: float) -> None:
        """Let waiting requests go first, if there are any. Raises as `turn` does; the caller holds a turn in any case."""
        with self._lock:
            if not self._waiting:
                return
            self._running[client] -= 1
            event = self._queue(client)
            self._grant()
        if not event.wait(max(0.0, until - time.monotonic())):
            self._give_up(client, event)
            with self._lock:
                self._running[client] += 1  # `turn` gives it back
            raise _late()

    def _enter(self, client: str, until: float) -> None:
        with self._lock:
            event = self._queue(client)
            self._grant()
        if not event.wait(max(0.0, until - time.monotonic())):
            self._give_up(client, event)
            raise _late()

    def _leave(self, client: str) -> None:
        with self._lock:
            self._running[client] -= 1
            self._grant()

    def _queue(self, client: str) -> threading.Event:
        event = threading.Event()
        self._waiting.setdefault(client, deque()).append(event)
        return event

    def _give_up(self, client: str, event: threading.Event) -> None:
        """Leave the queue. A turn that was granted meanwhile is returned."""
        with self._lock:
            if event.is_set():
                self._running[client] -= 1
                self._grant()
                return
            queue = self._waiting[client]
            queue.remove(event)
            if not queue:
                del self._waiting[client]

    def _grant(self) -> None:
        """Grant free turns to waiting clients, one each in rotation."""
        self._running += Counter()  # drops clients that run nothing
        while self._running.total() < self._at_once:
            client = next((one for one in self._waiting if self._running[one] < self._each), None)
            if client is None:
                return
            queue = self._waiting.pop(client)
            event = queue.popleft()
            if queue:
                self._waiting[client] = queue  # to the end of the rotation
            self._running[client] += 1
            event.set()


class FairTurn:
    """The turns of one piece of work. Call it before each short part.

    Args:
        turns: the turns.
        client: whose work it is.
        until: deadline of the work, in seconds of `time.monotonic`.
    """

    def __init__(self, turns: FairTurns, client: str, until: float) -> None:
        self._turns, self._client, self.until = turns, client, until
        self.over = False
        """True if nobody waits for the work any more."""

    def __call__(self) -> None:
        """Let others go first. Raises EngineError if nobody waits for the work any more."""
        if self.over:
            raise _late()
        self._turns.pass_on(self._client, self.until)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Run the work in a turn. Raises EngineError if none comes in time."""
        with self._turns.turn(self._client, self.until):
            if self.over:
                raise _late()
            yield


class WaitingPlaces:
    """Places for each client's requests, in order of arrival. Further requests wait in the event loop and block no thread.

    Args:
        each: places per client.
    """

    def __init__(self, each: int) -> None:
        self._each = each
        self._semaphores: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def place(self, client: str) -> AsyncIterator[None]:
        """Hold a place."""
        semaphore, users = self._semaphores.get(client, (asyncio.Semaphore(self._each), 0))
        self._semaphores[client] = semaphore, users + 1
        try:
            async with semaphore:
                yield
        finally:
            semaphore, users = self._semaphores.pop(client)
            if users > 1:
                self._semaphores[client] = semaphore, users - 1


def _late() -> EngineError:
    return EngineError("privacy.personal_data_was_not_found_in_time")


T = TypeVar("T")
_READING_THREADS = 64
"""Most requests that are being read or wait for their next turn. Each has a thread."""


class WithheldRequest(Unreachable):
    """A request that must not be sent."""

    withheld = True

    @property
    def uncertified(self) -> str:
        """The mark of a local answer in its place."""
        return "not sent"


class PrivacyGuard:
    """Masks requests and restores answers.

    Several requests are read at a time, those of different clients in rotation. `--max-concurrent` limits the number of waiting requests,
    `seconds` their time.

    Args:
        border: finds and masks personal data.
        metering: counts findings and withheld requests.
        seconds: longest time for a request, including the wait for its turn.
        workers: requests read at a time.
    """

    def __init__(self, border: Border, metering: ServerMetrics, seconds: float, workers: int = 3) -> None:
        self._border, self._metering, self._seconds = border, metering, seconds
        self._turns, self._places = FairTurns(workers), WaitingPlaces(workers)
        self._threads = ThreadPoolExecutor(max(_READING_THREADS, workers), "privacy")

    def close(self) -> None:
        """Cancel waiting work."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def leaving(self, call: UpstreamCall) -> OutgoingCall:
        """Return the request to send, and how to restore its answer. Raises WithheldRequest."""
        headers = impersonal_headers(call.headers)
        await self._check_address(call)
        if isinstance(call.body, RequestBody) and not call.body.raw:
            return OutgoingCall(replace(call, headers=headers, came=call))
        tail = call.tail.decode("latin-1")
        coded = any(name.lower() == b"content-encoding" for name, _ in call.headers)
        readable = call.method == "POST" and tail in MASKED_PATHS and not coded
        read = call.body.unambiguous if readable and isinstance(call.body, RequestBody) else None
        if read is None:
            if self._border.policy.of(FILE) is not Action.ALLOW:
                self._count(Counter({FILE: 1}), Action.BLOCK)
                raise self._withheld_unread("a body that is no JSON of a known route")
            return OutgoingCall(replace(call, headers=headers, came=call))
        masked = await self._asked(call, partial(self._border.masked, read))
        self._count(masked.counts)
        if masked.unread and FILE in masked.blocked:
            raise self._withheld_unread(", ".join(masked.unread))
        if masked.blocked:
            raise self._withheld(
                "server.personal_data_is_blocked", "blocked", 422, "personal_data_blocked", value=", ".join(sorted(masked.blocked))
            )
        if masked.body is None:
            return OutgoingCall(replace(call, headers=headers, came=call))
        plain = [*((name, value) for name, value in headers if name != b"accept-encoding"), (b"accept-encoding", b"identity")]
        body = RequestBody(json_bytes(masked.body))
        return OutgoingCall(
            replace(call, headers=plain, body=body, came=call), partial(_restored, tail, masked), masked.placeholders.restored
        )

    async def _check_address(self, call: UpstreamCall) -> None:
        """Raise WithheldRequest if the path or the query has data that must not be sent: neither can be masked."""
        told = _path_words(call)
        find = partial(self._border.found, told.texts, coded=told.coded)
        counts = await self._asked(call, find) if told else Counter[str]()
        if counts:
            self._count(counts, Action.BLOCK)
            raise self._withheld(
                "server.personal_data_is_blocked_in_address", "blocked", 422, "personal_data_blocked", value=", ".join(sorted(counts))
            )

    async def _asked(self, call: UpstreamCall, work: Callable[..., T]) -> T:
        """Run work of the border in a thread and in turns. Every failure, and a timeout, raises WithheldRequest."""
        client = call.requester.client
        turn = FairTurn(self._turns, client, time.monotonic() + self._seconds)

        def taken() -> T:
            with turn.held():
                return work(seconds=turn.until - time.monotonic(), between=turn)

        try:
            async with asyncio.timeout(self._seconds), self._places.place(client):
                return await asyncio.get_running_loop().run_in_executor(self._threads, taken)
        except RequestTooLong as error:
            value = f"{error.what}: {shown(error.value)}"
            raise self._withheld(_NOT_TAKEN_OUT, "refused", 413, "request_too_long", value=value, todo=error.todo) from None
        except RedactionError as error:
            value = f"{error.what}: {shown(error.value)}"
            raise self._withheld(_NOT_TAKEN_OUT, "refused", 422, value=value, todo=error.todo) from None
        except TimeoutError:
            raise self._withheld("server.redaction_took_too_long", "failed", 503, seconds=f"{self._seconds:g}") from None
        except EngineError as error:
            raise self._withheld(_NOT_TAKEN_OUT, "failed", 503, value=error.what, todo=error.todo) from None
        except Exception as error:  # noqa: BLE001 whatever fails here, the request must not be sent
            raise self._withheld("server.redaction_failed", "failed", 503, value=type(error).__name__) from None
        finally:
            turn.over = True

    def _count(self, counts: Counter[str], action: Action | None = None) -> None:
        """Count findings by kind and action: the policy's, or one action for all."""
        for kind, times in counts.items():
            self._metering.private.labels(kind, (action or self._border.policy.of(kind)).value).inc(times)

    def _withheld(self, message: str, outcome: str, status: int, code: str = "redaction_failed", **pieces: Any) -> WithheldRequest:
        self._metering.withheld.labels(outcome).inc()
        return _withheld(message, status, code, **pieces)

    def _withheld_unread(self, what: str) -> WithheldRequest:
        return self._withheld("server.request_has_part_that_cannot_be_read", "unread", 422, parts=what, kind=FILE)


def _restored(tail: str, masked: MaskedRequest, response: httpx.Response) -> httpx.Response:
    """Return the response with the values restored, if its format is known; else unchanged."""
    if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
        return response
    change = restorer(tail, response.headers.get("content-type", ""), masked.placeholders, masked.body or {})
    if change is None:
        return response
    return changed_in_passing(response, change)


def _path_words(call: UpstreamCall) -> UnknownParts:
    """Return the parts of a call's path and query to read."""
    steps = unquote_to_bytes(call.tail).decode("utf-8", "replace").split("/")
    return unknown_parts(steps, parse_qsl(call.query.decode("latin-1"), keep_blank_values=True, errors="replace"))


_NOT_TAKEN_OUT = "the request goes to the large model, and is not sent, for its personal data could not be taken out"


def _withheld(message: str, status: int, code: str, **pieces: Any) -> WithheldRequest:
    error = WithheldRequest(message, status=status, code=code, **pieces)
    error.marks = answer_headers("none", "")
    return error
