"""The conversations of a project's desk, for the people of the business: read them, answer in the customer's channel, and judge replies.

Who may only look sees them without addresses, numbers and what tools told; the others see all.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field

from smidgen.core.conversations import Card, DeskConversation, DeskReply, Outcome, Status, Turn
from smidgen.core.errors import InputError, RedactionError
from smidgen.desk.flows.hand_over import HandOverSummary, summarise
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.desk.store.figures import DeliveryFigures, DeskFigures, channel_figures, desk_figures, listener_figures, turn_authors
from smidgen.desk.store.records import ConversationFilter, ConversationPage, DeadEvent, StoredOutgoing, TurnFeedback
from smidgen.desk.store.tables import ConversationMissing
from smidgen.desk.studio.desk_serving import calls_file, conversations_url
from smidgen.privacy import text_patterns
from smidgen.privacy.redactor import Redactor
from smidgen.privacy.spoken_names import names_said, without_names
from smidgen.store.calls import CallStore, LoggedCall
from smidgen.studio.frozen import FrozenModel

HIDDEN = "•••"
_NUMBERED = re.compile(r"(?=[\w-]*\d[\w-]*\d[\w-]*\d)[\w-]{4,}|\b[A-Za-z]{1,2}\d[A-Za-z\d]? ?\d[A-Za-z]{2}\b")
"""What looks like the number of an order or a customer, and British post codes."""
_MOST_CALLS, _MOST_LETTERS = 100, 200
_EVENT = "event:"


@dataclass(frozen=True)
class _Opened:
    """A conversation with its calls, thumbs and letters.

    Attributes:
        authors: by turn, the name of the person who said it.
        thumbs: the customer's, by turn.
        calls: the calls of tools, the newest first.
        summary: what a person needs to go on with it.
        undelivered: messages that wait or could not be delivered.
    """

    conversation: DeskConversation
    authors: Mapping[str, str]
    thumbs: Mapping[str, TurnFeedback]
    calls: tuple[LoggedCall, ...]
    summary: HandOverSummary
    undelivered: tuple[StoredOutgoing, ...]


class ShownCitation(FrozenModel):
    """Words quoted from a document, and the passage around them."""

    title: str
    heading: str
    text: str
    passage: str
    page: int | None
    url: str


class ShownCall(FrozenModel):
    """A call that waited for the customer's yes."""

    tool: str
    words: str
    arguments: dict[str, Any]


class ShownReply(FrozenModel):
    """A reply of the desk, for people of the business."""

    outcome: Outcome
    member: str
    intent: str
    score: float
    why: str
    step: str = Field(description="The policy's step that it comes from; empty if none was needed.")
    passed: list[str] = Field(description="The policy's steps before it that could not answer.")
    email: str = Field(description="Where the customer wants to be written to, if they said so.")
    citations: list[ShownCitation]
    cards: list[Card]
    call: ShownCall | None
    thumb: Literal["up", "down"] | None
    comment: str


class ShownTurn(FrozenModel):
    """One message of a conversation. `by`: the person's name, if a person said it."""

    id: str
    author: Literal["customer", "desk", "person"]
    by: str
    text: str
    time: float
    reply: ShownReply | None


class ShownLoggedCall(FrozenModel):
    """A call of a tool."""

    time: float
    tool: str
    arguments: dict[str, Any]
    consent: str
    status: str
    reason: str
    seconds: float


class ShownSummary(FrozenModel):
    """All that a person needs to go on."""

    who: str
    question: str
    passages: list[str]
    tried: list[str]


class UndeliveredMessage(FrozenModel):
    """A message that waits to be delivered, or could not be."""

    id: str
    text: str
    state: str
    attempts: int
    error: str


class ShownConversation(FrozenModel):
    """A conversation with all that belongs to it."""

    id: str
    channel: str
    address: str
    language: str
    status: Status
    masked: bool = Field(description="Whether personal data is hidden, because the role may only look.")
    turns: list[ShownTurn]
    calls: list[ShownLoggedCall]
    summary: ShownSummary
    undelivered: list[UndeliveredMessage]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message to a customer, or an event for a listener, that could not be delivered. `place`: its channel or listener."""

    id: str
    place: str
    conversation: str
    text: str
    attempts: int
    time: float
    error: str


def has_conversations(project: str) -> bool:
    """Whether a project's desk was ever served."""
    return (calls_file(project).parent / "conversations.db").is_file()


@contextmanager
def conversations_of(project: str) -> Iterator[ConversationStore]:
    """The conversations of a project's desk. Raises ConversationMissing if it was never served."""
    if not has_conversations(project):
        raise ConversationMissing("desk.desk_has_no_conversations_yet", value=project)
    with ConversationStore(conversations_url(project)) as store:
        yield store


