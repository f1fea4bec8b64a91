"""Read and write a conversation's turns, within a transaction of its caller."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from smidgen.core.conversations import WANTED_PERSON, DeskAnswer, DeskConversation, DeskReply, Facts, IncomingMessage, Masking, Turn
from smidgen.desk.store.codec import MOST_NAME, MOST_TEXT, clean, facts_text, reply_from_json, reply_text
from smidgen.desk.store.records import EventKind, event_of
from smidgen.desk.store.tables import CONVERSATIONS, DESK_EVENTS, OUTBOX, TURNS, ConversationMissing

MOST_TURNS = 200
"""Most turns of a conversation that are read at once: the last ones."""


@dataclass(frozen=True, slots=True)
class KeptWords:
    """The words of a message and its answer that are kept: without personal data."""

    text: str
    answer: DeskAnswer | None


def kept_words(masking: Masking | None, text: str, answer: DeskAnswer | None) -> KeptWords | None:
    """The words of a message and its answer that are kept; None for all of them."""
    if masking is None:
        return None
    return KeptWords(masking.text(text) if text else "", masking.answer(answer) if answer is not None else None)


_MOST_LOOKED_BACK = 20
TURN = "turn"
"""The fact of an outgoing message: the turn whose words it carries."""
ANSWERS_BY = "answers_by"
"""The fact of a message that came by another channel than its conversation: the `channel`, `thread` and `recipient` of its answer."""


def insert_new(connection: Connection, table: sql.Table) -> Any:
    """An insertion that skips a row that is there already."""
    from sqlalchemy.dialects import postgresql, sqlite

    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table).on_conflict_do_nothing()


def read_conversation(connection: Connection, id: str) -> tuple[DeskConversation, str, Facts]:
    """A conversation with its last turns, its thread, and the facts of the customer's last message.

    Raises ConversationMissing if it is not stored.
    """
    row = connection.execute(sql.select(CONVERSATIONS).where(CONVERSATIONS.c.id == id)).one_or_none()
    if row is None:
        raise ConversationMissing("desk.conversation_is_not_in_list", value=id)
    newest = sql.select(TURNS).where(TURNS.c.conversation == id).order_by(TURNS.c.number.desc()).limit(MOST_TURNS)
    turns = tuple(turn_of(one) for one in reversed(connection.execute(newest).all()))
    state = json.loads(row.state)
    conversation = DeskConversation(row.id, row.desk, row.channel, row.address, turns, state, row.status, row.language)
    return conversation, row.thread, json.loads(row.facts)


def asked_before(connection: Connection, conversation: str, number: int | None = None) -> str:
    """The customer's last question before a turn with this number, or of all; empty if a person has spoken since.

    A message that only answers the desk (a yes, an order number it asked for), or only wants a person, is none if there is one before it.
    """
    mine = [TURNS.c.conversation == conversation, *([TURNS.c.number < number] if number is not None else [])]
    newest = sql.select(TURNS).where(*mine).order_by(TURNS.c.number.desc()).limit(_MOST_LOOKED_BACK)
    found, last = "", ""
    after: DeskReply | None = None
    for turn in map(turn_of, connection.execute(newest).all()):
        if turn.author == "person" or (found and turn.author == "customer"):
            break
        if turn.author == "customer":
            last = last or turn.text
            found = "" if after is not None and after.facts.get("handed_over") in WANTED_PERSON else turn.text
            after = None
            continue
        after = turn.reply
        if found and after is not None and after.outcome in ("asked", "proposed"):
            found = ""
        elif found:
            break
    return found or last


def turn_of(row: Any) -> Turn:
    """The turn of a row."""
    reply = reply_from_json(json.loads(row.reply)) if row.reply else None
    return Turn(row.author, row.text, datetime.fromtimestamp(row.time, UTC), row.id, reply)


def add_turn(
    connection: Connection,
    conversation: str,
    author: str,
    text: str,
    now: float,
    reply: DeskReply | None = None,
    by: str = "",
    id: str = "",
) -> str:
    """Write a turn at the end of a conversation; returns its id. The conversation's row must be locked, or its only writer this one."""
    id = id or secrets.token_hex(12)
    mine = CONVERSATIONS.c.id == conversation
    more: dict[str, Any] = {"turns": CONVERSATIONS.c.turns + 1, "changed": now}
    if reply is not None:
        more["outcome"] = reply.outcome
    connection.execute(sql.update(CONVERSATIONS).where(mine).values(more))
    number = connection.scalar(sql.select(CONVERSATIONS.c.turns).where(mine))
    values = {"id": id, "conversation": conversation, "number": number, "author": author, "text": clean(text, MOST_TEXT), "time": now}
    told = None if reply is None else reply_text(reply)
    connection.execute(sql.insert(TURNS).values(**values, reply=told, by=clean(by, MOST_NAME)))
    return id


