"""Records of the conversations' database: messages that a worker holds, lists, events, feedback, pairs to learn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from smidgen.core.conversations import DeskConversation, DeskReply, IncomingMessage, Outcome, OutgoingMessage, Status

Receipt: TypeAlias = Literal["received", "repeated", "refused"]
"""`repeated`: it was received before. `refused`: too many messages of its conversation wait already."""

EventKind: TypeAlias = Literal["answered", "escalated", "handed_over", "customer_wrote", "feedback", "undelivered", "promoted", "revoked"]
"""The kinds of events:

- `answered`: the desk answered, or ran a confirmed call;
- `escalated`: it did not know;
- `handed_over`: it passed the conversation to a person;
- `customer_wrote`: the customer wrote while a person has the conversation;
- `feedback`: the customer gave a thumb up or down;
- `undelivered`: a message could not be delivered and is a dead letter;
- `promoted`, `revoked`: another version of a model answers; a certificate was withdrawn.
"""

DeliveryState: TypeAlias = Literal["waiting", "delivered", "dead"]


@dataclass(frozen=True, slots=True)
class TakenMessage:
    """A received message that a worker holds, with its conversation as it is before it.

    Attributes:
        attempts: how often it was taken, this time included.
        deciding: the id of a confirmed call that an earlier attempt began; empty if none did. It may have run.
        waited: seconds since it was received.
    """

    id: str
    holder: str
    desk: str
    message: IncomingMessage
    conversation: DeskConversation
    attempts: int
    deciding: str = ""
    waited: float = 0.0


@dataclass(frozen=True, slots=True)
class TakenOutgoing:
    """A message to deliver that a worker holds.

    Attributes:
        attempts: how often it was taken, this time included.
        doubt: whether an earlier attempt may have delivered it: the vendor's answer did not come, or the worker ended in its middle.
    """

    message: OutgoingMessage
    desk: str
    conversation: str
    holder: str
    attempts: int
    doubt: bool = False


@dataclass(frozen=True, slots=True)
class StoredOutgoing:
    """A message to deliver, as people see it. `error` says why the last attempt failed. Times are in seconds since 1970."""

    message: OutgoingMessage
    desk: str
    conversation: str
    state: DeliveryState
    attempts: int
    created: float
    ended: float | None
    vendor_id: str
    error: str


@dataclass(frozen=True, slots=True)
class DeskEvent:
    """Something that happened at a desk. `time` is in seconds since 1970; `body` is JSON."""

    id: str
    desk: str
    kind: EventKind
    conversation: str
    time: float
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TakenEvent:
    """An event on its way to a listener, held by a worker. `attempts`: how often it was taken, this time included."""

    number: int
    event: DeskEvent
    listener: str
    holder: str
    attempts: int


@dataclass(frozen=True, slots=True)
class DeadEvent:
    """An event that could not be delivered to a listener."""

    number: int
    event: DeskEvent
    listener: str
    attempts: int
    error: str


@dataclass(frozen=True, slots=True)
class ConversationFilter:
    """A choice of conversations; what is empty or None does not narrow it. `text` stands in one of the turns, in any case. `thumb`: the
    customer gave it to one of the desk's turns."""

    desk: str = ""
    channel: str = ""
    status: Status | None = None
    outcome: Outcome | None = None
    text: str = ""
    since: float | None = None
    thumb: Literal["up", "down"] | None = None


@dataclass(frozen=True, slots=True)
class ConversationHead:
    """A conversation in a list. `first` is the beginning of the customer's first message. Times are in seconds since 1970.

    `outcome` is that of the desk's last reply; empty before its first one.
    """

    id: str
    desk: Annotated[str, Field(exclude=True)]
    channel: str
    address: str
    subject: str
    language: str
    status: Status
    outcome: str
    turns: int
    created: float
    changed: float
    first: str


@dataclass(frozen=True, slots=True)
class ConversationPage:
    """How many conversations a filter leaves, and some of them, the last changed first."""

    total: int
    conversations: tuple[ConversationHead, ...]


@dataclass(frozen=True, slots=True)
class TurnFeedback:
    """A customer's thumb on one of the desk's turns."""

    turn: str
    conversation: str
    verdict: Literal["up", "down"]
    comment: str
    time: float


@dataclass(frozen=True, slots=True)
class AnsweredQuestion:
    """A question that a person answered, to learn from. `question` is the customer's last message before the answer."""

    number: int
    desk: str
    conversation: str
    question: str
    answer: str
    time: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much waits. `oldest`: seconds that the oldest message has waited for its answer."""

    incoming: int
    outgoing: int
    events: int
    dead: int
    dead_events: int
    oldest: float


def event_of(reply: DeskReply) -> EventKind | None:
    """The kind of event that a reply is; None for a question, a proposed call and the like."""
    kinds: dict[str, EventKind] = {"answered": "answered", "done": "answered", "unanswered": "escalated", "handed_over": "handed_over"}
    return kinds.get(reply.outcome)
