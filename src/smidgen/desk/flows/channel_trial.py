"""Try a channel or a webhook before it goes to work: log in at the vendor, or send a signed test event. Bounded in time."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from smidgen.core.errors import InputError, SmidgenError
from smidgen.desk.channels.channel import ConnectedChannel, TriedChannel, open_channel
from smidgen.desk.channels.webhook_endpoint import WebhookEndpoint
from smidgen.desk.flows.inbox import Attempts

TRIAL_SECONDS = 30.0
_MOST_WORDS = 300


@dataclass(frozen=True, slots=True, config=ConfigDict(json_schema_serialization_defaults_required=True))
class ChannelTrial:
    """How a trial ended.

    Attributes:
        time: when, in seconds since 1970.
        works: whether the vendor took the keys, or the receiver the event.
        name: the account's name at the vendor; empty where it has none.
        what, value, todo: what failed, and what to do; empty if it works. No key is in them.
    """

    time: float
    works: bool
    name: str = ""
    what: str = ""
    value: str = ""
    todo: str = ""


def try_channel(kind: str, settings: Mapping[str, Any], environment: Mapping[str, str], seconds: float = TRIAL_SECONDS) -> ChannelTrial:
    """Log in with a channel's settings and secrets. Nothing is sent to customers.

    A channel whose keys cannot be tried works if its settings are valid.
    """

    def log_in() -> str:
        channel = open_channel(kind, settings, environment)
        try:
            return channel.check() if isinstance(channel, TriedChannel) else ""
        finally:
            channel.close()

    return _tried(log_in, seconds)


def connect_channel(
    kind: str, settings: Mapping[str, Any], environment: Mapping[str, str], address: str, seconds: float = TRIAL_SECONDS
) -> ChannelTrial:
    """Tell a channel's vendor the address that messages go to."""

    def tell() -> str:
        channel = open_channel(kind, settings, environment)
        try:
            if not isinstance(channel, ConnectedChannel):
                raise InputError("desk.address_is_entered_at_vendor", value=kind)
            channel.connect(address)
        finally:
            channel.close()
        return address

    return _tried(tell, seconds)


def try_webhook(url: str, key: str, desk: str, seconds: float = TRIAL_SECONDS) -> ChannelTrial:
    """Send a signed test event (`desk.test`) to a webhook."""

    def send() -> str:
        endpoint = WebhookEndpoint(url, [key])
        try:
            stamp = datetime.now(UTC).isoformat().replace("+00:00", "Z")
            told = {"type": "desk.test", "timestamp": stamp, "data": {"desk": desk, "conversation": None}}
            endpoint.send(f"evt_{secrets.token_hex(12)}", json.dumps(told, separators=(",", ":")).encode())
        finally:
            endpoint.close()
        return ""

    return _tried(send, seconds)


def _tried(work: Callable[[], str], seconds: float) -> ChannelTrial:
    attempts = Attempts(seconds)
    try:
        name, error = attempts.run(work)
    finally:
        attempts.close()
    now = time.time()
    if error is None:
        return ChannelTrial(now, True, str(name)[:_MOST_WORDS])
    if isinstance(error, SmidgenError):
        mistakes = "; ".join(getattr(error, "mistakes", ()))
        value, todo = mistakes or str(error.value), error.todo.partition("\n")[0]
        return ChannelTrial(now, False, "", error.what, value[:_MOST_WORDS], todo[:_MOST_WORDS])
    if isinstance(error, TimeoutError):
        todo = "Check the address and the network, and try again."
        return ChannelTrial(now, False, "", "there was no answer in time", f"{seconds:.0f} s", todo)
    return ChannelTrial(now, False, "", "the channel cannot be tried", type(error).__name__, "Check the address and the settings.")
