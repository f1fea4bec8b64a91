"""The inbox: received messages, until each is answered once.

A message is on the disk before its vendor is told that it was received. One worker at a time has a conversation, and takes its messages in
their order. The answer is written in one transaction with all that follows from it: turns, state, the message to deliver, the event.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from smidgen.core.conversations import DeskAnswer, IncomingMessage, Masking
from smidgen.core.errors import DataError
from smidgen.desk.store.codec import MOST_NAME, MOST_TEXT, clean, facts_text
from smidgen.desk.store.records import Receipt, TakenMessage
from smidgen.desk.store.tables import CONVERSATIONS, INBOX, OUTBOX, SEEN
from smidgen.desk.store.turns import ANSWERS_BY, add_answer, insert_new, kept_words, read_conversation
from smidgen.store.database import Database

MOST_WAITING = 200
"""Most messages of one conversation that wait at once."""
MOST_LEASE = 3_600.0
_TRIED = 8


class Inbox:
    """The inbox. Its methods may be called from several threads and processes. Each raises ConversationError if the database fails."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time, masking: Masking | None = None) -> None:
        self._database, self._clock, self._masking = database, clock, masking

    def receive(self, message: IncomingMessage, desk: str) -> Receipt:
        """Store a message, on the disk when this returns. Raises DataError for one whose names are missing or too long."""
        values = _values(message, desk)
        now = self._clock()
        mine = _thread(message, desk)
        with self._database.writing() as connection:
            known = sql.select(CONVERSATIONS.c.id, CONVERSATIONS.c.status, CONVERSATIONS.c.facts)
            found = connection.execute(known.where(mine)).one_or_none()
            if found is None and (mailed := _mailed(connection, message, desk)):
                found = connection.execute(known.where(CONVERSATIONS.c.id == mailed)).one()
                place = {"channel": message.channel, "thread": message.thread, "recipient": message.sender}
                told = {**json.loads(found.facts), **message.facts, ANSWERS_BY: place}
                values["facts"] = facts_text(told, "the facts of a message")
            if found is not None and _waiting(connection, found.id) >= MOST_WAITING:
                seen = sql.select(SEEN.c.hash).where(SEEN.c.hash == _hash(desk, message.channel, message.external_id))
                return "repeated" if connection.scalar(seen) is not None else "refused"
            if not first_seen(connection, desk, message.channel, message.external_id, now):
                return "repeated"
            if found is None:
                connection.execute(insert_new(connection, CONVERSATIONS).values(_new_conversation(message, desk, now)))
                found = connection.execute(known.where(mine)).one()
            # a closed conversation opens again when its customer writes
            status = "open" if found.status == "closed" else found.status
            changed = {"status": status, "changed": now, "subject": values["subject"], "facts": values["facts"]}
            connection.execute(sql.update(CONVERSATIONS).where(CONVERSATIONS.c.id == found.id).values(changed))
            stored = {**values, "id": secrets.token_hex(12), "conversation": found.id, "received": now, "state": "waiting"}
            connection.execute(sql.insert(INBOX).values(**stored, attempts=0, after=0.0, deciding="", error=""))
        return "received"

    def take(self, seconds: float, desk: str = "") -> TakenMessage | None:
        """Take the oldest message whose conversation nobody works on, and hold the conversation for some seconds; None if there is none.

        desk: only messages of this desk; empty for any.
        """
        if not 0 < seconds <= MOST_LEASE:
            raise DataError("desk.lease_is_out_of_range", value=seconds, most_lease=f"{MOST_LEASE:.0f}")
        now = self._clock()
        with self._database.reading() as connection:
            waiting = list(connection.scalars(_candidates(now, desk)))
        if not waiting:
            return None
        holder = secrets.token_hex(8)
        with self._database.writing() as connection:
            for id in waiting:
                free = sql.and_(CONVERSATIONS.c.id == id, CONVERSATIONS.c.leased <= now)
                held = sql.update(CONVERSATIONS).where(free).values(holder=holder, leased=now + seconds)
                if not connection.execute(held).rowcount:
                    continue
                first = sql.select(INBOX).where(INBOX.c.conversation == id, INBOX.c.state == "waiting").order_by(INBOX.c.number).limit(1)
                row = connection.execute(first).one_or_none()
                if row is None or row.after > now:  # another worker was faster
                    connection.execute(sql.update(CONVERSATIONS).where(CONVERSATIONS.c.id == id).values(holder="", leased=0.0))
                    continue
                connection.execute(sql.update(INBOX).where(INBOX.c.number == row.number).values(attempts=row.attempts + 1))
                return _taken(connection, row, holder, now)
        return None

    def finish(self, taken: TakenMessage, answer: DeskAnswer | None) -> bool:
        """Write the answer to a message, and all that follows from it, and release the conversation. None: nobody answers it but a person.

        Returns False, and writes nothing, if another worker has the conversation by now. If a person took the conversation over meanwhile,
        the customer's words are written and the answer is not.
        """
        now = self._clock()
        kept = kept_words(self._masking, taken.message.text, answer)
        with self._database.writing() as connection:
            row = self._held(connection, taken)
            if row is None:
                return False
            if row.status == "with_person" and taken.conversation.status != "with_person":
                answer = None
                kept = replace(kept, answer=None) if kept is not None else None
            add_answer(connection, taken.conversation.id, taken.message.text, answer, now, taken.message, kept=kept)
            text = {} if kept is None else {"text": clean(kept.text, MOST_TEXT)}
            done = sql.update(INBOX).where(INBOX.c.id == taken.id).values(state="done", error="", **text)
            connection.execute(done)
            self._release(connection, taken)
        return True

    def retry(self, taken: TakenMessage, after: float, why: str) -> bool:
        """Let a message wait for some seconds before another attempt. Later ones of its conversation wait behind it. False as `finish`."""
        with self._database.writing() as connection:
            if self._held(connection, taken) is None:
                return False
            later = {"after": self._clock() + max(0.0, after), "error": clean(why, MOST_NAME)}
            connection.execute(sql.update(INBOX).where(INBOX.c.id == taken.id).values(later))
            self._release(connection, taken)
        return True

    def release(self, taken: TakenMessage) -> None:
        """Give a message back untouched: this attempt does not count."""
        with self._database.writing() as connection:
            if self._held(connection, taken) is not None:
                fewer = sql.update(INBOX).where(INBOX.c.id == taken.id, INBOX.c.attempts > 0).values(attempts=INBOX.c.attempts - 1)
                connection.execute(fewer)
                self._release(connection, taken)

    def deciding(self, taken: TakenMessage, call: str) -> bool:
        """Write down that a confirmed call begins, before it runs. After a crash nobody runs it a second time. False as `finish`."""
        with self._database.writing() as connection:
            if self._held(connection, taken) is None:
                return False
            connection.execute(sql.update(INBOX).where(INBOX.c.id == taken.id).values(deciding=clean(call, MOST_NAME)))
        return True

    def waiting(self) -> tuple[int, float]:
        """How many messages wait, and for how many seconds the oldest has."""
        counted = sql.select(sql.func.count(), sql.func.min(INBOX.c.received)).where(INBOX.c.state == "waiting")
        with self._database.reading() as connection:
            number, oldest = connection.execute(counted).one()
        return int(number), max(0.0, self._clock() - oldest) if oldest is not None else 0.0

    def _held(self, connection: Connection, taken: TakenMessage) -> Any:
        """The conversation's row, if the worker still has it and the message still waits."""
        one = CONVERSATIONS.c
        mine = sql.select(one.id, one.status).where(one.id == taken.conversation.id, one.holder == taken.holder).with_for_update()
        row = connection.execute(mine).one_or_none()
        waits = sql.select(INBOX.c.id).where(INBOX.c.id == taken.id, INBOX.c.state == "waiting")
        return row if row is not None and connection.scalar(waits) is not None else None

    def _release(self, connection: Connection, taken: TakenMessage) -> None:
        free = sql.update(CONVERSATIONS).where(CONVERSATIONS.c.id == taken.conversation.id).values(holder="", leased=0.0)
        connection.execute(free)


