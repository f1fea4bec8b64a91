"""Collecting a request and its answer while they pass: the bytes go through as they are, copies are kept within bounds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.types import Message, Receive, Scope, Send

from smidgen.core.replies import Reply
from smidgen.gateway.crossing import USER, Headers
from smidgen.server.ids import asker
from smidgen.server.observation import of
from smidgen.server.request_content import header
from smidgen.server.served import Identity

MOST_ASKED = 1_000_000
MOST_ANSWERED = 2_000_000
"""Bytes: of a stream, some 250 for every token."""
BESIDE = 4_000
"""Bytes that a request takes besides its bodies, about: headers, replies, the objects that hold them."""


class Room:
    """The bytes that all requests together may have in memory until they are stored."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Take so many; False, and nothing taken, where there are not as many."""
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
class Taken:
    """A request with its answer as bytes.

    Attributes:
        id, path: of the request.
        time: when it came, seconds since 1970.
        user: as its header says; None where there is none.
        key: the first digits of the hash of the API key; empty where it has none.
        asked, answered: the bodies; `answered` as it was sent, with its content encoding.
        status, headers: of the answer.
        complete: whether the answer was sent to its end.
        cut: whether there was more of the answer than is kept.
        lost: why it cannot be stored; empty where it can.
        replies: the small model's.
        models: what the bundles are to this request, by their names.
        seconds: from the request to the end of its answer; `local_seconds`, `upstream_seconds`: of that, where it is known.
        saved_usd: what an answer from the cache would have cost, where that is known.
        size: bytes of the room that it has.
    """

    id: str
    path: str
    time: float
    user: str | None
    key: str
    asked: list[bytes] = field(default_factory=list)
    answered: list[bytes] = field(default_factory=list)
    status: int = 0
    headers: Headers = field(default_factory=list)
    complete: bool = False
    cut: bool = False
    lost: str = ""
    replies: tuple[Reply, ...] = ()
    models: Mapping[str, Identity] = field(default_factory=dict)
    seconds: float = 0.0
    local_seconds: float | None = None
    upstream_seconds: float | None = None
    saved_usd: float | None = None
    size: int = 0

    def header(self, name: bytes) -> str:
        """A header of the answer; empty where there is none."""
        return next((value.decode("latin-1") for key, value in self.headers if key.lower() == name), "")


class Collector:
    """Collects one request. Where it must give up, the request goes on as if nobody had looked."""

    def __init__(self, scope: Scope, room: Room) -> None:
        self._scope, self._room = scope, room
        self._began = time.perf_counter()
        self._asked = self._answered = 0
        user = header(scope, USER).decode("utf-8", "replace").strip()
        whose = asker(scope)
        self.taken = Taken(whose.id, scope["path"], time.time(), user or None, whose.key)

    def receiving(self, receive: Receive) -> Receive:
        """A receive that keeps what comes."""

        async def kept() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                body = message.get("body", b"")
                self._asked += len(body)
                if self._asked > MOST_ASKED:
                    self._lose("too_large")
                elif self._fits(len(body)):
                    self.taken.asked.append(body)
            return message

        return kept

    def sending(self, send: Send, ended: Callable[[], None]) -> Send:
        """A send that keeps what goes, and says when all of it went: at once, for what comes after an answer (its upstream's connection is
        given back) may take longer than a client takes to say what it thinks of it."""

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

    def done(self, replies: tuple[Reply, ...], models: Mapping[str, Identity]) -> Taken:
        """All of it. `replies` are those that were given without a gateway's door; `models` what the bundles are to it."""
        self._fits(BESIDE)
        self.taken.models = models
        seen = of(self._scope)
        self.taken.replies = seen.replies or replies
        self.taken.local_seconds, self.taken.upstream_seconds = seen.local_seconds, seen.upstream_seconds
        self.taken.saved_usd = seen.saved_usd
        self.taken.seconds = time.perf_counter() - self._began
        return self.taken

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
        self.taken.asked.clear()
        self.taken.answered.clear()