def add_answer(
    connection: Connection,
    conversation: str,
    text: str,
    answer: DeskAnswer | None,
    now: float,
    message: IncomingMessage | None,
    turn_id: str = "",
    kept: KeptWords | None = None,
) -> None:
    """Write a customer's message, and the desk's answer to it with the state, the message to deliver and the event.

    Args:
        text: the message; empty if the customer wrote none, but pressed a button.
        answer: None if only a person answers.
        message: the message that the answer is delivered to; None if the channel delivers it itself.
        turn_id: the id of the customer's turn; empty for a fresh one.
        kept: what is kept of both, if it is something else than what was said.
    """
    said = answer
    if kept is not None:
        text, answer = kept.text, kept.answer
    row = connection.execute(sql.select(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation)).one()
    if text or answer is None:
        add_turn(connection, conversation, "customer", text, now, id=turn_id)
    about: dict[str, Any] = {"channel": row.channel, "question": clean(text, MOST_TEXT)}
    if answer is None:
        add_event(connection, row.desk, "customer_wrote", conversation, now, about)
        return
    reply = answer.reply
    turn = add_turn(connection, conversation, "desk", reply.text, now, reply)
    after = {"state": facts_text(answer.state, "the state of a conversation"), "status": answer.status}
    connection.execute(sql.update(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation).values(after))
    if message is not None and said is not None and said.reply.text:
        facts, place = {**message.facts, TURN: turn}, message.facts.get(ANSWERS_BY, {})
        add_outgoing(connection, row, said.reply.text, now, said.reply, message.subject, facts, **place)
    kind = event_of(reply)
    if kind is not None:
        told = {
            "turn": turn,
            "outcome": reply.outcome,
            "answer": clean(reply.text, MOST_TEXT),
            "intent": reply.intent,
            "member": reply.member,
        }
        sources = [{"document": one.document, "title": one.title, "url": one.url} for one in reply.citations[:20]]
        add_event(connection, row.desk, kind, conversation, now, {**about, **told, "score": reply.score, "citations": sources})


def add_outgoing(
    connection: Connection,
    conversation: Any,
    text: str,
    now: float,
    reply: DeskReply | None,
    subject: str,
    facts: Facts,
    after: float = 0.0,
    **other: str,
) -> str:
    """Write a message to deliver to the customer of a conversation's row; returns its id.

    Args:
        after: not before this time.
        other: another `channel`, `thread` and `recipient` than the conversation's own.
    """
    id = secrets.token_hex(12)
    place = {"conversation": conversation.id, "desk": conversation.desk, "channel": conversation.channel, "thread": conversation.thread}
    said = {"text": clean(text, MOST_TEXT), "reply": None if reply is None else reply_text(reply), "subject": clean(subject, MOST_NAME)}
    stored = {"id": id, **place, "recipient": conversation.address, **other, **said, "facts": facts_text(facts, "the facts of a message")}
    fresh = {"state": "waiting", "attempts": 0, "after": after, "holder": "", "leased": 0.0, "vendor_id": "", "error": "", "doubt": 0}
    connection.execute(sql.insert(OUTBOX).values(**stored, **fresh, created=now, ended=None))
    return id


def add_event(connection: Connection, desk: str, kind: EventKind, conversation: str | None, now: float, body: Facts) -> str:
    """Write an event; returns its id."""
    id = f"evt_{secrets.token_hex(12)}"
    values = {"id": id, "desk": desk, "kind": kind, "conversation": conversation, "time": now, "body": facts_text(body, "an event")}
    connection.execute(sql.insert(DESK_EVENTS).values(**values, sorted=0))
    return id