def _candidates(now: float, desk: str) -> sql.Select[Any]:
    """Conversations with a message that may be taken, the one that waits longest first."""
    earlier = INBOX.alias()
    before = sql.exists().where(
        earlier.c.conversation == INBOX.c.conversation, earlier.c.state == "waiting", earlier.c.number < INBOX.c.number
    )
    wanted = [INBOX.c.state == "waiting", INBOX.c.after <= now, CONVERSATIONS.c.leased <= now, sql.not_(before)]
    if desk:
        wanted.append(INBOX.c.desk == desk)
    joined = INBOX.join(CONVERSATIONS, CONVERSATIONS.c.id == INBOX.c.conversation)
    return sql.select(INBOX.c.conversation).select_from(joined).where(*wanted).order_by(INBOX.c.number).limit(_TRIED)


def _taken(connection: Connection, row: Any, holder: str, now: float) -> TakenMessage:
    conversation, thread, _ = read_conversation(connection, row.conversation)
    message = IncomingMessage(
        conversation.channel, row.external_id, thread, conversation.address, row.text, row.subject, row.attachments, json.loads(row.facts)
    )
    return TakenMessage(row.id, holder, row.desk, message, conversation, row.attempts + 1, row.deciding, max(0.0, now - row.received))


def _thread(message: IncomingMessage, desk: str) -> sql.ColumnElement[bool]:
    one = CONVERSATIONS.c
    mine = (one.desk == desk, one.channel == message.channel, one.thread == message.thread, one.address == message.sender)
    return sql.and_(*mine)


