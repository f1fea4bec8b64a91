"""A conversation with a customer: what was said in it, and what a desk answers.

A desk is several models that answer as one. Channels (the widget, e-mail, chat) bring its messages and carry its replies; both sides talk
in these shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias

Facts: TypeAlias = Mapping[str, Any]
"""JSON-ready values by name."""


Outcome: TypeAlias = Literal["answered", "asked", "proposed", "done", "cancelled", "failed", "handed_over", "unanswered"]
"""The result of a desk's work on a message:

- `answered`: gave an answer, from a document, a tool's result, a recommendation or a fixed text;
- `asked`: asked the customer for what it needs;
- `proposed`: proposed a call that waits for the customer's yes;
- `done`: ran a call that the customer confirmed;
- `cancelled`: dropped a proposed call, because the customer said no;
- `failed`: could not run a call; nothing was changed;
- `handed_over`: passed the conversation to a person;
- `unanswered`: did not know, and said so. Behind a gateway such a message escalates.
"""

WANTED_PERSON = ("the customer asked for a person", "the policy sends this to a person")
"""Reasons, in the fact `handed_over` of a reply, by which a message asked for nothing but a person."""

Author: TypeAlias = Literal["customer", "desk", "person"]
"""Who said something: the customer, the desk, or a person of the business."""

Status: TypeAlias = Literal["open", "with_person", "closed"]
"""Who answers a conversation next: the desk, a person, or nobody. The desk says nothing while a person has it."""


@dataclass(frozen=True, slots=True)
class Citation:
    """Words quoted from a document.

    Attributes:
        document: the document's id.
        title: its title, for people.
        text: the quoted words, as they are in the document.
        start, end: their place in the document's text, in characters, the end exclusive.
        heading: the headings above them, the outermost first, joined by " > "; empty if there are none.
        page: the page, counted from 1; None for a document without pages.
        url: where the customer can read the document; empty if nowhere.
        passage: the part of the document around the words, with them in it, for people who want to read on; empty if it is not kept.
    """

    document: str
    title: str
    text: str
    start: int
    end: int
    heading: str = ""
    page: int | None = None
    url: str = ""
    passage: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """Facts shown beside a reply's text: an order, products, or the result of another call.

    Attributes:
        kind: how it is shown: `order`, `products` or `facts`.
        title: a heading.
        items: one mapping for each order, product or row: shown names to values. `name`, `price`, `url`, `image` and `reason` of a product
            have a place of their own.
    """

    kind: Literal["order", "products", "facts"]
    title: str
    items: tuple[Facts, ...]


@dataclass(frozen=True, slots=True)
class ProposedCall:
    """A call that waits for the customer's yes.

    Attributes:
        id: unguessable, and used once.
        tool: the tool's name.
        arguments: its arguments, which fit the tool's schema.
        words: the call in words, for the customer: "Cancel order FH-20103".
    """

    id: str
    tool: str
    arguments: Facts
    words: str


@dataclass(frozen=True, slots=True)
class DeskReply:
    """The answer of a desk to one message.

    Attributes:
        outcome: what it did.
        text: the words for the customer.
        member: the member that answered; empty for the desk itself.
        intent: the recognised intent; empty if none was.
        score: the probability that the outcome is right, 0..1.
        citations, cards: the sources and facts that the text stands on.
        call: the proposed call; only of the outcome `proposed`.
        facts: further facts, for people of the business and for logs; never shown to the customer.
        language: of the text; empty if unknown.
    """

    outcome: Outcome
    text: str
    member: str = ""
    intent: str = ""
    score: float = 1.0
    citations: tuple[Citation, ...] = ()
    cards: tuple[Card, ...] = ()
    call: ProposedCall | None = None
    facts: Facts = field(default_factory=dict)
    language: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation. `reply`: the desk's whole reply, if the desk said it. `id`: unique in the store."""

    author: Author
    text: str
    time: datetime
    id: str = ""
    reply: DeskReply | None = None


