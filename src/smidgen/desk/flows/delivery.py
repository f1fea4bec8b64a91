"""Deliver what waits in the outbox through its channel, and events to those who listen: tried again, never lost, never dropped silently."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from smidgen.core.errors import SmidgenError, shown
from smidgen.desk.channels.channel import Channel, DeliveryError
from smidgen.desk.channels.webhook_endpoint import WebhookEndpoint
from smidgen.desk.flows.inbox import Attempts, BackgroundLoop
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.desk.store.records import DeskEvent, EventKind

LEASE_SECONDS = 120.0
_SEND_SECONDS = 60.0
_NO_CHANNEL_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class RetryRule:
    """How often and after which waits a delivery is tried again. Waits double, with jitter so that not all come at once.

    Attributes:
        tries: most attempts; then it is a dead letter.
        first, longest: seconds before the second attempt, and the most before any.
    """

    tries: int = 16
    first: float = 2.0
    longest: float = 3_600.0

    def wait(self, attempts: int, asked: float | None, chance: Callable[[], float] = random.random) -> float:
        """Seconds before the next attempt: at least what the vendor asked for, up to a day."""
        doubled = min(self.longest, self.first * 2.0 ** min(attempts - 1, 30))
        return max(doubled * (0.5 + chance() / 2), min(asked or 0.0, 86_400.0))


class Listener(Protocol):
    """One who is told of events: a webhook, or a person who gets a conversation."""

    @property
    def kinds(self) -> Sequence[EventKind]:
        """The kinds of events that it wants."""
        ...

    def tell(self, event: DeskEvent) -> None:
        """Tell it of an event. Raises DeliveryError."""
        ...


class WebhookListener:
    """A webhook by Standard Webhooks. The event's id is the message's, so a receiver drops repeats.

    `more`: further data of an event; `seen`: the event as the webhook may see it.
    """

    def __init__(
        self,
        endpoint: WebhookEndpoint,
        kinds: Sequence[EventKind],
        more: Callable[[DeskEvent], Mapping[str, Any]] | None = None,
        seen: Callable[[DeskEvent], DeskEvent] | None = None,
    ) -> None:
        self.kinds, self._endpoint, self._more, self._seen = tuple(kinds), endpoint, more, seen

    def tell(self, event: DeskEvent) -> None:
        """Send an event."""
        seen = event if self._seen is None else self._seen(event)
        self._endpoint.send(event.id, event_body(seen, self._more(event) if self._more is not None else {}))


def event_body(event: DeskEvent, more: Mapping[str, Any] = {}) -> bytes:
    """An event, with more data, as the body of a webhook."""
    stamp = datetime.fromtimestamp(event.time, UTC).isoformat().replace("+00:00", "Z")
    data: dict[str, Any] = {"desk": event.desk, "conversation": event.conversation or None, **event.body, **more}
    told = {"type": f"desk.{event.kind}", "timestamp": stamp, "data": data}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


class DeliveryWorker:
    """Delivers a desk's messages and events.

    A channel that asks for a pause gets one: no message of it is tried before. Others go on.
    """

    def __init__(
        self,
        store: ConversationStore,
        desk: str,
        channels: Mapping[str, Channel],
        listeners: Mapping[str, Listener] | None = None,
        rule: RetryRule | None = None,
        threads: int = 2,
        lease: float = LEASE_SECONDS,
    ) -> None:
        self._store, self._desk, self._channels, self._listeners = store, desk, dict(channels), dict(listeners or {})
        self._rule, self._lease = rule or RetryRule(), lease
        self._paused: dict[str, float] = {}
        self._lock = threading.Lock()
        self._loop = BackgroundLoop(self.work_once, threads, _SEND_SECONDS)
        self.start, self.wake, self.stop = self._loop.start, self._loop.wake, self._loop.stop

    def work_once(self, attempts: Attempts) -> bool:
        """Deliver one message and one event; False if neither waits."""
        sent = self._send(attempts)
        return self._tell(attempts) or sent

    def _send(self, attempts: Attempts) -> bool:
        taken = self._store.outbox.take(self._lease, self._desk, self._pausing())
        if taken is None:
            return False
        name = taken.message.channel
        channel = self._channels.get(name)
        if channel is None:
            return self._store.outbox.retry(taken, _NO_CHANNEL_SECONDS, f"the desk has no channel {name} now") or True
        vendor_id, error = attempts.run(channel.send, taken.message, taken.doubt)
        if error is None:
            self._store.outbox.delivered(taken, str(vendor_id))
            return True
        passing, after, why = _judged(error)
        if not passing or taken.attempts >= self._rule.tries:
            self._store.outbox.bury(taken, why)
            return True
        if after is not None:
            self._pause(name, after)
        unsure = _is_unsure(error)
        # A vendor that tells by itself what it has gets the time to do so.
        pause = getattr(channel, "doubt_seconds", 0.0) if unsure else 0.0
        self._store.outbox.retry(taken, max(pause, self._rule.wait(taken.attempts, after)), why, unsure)
        return True

    def _tell(self, attempts: Attempts) -> bool:
        self._store.events.sort({name: one.kinds for name, one in self._listeners.items()}, self._desk)
        taken = self._store.events.take(self._lease, self._desk)
        if taken is None:
            return False
        listener = self._listeners.get(taken.listener)
        if listener is None:
            return self._store.events.bury(taken, "the desk has no such listener any more") or True
        _, error = attempts.run(listener.tell, taken.event)
        if error is None:
            self._store.events.delivered(taken)
            return True
        passing, after, why = _judged(error)
        if not passing or taken.attempts >= self._rule.tries:
            self._store.events.bury(taken, why)
        else:
            self._store.events.retry(taken, self._rule.wait(taken.attempts, after), why)
        return True

    def _pause(self, name: str, seconds: float) -> None:
        with self._lock:
            self._paused[name] = max(self._paused.get(name, 0.0), time.monotonic() + min(seconds, 3_600.0))

    def _pausing(self) -> list[str]:
        with self._lock:
            return [name for name, until in self._paused.items() if until > time.monotonic()]


def _is_unsure(error: BaseException) -> bool:
    """Whether a failed attempt may have delivered its message. Of a failure that nobody foresaw, nobody knows."""
    return error.unsure if isinstance(error, DeliveryError) else True


def _judged(error: BaseException) -> tuple[bool, float | None, str]:
    """Whether a failure passes, the wait that the vendor asked for, and the reason in words.

    A failure that nobody foresaw passes: after all attempts the message is a dead letter, and people see why.
    """
    if isinstance(error, DeliveryError):
        return error.passing, error.after, f"{error.what}: {error.value}"
    if isinstance(error, SmidgenError):
        return False, None, str(error)
    return True, None, f"{type(error).__name__}: {shown(str(error))}"