def list_conversations(project: str, where: ConversationFilter, offset: int, limit: int, masked: bool) -> ConversationPage:
    """Conversations of a project's desk, the last changed first; none if it was never served."""
    if not has_conversations(project):
        return ConversationPage(0, ())
    with conversations_of(project) as store:
        found = store.conversations(where, offset, limit)
    if not masked:
        return found
    return replace(
        found,
        conversations=tuple(
            replace(
                one,
                address=hidden(one.address),
                subject=without_personal_data(one.subject, names_said([one.address])),
                first=without_personal_data(one.first, names_said([one.address])),
            )
            for one in found.conversations
        ),
    )


def open_conversation(project: str, id: str, masked: bool) -> ShownConversation:
    """A conversation with all that belongs to it. Raises ConversationMissing."""
    with conversations_of(project) as store:
        conversation = store.conversation(id)
        authors = turn_authors(store.database, id)
        thumbs = {one.turn: one for one in store.feedback(id)}
        letters = tuple(one for one in store.outbox.of_conversation(id) if one.state != "delivered")[:_MOST_LETTERS]
    with closing(CallStore(calls_file(project))) as calls:
        logged = tuple(calls.logged(_MOST_CALLS, conversation=id))
    found = _Opened(conversation, authors, thumbs, logged, summarise(conversation), letters)
    return _shown(_masked(found) if masked else found, masked)


def _shown(found: _Opened, masked: bool) -> ShownConversation:
    one, summary = found.conversation, found.summary
    return ShownConversation(
        id=one.id,
        channel=one.channel,
        address=one.address if one.channel != "widget" else "",  # of the widget it is the hash of a token
        language=one.language,
        status=one.status,
        masked=masked,
        turns=[_shown_turn(turn, found) for turn in one.turns],
        calls=[
            ShownLoggedCall(
                time=call.time.timestamp(),
                tool=call.tool,
                arguments=dict(call.arguments),
                consent=call.consent,
                status=call.status,
                reason=call.reason,
                seconds=call.seconds,
            )
            for call in found.calls
        ],
        summary=ShownSummary(
            who=one.channel if one.channel == "widget" else summary.who,
            question=summary.question,
            passages=list(summary.passages),
            tried=list(summary.tried),
        ),
        undelivered=[
            UndeliveredMessage(
                id=letter.message.id, text=letter.message.text, state=letter.state, attempts=letter.attempts, error=letter.error
            )
            for letter in found.undelivered
        ],
    )


def _shown_turn(turn: Turn, found: _Opened) -> ShownTurn:
    reply, thumb = turn.reply, found.thumbs.get(turn.id)
    shown = None
    if reply is not None:
        call = reply.call
        shown = ShownReply(
            outcome=reply.outcome,
            member=reply.member,
            intent=reply.intent,
            score=reply.score,
            why=str(reply.facts.get("why", ""))[:300],
            step=str(reply.facts.get("step", "")),
            passed=[str(step) for step in reply.facts.get("passed", ())],
            email=str(reply.facts.get("email", ""))[:300],
            citations=[
                ShownCitation(title=one.title, heading=one.heading, text=one.text, passage=one.passage, page=one.page, url=one.url)
                for one in reply.citations
            ],
            cards=list(reply.cards),
            call=None if call is None else ShownCall(tool=call.tool, words=call.words, arguments=dict(call.arguments)),
            thumb=None if thumb is None else thumb.verdict,
            comment="" if thumb is None else thumb.comment,
        )
    by = found.authors.get(turn.id, "")
    return ShownTurn(id=turn.id, author=turn.author, by=by, text=turn.text, time=turn.time.timestamp(), reply=shown)


def answer_as_person(project: str, id: str, text: str, by: str, after: Status) -> None:
    """Send a person's answer to the customer, in the customer's channel; with the question before it, it is a pair to learn from.

    after: who answers next. Raises InputError for an empty answer, ConversationMissing.
    """
    if not text.strip():
        raise InputError("desk.answer_is_empty")
    with conversations_of(project) as store:
        store.add_turn(id, text.strip(), by, status=after)


def set_status(project: str, id: str, status: Status) -> None:
    """Take a conversation over, give it back to the desk, or close it."""
    with conversations_of(project) as store:
        store.set_status(id, status)


def delete_conversation(project: str, id: str) -> None:
    """Delete a conversation and what is known of its calls."""
    with conversations_of(project) as store:
        store.conversation(id)
        store.delete(id)
    with closing(CallStore(calls_file(project))) as calls:
        calls.forget_conversation(id)


def figures_since(project: str, since: float) -> DeskFigures:
    """Figures of a project's desk since a time; zeros if it was never served."""
    if not has_conversations(project):
        return DeskFigures(0, 0, {}, 0, 0, 0, 0)
    with conversations_of(project) as store:
        return desk_figures(store.database, since)