@dataclass(frozen=True, slots=True)
class DeskConversation:
    """A conversation as the desk sees it.

    Attributes:
        id: unguessable, for the store.
        desk: the desk's name.
        channel: the name of the channel that it came by: `widget`, `email`, `slack`, ...
        address: the customer's address in that channel; empty if it has none. What is sent goes there and nowhere else.
        turns: what was said, the oldest first.
        state: what the desk remembers between turns (the open question, the waiting call, an order that was shown); JSON, and only the desk
            reads it.
        status: who answers next.
        language: the customer's language, as far as known: `en`, `de`; empty if unknown.
        origin: the network address that the message at hand came from, if the channel knows it; it is not stored.
    """

    id: str
    desk: str
    channel: str
    address: str = ""
    turns: tuple[Turn, ...] = ()
    state: Facts = field(default_factory=dict)
    status: Status = "open"
    language: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True)
class DeskAnswer:
    """A reply, and the conversation's state and status after it."""

    reply: DeskReply
    state: Facts
    status: Status = "open"


class Answering(Protocol):
    """A desk, as channels use it. Safe for several threads."""

    @property
    def name(self) -> str:
        """The desk's name."""
        ...

    @property
    def greeting(self) -> Mapping[str, str]:
        """Its first words, by language."""
        ...

    def answer(self, conversation: DeskConversation, message: str) -> DeskAnswer:
        """Answer a message of a conversation; `conversation.turns` end before it. Changes nothing outside."""
        ...

    def decide(self, conversation: DeskConversation, call: str, yes: bool) -> DeskAnswer:
        """Run the waiting call with this id, or drop it. A call that does not wait in this conversation gets the outcome `failed`."""
        ...


class Masking(Protocol):
    """Replaces customers' personal data in what is kept of a conversation. Safe for several threads."""

    def text(self, text: str) -> str:
        """A text without personal data."""
        ...

    def answer(self, answer: DeskAnswer) -> DeskAnswer:
        """An answer without personal data, except what a call needs that still waits."""
        ...


@dataclass(frozen=True, slots=True)
class IncomingMessage:
    """A message as a channel received it, before it is answered.

    Attributes:
        channel: the channel's name.
        external_id: the vendor's id of the message: a second message with the same id in a channel is the same one.
        thread: the vendor's id of the conversation; messages of one thread belong together.
        sender: the customer's address in the channel. A reply goes only to the sender of the message that it answers.
        text: its words, without quoted earlier mail and without markup.
        subject: its subject; empty without one.
        attachments: how many attachments came with it; they are not read.
        facts: what the channel needs to reply (a message id, a team); JSON.
    """

    channel: str
    external_id: str
    thread: str
    sender: str
    text: str
    subject: str = ""
    attachments: int = 0
    facts: Facts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message that a channel must deliver. `id` is equal at every attempt, so that a vendor can drop repeats; `facts` are those of the
    message that it answers."""

    id: str
    channel: str
    thread: str
    recipient: str
    text: str
    reply: DeskReply | None = None
    subject: str = ""
    facts: Facts = field(default_factory=dict)


LEAST_MESSAGES = 30
"""Test messages of conversations below which there is no figure: a few say nothing of the others."""


def too_few(headline: str, n: int, file: str = "") -> tuple[str, str] | None:
    """That conversations have too few test messages for a figure, and the way to more; None with enough, and for other rows.

    `file`: all of whose messages are the test; empty for those of a build, which are half.
    """
    if headline != "outcome_right" or n >= LEAST_MESSAGES:
        return None
    more = LEAST_MESSAGES - n
    where = (
        f"the outcome that you want for each, in {file}."
        if file
        else "the outcome that you want for each, because half are the test: on the Studio's page Tests, or in the file that conversations "
        "names under [desk]. Then build again."
    )
    return (
        f"{n:,} of at least {LEAST_MESSAGES} test messages: too few for a figure.",
        f"Write conversations with some {more if file else 2 * more} more messages and {where}",
    )
