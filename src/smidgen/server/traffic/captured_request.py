"""A captured request: collected while it and its answer pass, then queued for storing, together with feedback.

The bytes pass unchanged, and copies are kept within a limit. The limit counts bytes, not requests, so a burst of small requests is kept
whole. Any thread may add to the queue; one thread empties it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeAlias

from starlette.types import Message, Send

from smidgen.core.replies import Reply
from smidgen.gateway.headers import USER_HEADER, Headers
from smidgen.server.models import BundleIdentity
from smidgen.server.request import HttpRequest, RequestBody
from smidgen.store.traffic.records import AuditAnswer, Feedback

MOST_ASKED = 1_000_000
MOST_ANSWERED = 2_000_000
"""Bytes. A stream has about 250 per token."""
OVERHEAD_BYTES = 4_000
"""Approximate bytes of a request besides its bodies: headers, replies, and the objects around them."""


class CaptureMemory:
    """The memory, in bytes, for all requests until they are stored."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Reserve bytes. Returns False, and reserves nothing, if too few are left."""
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True

    def give(self, size: int) -> None:
        """Release bytes."""
        with self._lock:
            self._left += size


@dataclass(slots=True)
class CapturedRequest:
    """A request with its answer, as bytes.

    Attributes:
        id, path: of the request.
        time: arrival, in seconds since 1970.
        user: from its header; None without one.
        key: first digits of the hash of the API key; empty without one.
        asked, answered: the bodies, `answered` as sent, with its content encoding. They are parsed when stored, because parsed bodies take
            more memory while they wait.
        status, headers: of the answer.
        complete: whether the answer was sent completely.
        cut: whether the answer was longer than the limit.
        lost: why it cannot be stored; empty if it can.
        replies: the bundle's.
        models: the bundles at the time of this request, by name.
        seconds: from the request to the end of its answer; `local_seconds` and `upstream_seconds`: parts of that, if known.
        saved_usd: what a cached answer would have cost, if known.
        size: reserved bytes.
    """

    id: str
    path: str
    time: float
    user: str | None
    key: str
    asked: bytes = b""
    answered: list[bytes] = field(default_factory=list)
    status: int = 0
    headers: Headers = field(default_factory=list)
    complete: bool = False
    cut: bool = False
    lost: str = ""
    replies: tuple[Reply, ...] = ()
    models: Mapping[str, BundleIdentity] = field(default_factory=dict)
    seconds: float = 0.0
    local_seconds: float | None = None
    upstream_seconds: float | None = None
    saved_usd: float | None = None
    size: int = 0

    def header(self, name: bytes) -> str:
        """Return a header of the answer; empty if missing."""
        return next((value.decode("latin-1") for key, value in self.headers if key.lower() == name), "")


