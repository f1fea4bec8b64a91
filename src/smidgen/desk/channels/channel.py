"""The common shapes of channels: a webhook's request and answer, a failed delivery, settings, secrets."""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import pydantic

from smidgen.core.conversations import IncomingMessage, OutgoingMessage, Status
from smidgen.core.errors import InputError, RecipeError, RequestError, SmidgenError
from smidgen.core.settings import Settings, is_hidden, mistake_in
from smidgen.parts import registry

ROOM = "desk.channels"
MOST_BODY = 1_000_000
"""Longest body of a webhook, in bytes. Vendors send less: they send files by reference."""
CONVERSATION = "conversation:"
WINDOW_SECONDS = 300.0
"""How far a signed time may be from this machine's clock. An older request may have been recorded and sent again."""


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A request of a vendor. `headers` have lower-case names; `body` is as it came, because the signature covers its bytes."""

    method: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class PersonAnswer:
    """An answer that a person wrote in the vendor's own app, where the customer has it already; or by mail, from where it is delivered.

    Attributes:
        external_id: the vendor's id of the message.
        thread: the vendor's id of the conversation; or `CONVERSATION` and our own, if it must be delivered.
        text: its words.
        by: the person's name.
    """

    external_id: str
    thread: str
    text: str
    by: str


@dataclass(frozen=True, slots=True)
class LateFailure:
    """A message that the vendor took and could not deliver. `vendor_id`: the vendor's id of it."""

    vendor_id: str
    why: str


@dataclass(frozen=True, slots=True)
class TakenMark:
    """The vendor's word that it has a message. `id`: ours, which was sent with the message; `vendor_id`: the vendor's."""

    id: str
    vendor_id: str


OnDoubt: TypeAlias = Literal["repeat", "give_up"]
"""The choice for a message that a vendor may have and that it cannot be asked about: send it again, or leave it to people."""


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """The answer to a vendor's request, and what the request brought. It is stored before the answer is sent.

    `statuses`: threads that people of the business took over, finished, or gave back to the desk in the vendor's app.
    `content_type`: that of the body.
    """

    status: int = 200
    body: str = ""
    messages: tuple[IncomingMessage, ...] = ()
    answers: tuple[PersonAnswer, ...] = ()
    failures: tuple[LateFailure, ...] = ()
    taken: tuple[TakenMark, ...] = ()
    statuses: tuple[tuple[str, Status], ...] = ()
    content_type: str = "text/plain"


class DeliveryError(SmidgenError):
    """A message was not delivered.

    `passing`: whether another attempt may succeed. `after`: seconds to wait first, if the vendor said so. `unsure`: whether the vendor may
    have it all the same, because its answer did not come. `answer`: the JSON of its refusal.
    """

    def __init__(
        self,
        message: str,
        /,
        *,
        passing: bool,
        after: float | None = None,
        unsure: bool = False,
        answer: Any = None,
        **pieces: Any,
    ) -> None:
        self.passing, self.after, self.unsure, self.answer = passing, after, unsure, answer
        super().__init__(message, **pieces)


@runtime_checkable
class Channel(Protocol):
    """A channel that delivers messages. Safe for several threads."""

    def send(self, message: OutgoingMessage, again: bool) -> str:
        """Deliver a message; returns the vendor's id of it. Raises DeliveryError.

        again: an earlier attempt may have delivered it. The channel looks first, where the vendor can be asked; elsewhere its setting
            `on_doubt` decides.
        """
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


@runtime_checkable
class WebhookChannel(Channel, Protocol):
    """A channel whose messages come by webhook."""

    def receive(self, request: WebhookRequest) -> WebhookAnswer:
        """Verify a request and read it. Raises RequestError for one that the vendor did not send, or that cannot be read."""
        ...


@runtime_checkable
class TriedChannel(Channel, Protocol):
    """A channel whose keys can be tried."""

    def check(self) -> str:
        """Log in, and change nothing; returns the account's name at the vendor. Raises DeliveryError."""
        ...


def given_up(name: str) -> DeliveryError:
    """The error of a message that may have arrived, and that is not sent a second time."""
    return DeliveryError("desk.message_may_have_arrived_already", name=name, passing=False, unsure=True)


@runtime_checkable
class ConnectedChannel(Channel, Protocol):
    """A channel whose vendor can be told where to send messages."""

    def connect(self, address: str) -> None:
        """Tell the vendor the address of the channel's webhook. Raises DeliveryError."""
        ...


def open_channel(kind: str, given: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Channel:
    """Open a channel of this kind with its settings. Its secrets are in `environment`, by default the process's own.

    Raises UnknownPart for another kind, RecipeError for a wrong setting, and InputError for a secret that is not in the environment.
    """
    owner = registry.find(ROOM, kind)
    try:
        settings = owner.settings.model_validate(dict(given))
    except pydantic.ValidationError as error:
        mistakes = [f"{'.'.join(map(str, fault['loc']))}: {mistake_in(dict(fault))}" for fault in error.errors()]
        raise RecipeError("desk.channel_settings_are_wrong", value=kind, mistakes=mistakes) from None
    channel: Channel = owner(settings) if environment is None else owner(settings, environment)
    return channel


def settings_shown(settings: Settings) -> dict[str, Any]:
    """A channel's settings for people, without those that may hold a secret by mistake."""
    return {name: getattr(settings, name) for name, field in type(settings).model_fields.items() if not is_hidden(field)}


def secret(variable: str, name: str, environment: Mapping[str, str] | None = None) -> str:
    """A secret from the environment. Raises InputError if it is not set; no message shows a secret.

    Args:
        variable: the environment variable's name.
        name: of the secret, with its article.
        environment: where it is looked up; the process's own by default.
    """
    value = (os.environ if environment is None else environment).get(variable, "").strip()
    if not value:
        # A value in the place of the variable's name may be the secret itself.
        known = variable if variable.replace("_", "").isupper() and len(variable) < 60 else f"{len(variable)} characters"
        raise InputError("desk.secret_is_not_in_environment", value=known, name=name)
    return value


def is_signed(key: str | bytes, signed: bytes, given: str, prefix: str = "") -> bool:
    """Whether a hexadecimal HMAC-SHA256 is right. The comparison takes equally long for every wrong one."""
    secret_key = key.encode() if isinstance(key, str) else key
    right = prefix + hmac.new(secret_key, signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(right.encode(), given.encode("utf-8", "replace"))


def is_equal(secret_text: str, given: str) -> bool:
    """Whether a secret was given. The comparison takes equally long for every wrong one."""
    return hmac.compare_digest(secret_text.encode(), given.encode("utf-8", "replace"))


def is_recent(stamp: str, now: float | None = None) -> bool:
    """Whether a signed time, in seconds since 1970, is within the window."""
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
        return False
    return abs((time.time() if now is None else now) - int(stamp)) <= WINDOW_SECONDS


def unverified(name: str) -> RequestError:
    """The error for a request that the vendor did not sign."""
    return RequestError("desk.signature_of_vendor_request_is_wrong", value="401", name=name, status=401, code="invalid_signature")


def unreadable(name: str, why: str) -> RequestError:
    """The error for a signed request that cannot be read."""
    return RequestError("desk.vendor_request_cannot_be_read", value=why, name=name, status=400, code="invalid_request")
