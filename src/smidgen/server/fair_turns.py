"""Turns at slow work, shared fairly: clients take turns in rotation, however much each of them has asked for.

A client's requests wait in a queue of their own. Long work is done in short pieces, and before each piece it passes its turn on to whoever
waits. One client never holds all turns, so that another's short request is done beside its long ones.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from smidgen.core.errors import EngineError


class FairTurns:
    """See above. Threads take them.

    Args:
        at_once: turns at a time; half of them for any single client, one at least.
    """

    def __init__(self, at_once: int) -> None:
        self._lock = threading.Lock()
        self._at_once, self._each = at_once, max(1, at_once // 2)
        self._running: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[threading.Event]] = OrderedDict()

    @contextmanager
    def turn(self, client: str, until: float) -> Iterator[None]:
        """Hold one. Raises EngineError where none comes by `until`, in seconds of `time.monotonic`."""
        self._enter(client, until)
        try:
            yield
        finally:
            self._leave(client)

    def pass_on(self, client: str, until: float) -> None:
        """Let those who wait go first, where anybody does. Raises as `turn` does, and holds a turn all the same."""
        with self._lock:
            if not self._waiting:
                return
            self._running[client] -= 1
            event = self._queue(client)
            self._grant()
        if not event.wait(max(0.0, until - time.monotonic())):
            self._give_up(client, event)
            with self._lock:
                self._running[client] += 1  # for `turn` to give back
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
        """Stand in the queue no more. A turn that was given meanwhile goes back."""
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
        """Give free turns to the clients that wait, one each and in rotation."""
        self._running += Counter()  # drops those that run nothing
        while self._running.total() < self._at_once:
            client = next((one for one in self._waiting if self._running[one] < self._each), None)
            if client is None:
                return
            queue = self._waiting.pop(client)
            event = queue.popleft()
            if queue:
                self._waiting[client] = queue  # behind all others
            self._running[client] += 1
            event.set()


class Turn:
    """A piece of work's hold on its turns; called before each short part of it.

    Args:
        turns: the turns.
        client: whose work it is.
        until: when nobody waits for it any more, in seconds of `time.monotonic`.
    """

    def __init__(self, turns: FairTurns, client: str, until: float) -> None:
        self._turns, self._client, self.until = turns, client, until
        self.over = False
        """Whether nobody waits for it any more already."""

    def __call__(self) -> None:
        """Let others go first. Raises EngineError where nobody waits for this any more."""
        if self.over:
            raise _late()
        self._turns.pass_on(self._client, self.until)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Do the work within this. Raises EngineError where no turn comes in time."""
        with self._turns.turn(self._client, self.until):
            if self.over:
                raise _late()
            yield


class Places:
    """Places for each client's requests, taken in the order in which they come: a client's further requests wait in the event loop, and
    take no thread from others.

    Args:
        each: for each client, at a time.
    """

    def __init__(self, each: int) -> None:
        self._each = each
        self._semaphores: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def place(self, client: str) -> AsyncIterator[None]:
        """Hold one."""
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
    return EngineError("personal data was not found in time", value="the request", todo="Send less at a time, or give it more seconds.")