class RequestCollector:
    """Collects one request. If it has to give up, the request continues undisturbed."""

    def __init__(self, request: HttpRequest, room: CaptureMemory) -> None:
        self._request, self._room = request, room
        self._began = time.perf_counter()
        self._answered = 0
        user = request.header(USER_HEADER).decode("utf-8", "replace").strip()
        whose = request.identity
        self.taken = CapturedRequest(whose.id, request.path, time.time(), user or None, whose.key)

    def sending(self, send: Send, ended: Callable[[], None]) -> Send:
        """Wrap a send function to keep the answer. `ended` is called as soon as the last byte is sent.

        It must not wait for the clean-up after an answer, which may take longer than a client takes to send feedback.
        """

        async def kept(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start":
                self.taken.status, self.taken.headers = message["status"], list(message.get("headers", ()))
            elif message["type"] == "http.response.body":
                self._keep(message.get("body", b""))
                self.taken.complete = not message.get("more_body", False)
                if self.taken.complete:
                    ended()

        return kept

    def done(self, models: Mapping[str, BundleIdentity]) -> CapturedRequest:
        """Return the collected request. `models`: the bundles at the time of the request."""
        request, taken = self._request, self.taken
        asked = request.body.raw if isinstance(request.body, RequestBody) else b""
        if request.arrived > MOST_ASKED:
            self._lose("too_large")
        elif self._fits(OVERHEAD_BYTES + len(asked)):
            taken.asked = asked
        taken.models = models
        taken.replies = tuple(request.replies)
        taken.local_seconds, taken.upstream_seconds = request.local_seconds, request.upstream_seconds
        taken.saved_usd = request.saved_usd
        taken.seconds = time.perf_counter() - self._began
        return taken

    def _keep(self, body: bytes) -> None:
        self._answered += len(body)
        if self._answered > MOST_ANSWERED:
            self.taken.cut = True
            self._room.give(sum(map(len, self.taken.answered)))
            self.taken.size -= sum(map(len, self.taken.answered))
            self.taken.answered.clear()
        elif body and not self.taken.cut and self._fits(len(body)):
            self.taken.answered.append(body)

    def _fits(self, size: int) -> bool:
        if self.taken.lost:
            return False
        if not self._room.take(size):
            self._lose("queue_full")
            return False
        self.taken.size += size
        return True

    def _lose(self, why: str) -> None:
        self.taken.lost = self.taken.lost or why
        self._room.give(self.taken.size)
        self.taken.size = 0
        self.taken.asked = b""
        self.taken.answered.clear()


QueuedFeedback: TypeAlias = tuple[Feedback, "Future[bool]"]
"""Feedback, and a future that tells whether its request is known."""
BacklogEntry: TypeAlias = CapturedRequest | AuditAnswer | QueuedFeedback

FULL, STOPPED = "queue_full", "stopped"
"""Reasons for not accepting a request."""

_MOST_FEEDBACK = 1024
"""Most queued feedback."""
_BATCH = 16
"""Requests to wait for briefly, to store them together."""
_MOST_BATCH = 64
"""Most requests per batch: redacting this many takes 0.2 s. Feedback and new requests share the cores with that work."""
_GATHER_SECONDS = 0.02
"""Seconds that a request waits for others: storing several together costs little more than storing one."""
_DUE_SECONDS = 0.02
"""Seconds after which waiting requests are stored although answers need the processor, unless they are a burst."""
_BURST = 512
"""More waiting requests than this are a burst: they are stored in what time answers leave."""


class Backlog:
    """The queue. Feedback, for which a client waits, goes before all requests except its own, which is stored first."""

    def __init__(self) -> None:
        self._requests: deque[CapturedRequest | AuditAnswer] = deque()
        self._said: deque[QueuedFeedback] = deque()
        self._since = 0.0
        self._changed = threading.Condition()
        self._closing = False

    def add(self, taken: CapturedRequest | AuditAnswer) -> str:
        """Append a request, or an audit's answer. Returns STOPPED if the queue is closed, else an empty string."""
        with self._changed:
            if self._closing:
                return STOPPED
            if not self._requests:
                self._since = time.monotonic()
            self._requests.append(taken)
            if len(self._requests) in (1, _BATCH):  # the two sizes that the reader waits for: waking it for each request costs too much
                self._changed.notify()
            return ""

    def say(self, said: Feedback) -> Future[bool] | None:
        """Queue feedback, however many requests wait. None if too much feedback waits, or the queue is closed."""
        done: Future[bool] = Future()
        with self._changed:
            if self._closing or len(self._said) >= _MOST_FEEDBACK:
                return None
            self._said.append((said, done))
            self._changed.notify()
        return done

    def next(self, seconds: float) -> Sequence[BacklogEntry] | None:
        """Return the next entries, in the order to store them; empty after a timeout; None if the queue is closed and empty.

        A request waits briefly for others. Feedback does not.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._requests or self._said or self._closing, max(0.0, seconds))
            if not (self._requests or self._said):
                return None if self._closing else ()
            gather = self._since + _GATHER_SECONDS - time.monotonic()  # counted from the first: some have waited while others were stored
            self._changed.wait_for(lambda: len(self._requests) >= _BATCH or self._said or self._closing, max(0.0, gather))
            said = [self._said.popleft() for _ in range(min(_BATCH, len(self._said)))]
            if said:
                about = {one.request_id for one, _ in said}
                own = [one for one in self._requests if one.id in about]
                if own:
                    self._requests = deque(one for one in self._requests if one.id not in about)
                return [*own, *said]
            return [self._requests.popleft() for _ in range(min(_MOST_BATCH, len(self._requests)))]

    def rest(self, seconds: float) -> bool:
        """Wait for some seconds, or until feedback comes or the queue closes. Returns True in the latter cases, and if requests are due."""
        with self._changed:
            urgent = self._changed.wait_for(lambda: bool(self._said) or self._closing, max(0.0, seconds))
            waiting = len(self._requests)
            return urgent or (0 < waiting <= _BURST and time.monotonic() - self._since >= _DUE_SECONDS)

    def close(self) -> None:
        """Accept nothing more. Queued entries can still be read."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def left(self) -> list[BacklogEntry]:
        """Remove and return all queued entries."""
        with self._changed:
            found: list[BacklogEntry] = [*self._requests, *self._said]
            self._requests.clear()
            self._said.clear()
        return found
