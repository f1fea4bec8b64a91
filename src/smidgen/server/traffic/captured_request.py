"""A captured request: collected while it and its answer pass, then queued to be stored, with the feedback on it.

The bytes pass unchanged, and copies are kept within limits. The limit is on bytes, not on the number of requests: a burst of small ones is
held completely. Any thread fills the queue, and one empties it.
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
from smidgen.gateway.request_body import RequestBody
from smidgen.server.http_request import HttpRequest
from smidgen.server.served_bundle import BundleIdentity
from smidgen.store.traffic.records import AuditAnswer, Feedback

MOST_ASKED = 1_000_000
MOST_ANSWERED = 2_000_000
"""Bytes: of a stream, some 250 for every token."""
OVERHEAD_BYTES = 4_000
"""Bytes that a request takes besides its bodies, about: headers, replies, the objects that hold them."""


class CaptureMemory:
    """The bytes that all requests together may have in memory until they are stored."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Take a number of bytes; False, and nothing is taken, where fewer are free."""
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True

    def give(self, size: int) -> None:
        """Give them back."""
        with self._lock:
            self._left += size


@dataclass(slots=True)
class CapturedRequest:
    """A request with its answer as bytes.

    Attributes:
        id, path: of the request.
        time: when it came, seconds since 1970.
        user: the user of its header, or None.
        key: the first digits of the hash of the API key; empty without a key.
        asked, answered: the bodies; `answered` as it was sent, with its content encoding. `asked` is parsed again when it is stored,
            because the limit of the queue is on bytes, and a parsed body takes more.
        status, headers: of the answer.
        complete: whether the answer was sent to its end.
        cut: whether the answer is longer than what is kept.
        lost: why it cannot be stored; empty if it can.
        replies: the small model's replies.
        models: the bundles of this request, by their names.
        seconds: from the request to the end of its answer; `local_seconds`, `upstream_seconds`: parts of it, if known.
        saved_usd: the cost that an answer from the cache would have had, if known.
        size: its bytes in the queue.
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
        """A header of the answer; empty where there is none."""
        return next((value.decode("latin-1") for key, value in self.headers if key.lower() == name), "")


class RequestCollector:
    """Collects one request. Where it must give up, the request goes on unchanged."""

    def __init__(self, request: HttpRequest, room: CaptureMemory) -> None:
        self._request, self._room = request, room
        self._began = time.perf_counter()
        self._answered = 0
        user = request.header(USER_HEADER).decode("utf-8", "replace").strip()
        whose = request.identity
        self.taken = CapturedRequest(whose.id, request.path, time.time(), user or None, whose.key)

    def sending(self, send: Send, ended: Callable[[], None]) -> Send:
        """A send that keeps a copy, and reports at once when all was sent: the cleanup after an answer may take longer than a client takes
        to send feedback on it."""

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
        """The whole captured request. `models`: its bundles, by their names."""
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
"""Feedback, and what tells the one who waits for it whether its request is known."""
BacklogEntry: TypeAlias = CapturedRequest | AuditAnswer | QueuedFeedback

FULL, STOPPED = "queue_full", "stopped"
"""Why a request is not taken on."""

_MOST_FEEDBACK = 1024
"""Pieces of feedback."""
_BATCH = 16
"""Requests that are waited for a moment, to be stored together."""
_MOST_BATCH = 64
"""Requests that are taken out at a time where more wait: to read so many for personal data takes 0.2 s. Feedback and requests that come
meanwhile share the cores with that work."""
_GATHER_SECONDS = 0.1
"""How long a request waits for others: to store several together costs little more than to store one."""


class Backlog:
    """The queue of captured requests. Feedback goes before all requests but its own, which is then stored first: a client waits for it."""

    def __init__(self) -> None:
        self._requests: deque[CapturedRequest | AuditAnswer] = deque()
        self._said: deque[QueuedFeedback] = deque()
        self._changed = threading.Condition()
        self._closing = False

    def add(self, taken: CapturedRequest | AuditAnswer) -> str:
        """Put a request, or the answer of an audit, at the end. Returns STOPPED if it could not, else an empty text."""
        with self._changed:
            if self._closing:
                return STOPPED
            self._requests.append(taken)
            if len(self._requests) in (1, _BATCH):  # what waits for either; to wake it for each request would cost more than to queue it
                self._changed.notify()
            return ""

    def say(self, said: Feedback) -> Future[bool] | None:
        """Put feedback into the line, however many requests wait; None where too much feedback does, or nothing is taken on any more."""
        done: Future[bool] = Future()
        with self._changed:
            if self._closing or len(self._said) >= _MOST_FEEDBACK:
                return None
            self._said.append((said, done))
            self._changed.notify()
        return done

    def next(self, seconds: float) -> Sequence[BacklogEntry] | None:
        """The next batch, in the order of storing; empty if nothing came in time; None once it is closed and empty. A request waits a
        moment for others, feedback does not."""
        with self._changed:
            self._changed.wait_for(lambda: self._requests or self._said or self._closing, max(0.0, seconds))
            if not (self._requests or self._said):
                return None if self._closing else ()
            self._changed.wait_for(lambda: len(self._requests) >= _BATCH or self._said or self._closing, _GATHER_SECONDS)
            said = [self._said.popleft() for _ in range(min(_BATCH, len(self._said)))]
            if said:
                about = {one.request_id for one, _ in said}
                own = [one for one in self._requests if one.id in about]
                if own:
                    self._requests = deque(one for one in self._requests if one.id not in about)
                return [*own, *said]
            return [self._requests.popleft() for _ in range(min(_MOST_BATCH, len(self._requests)))]

    def rest(self, seconds: float) -> bool:
        """Wait for some time, or until feedback or the end comes, which may not wait. Returns whether one did."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._said) or self._closing, max(0.0, seconds))

    def close(self) -> None:
        """Accept nothing more; waiting requests are still given out."""
        with self._changed:
            self._closing = True
            self._changed.notify()

    def left(self) -> list[BacklogEntry]:
        """All that still waits, taken out."""
        with self._changed:
            found: list[BacklogEntry] = [*self._requests, *self._said]
            self._requests.clear()
            self._said.clear()
        return found