def _mailed(connection: Connection, message: IncomingMessage, desk: str) -> str:
    """The conversation that a message answers a mail of, to this sender: that of a visitor who left an address. Empty if there is none."""
    one = OUTBOX.c
    mine = sql.select(one.conversation).where(one.desk == desk, one.channel == message.channel, one.thread == message.thread)
    mine = mine.where(sql.func.lower(one.recipient) == message.sender.lower()).order_by(one.number.desc()).limit(1)
    return str(connection.scalar(mine) or "")


def _waiting(connection: Connection, conversation: str) -> int:
    counted = sql.select(sql.func.count()).select_from(INBOX).where(INBOX.c.conversation == conversation, INBOX.c.state == "waiting")
    return int(connection.scalar(counted) or 0)


def first_seen(connection: Connection, desk: str, channel: str, external_id: str, now: float) -> bool:
    """Whether a vendor's id comes for the first time; it is remembered."""
    # An insertion's row count is unknown on PostgreSQL; what it returns is not.
    new = insert_new(connection, SEEN).values(hash=_hash(desk, channel, external_id), time=now).returning(SEEN.c.hash)
    return connection.scalar(new) is not None


def _hash(desk: str, channel: str, external_id: str) -> str:
    return hashlib.sha256(json.dumps([desk, channel, external_id]).encode()).hexdigest()


def _new_conversation(message: IncomingMessage, desk: str, now: float) -> dict[str, Any]:
    language = message.facts.get("language", "")
    return new_conversation(secrets.token_urlsafe(18), desk, message.channel, message.thread, message.sender, str(language)[:20], now)


def new_conversation(id: str, desk: str, channel: str, thread: str, address: str, language: str, now: float) -> dict[str, Any]:
    """The row of a new conversation."""
    names = {"id": id, "desk": desk, "channel": channel, "thread": thread, "address": address, "language": language}
    empty = {"subject": "", "status": "open", "state": "{}", "facts": "{}", "turns": 0, "outcome": "", "holder": "", "leased": 0.0}
    return {**names, **empty, "created": now, "changed": now}


def _values(message: IncomingMessage, desk: str) -> dict[str, Any]:
    names = {"desk": desk, "channel": message.channel, "external_id": message.external_id, "thread": message.thread}
    for name, value in {**names, "sender": message.sender}.items():
        check_name(name, value)
    return {
        "desk": desk,
        "external_id": message.external_id,
        "text": clean(message.text, MOST_TEXT),
        "subject": clean(message.subject, MOST_NAME),
        "attachments": max(0, min(message.attachments, 10_000)),
        "facts": facts_text(message.facts, "the facts of a message"),
    }


def check_name(name: str, value: str) -> None:
    """Raise DataError for a name that is empty, too long, or no valid text."""
    if not value or len(value) > MOST_NAME or clean(value) != value:
        raise DataError("desk.message_lacks_valid_name", value=value[:80], name=name, most_name=MOST_NAME)