def waiting_for_person(project: str) -> int:
    """How many conversations a person has."""
    if not has_conversations(project):
        return 0
    with conversations_of(project) as store:
        return store.conversations(ConversationFilter(status="with_person"), 0, 1).total


def delivery_of(project: str) -> tuple[dict[str, DeliveryFigures], dict[str, DeliveryFigures]]:
    """How channels and listeners deliver, by name."""
    if not has_conversations(project):
        return {}, {}
    with conversations_of(project) as store:
        return channel_figures(store.database), listener_figures(store.database)


def dead_letters(project: str, masked: bool, limit: int = _MOST_LETTERS) -> list[DeadLetter]:
    """Messages and events that could not be delivered, the newest first."""
    if not has_conversations(project):
        return []
    with conversations_of(project) as store:
        found = [_letter(one) for one in store.outbox.dead(limit=limit)]
        found += [_event_letter(one) for one in store.events.dead(limit=limit)]
    shown = sorted(found, key=lambda one: -one.time)[:limit]
    return [replace(one, text=without_personal_data(one.text)) for one in shown] if masked else shown


def move_dead_letter(project: str, id: str, move: Literal["retry", "drop"]) -> None:
    """Send a dead letter again, or drop it for good. Raises ConversationMissing if there is none with this id."""
    with conversations_of(project) as store:
        if not id.startswith(_EVENT):
            (store.outbox.send_again if move == "retry" else store.outbox.drop)(id)
            return
        number = id.removeprefix(_EVENT)
        done = number.isdigit() and (store.events.send_again if move == "retry" else store.events.drop)(int(number))
        if not done:
            raise ConversationMissing("desk.message_is_no_dead_letter", value=id)


def without_personal_data(text: str, names: Collection[str] = ()) -> str:
    """A text without what patterns take for personal data, without numbers of orders, and without names: those it gives away itself, and
    these. Fails closed: an odd text is hidden whole."""
    try:
        safe = Redactor(forms=text_patterns.usual_spans).mask(text)
    except RedactionError:
        return HIDDEN
    return _NUMBERED.sub(HIDDEN, without_names(safe, names_said([text]).union(names), HIDDEN))


def hidden(text: str) -> str:
    """A sign that something is there."""
    return HIDDEN if text else ""


def _letter(one: StoredOutgoing) -> DeadLetter:
    return DeadLetter(
        one.message.id, one.message.channel, one.conversation, one.message.text, one.attempts, one.ended or one.created, one.error
    )


def _event_letter(one: DeadEvent) -> DeadLetter:
    event = one.event
    return DeadLetter(f"{_EVENT}{one.number}", one.listener, event.conversation, event.kind, one.attempts, event.time, one.error)


def _masked(found: _Opened) -> _Opened:
    conversation = found.conversation
    names = names_said([conversation.address, *(turn.text for turn in conversation.turns if turn.author == "customer")])
    turns = tuple(_masked_turn(turn, names) for turn in conversation.turns)
    safe = replace(conversation, address=hidden(conversation.address), turns=turns)
    return replace(
        found,
        conversation=safe,
        thumbs={turn: replace(one, comment=without_personal_data(one.comment, names)) for turn, one in found.thumbs.items()},
        calls=tuple(replace(one, arguments=_covered(one.arguments), reason="") for one in found.calls),
        summary=summarise(safe),
        undelivered=tuple(_masked_letter(one, names) for one in found.undelivered),
    )


def _masked_letter(one: StoredOutgoing, names: Collection[str]) -> StoredOutgoing:
    message = one.message
    return replace(one, message=replace(message, text=without_personal_data(message.text, names), recipient=hidden(message.recipient)))


def _masked_turn(turn: Turn, names: Collection[str]) -> Turn:
    reply = turn.reply
    return replace(turn, text=without_personal_data(turn.text, names), reply=None if reply is None else _masked_reply(reply, names))


def _masked_reply(reply: DeskReply, names: Collection[str]) -> DeskReply:
    """A reply without what a tool told of a customer; quotations of documents and suggested products stay."""
    cards = tuple(
        card if card.kind == "products" else replace(card, items=tuple(_covered(item) for item in card.items)) for card in reply.cards
    )
    cards = tuple(replace(card, title=without_personal_data(card.title, names)) for card in cards)
    call = None
    if reply.call is not None:
        call = replace(reply.call, arguments=_covered(reply.call.arguments), words=without_personal_data(reply.call.words, names))
    steps = {name: reply.facts[name] for name in ("step", "passed") if name in reply.facts}
    return replace(reply, text=without_personal_data(reply.text, names), cards=cards, call=call, facts=steps)


def _covered(facts: Mapping[str, Any]) -> dict[str, Any]:
    return dict.fromkeys(facts, HIDDEN)


def day_ago(days: int) -> float:
    """The beginning of the first of so many days, today (UTC) included, in seconds since 1970."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight.timestamp() - (days - 1) * 86_400.0
