"""The store of conversations: opens the database, reads and lists conversations, writes what people say, and deletes."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Literal

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from smidgen.core.conversations import DeskAnswer, DeskConversation, DeskReply, Facts, Masking, Status, Turn
from smidgen.core.errors import DataError
from smidgen.desk.store.codec import MOST_NAME, MOST_TEXT, clean, facts_text
from smidgen.desk.store.corrections import Corrections
from smidgen.desk.store.events import DeskEvents
from smidgen.desk.store.inbox import Inbox, check_name, first_seen, new_conversation
from smidgen.desk.store.outbox import VISIT, Outbox
from smidgen.desk.store.records import (
    AnsweredQuestion,
    ConversationFilter,
    ConversationHead,
    ConversationPage,
    TurnFeedback,
    Waiting,
)
from smidgen.desk.store.tables import (
    CONVERSATIONS,
    DESK_EVENTS,
    INBOX,
    OPINIONS,
    OUTBOX,
    PAIRS,
    SEEN,
    TURNS,
    ConversationChanged,
    ConversationError,
    ConversationMissing,
    prepare,
    url_of,
)
from smidgen.desk.store.turns import (
    ANSWERS_BY,
    MOST_TURNS,
    TURN,
    add_answer,
    add_event,
    add_outgoing,
    add_turn,
    asked_before,
    kept_words,
    read_conversation,
    turn_of,
)
from smidgen.store.database import Database

MOST_DAYS = 36_500
VISIT_SECONDS = 120.0
"""How long a person's answer waits for a visitor to read it on the site before it is mailed."""
REPEAT_DAYS = 30.0
"""How long a received message's id is remembered: no vendor sends one again after so long."""
_PATIENCE_SECONDS = 30.0
_MOST_PAGE = 200
_DAY = 86_400.0
_FIRST_WORDS = 200


@dataclass(frozen=True, slots=True)
class DeletedConversations:
    """How many conversations were deleted. `gone`: whether nothing of them is left in the database's files; None if that is unknown."""

    conversations: int
    gone: bool | None


class ConversationStore:
    """The conversations' database. Its methods may be called from several threads; several processes may open it.

    `inbox` has the received messages, `outbox` those to deliver, `events` what happened, `corrections` what a desk may learn. Each method
    raises ConversationError if the database fails, and ConversationMissing if there is no such conversation.

    Args:
        url: `sqlite:////folder/file.db` or `postgresql+psycopg://user:password@host/database`; else that of the environment's
            `SMIDGEN_CONVERSATIONS_URL`, else `conversations.db` in smidgen's home. A missing file is created.
        clock: seconds since 1970.
        masking: replaces customers' personal data in what is kept of messages and answers; None to keep all.
    """

    def __init__(self, url: str | None = None, clock: Callable[[], float] = time.time, masking: Masking | None = None) -> None:
        self.database = Database(url_of(url), "the conversations' database", ConversationError, _PATIENCE_SECONDS)
        self._clock, self._masking = clock, masking
        self.database.open()
        with self.database.writing() as connection:
            prepare(connection)
        self.inbox = Inbox(self.database, clock, masking)
        self.outbox = Outbox(self.database, clock, masking is not None)
        self.events = DeskEvents(self.database, clock)
        self.corrections = Corrections(self.database, clock)

    def __enter__(self) -> ConversationStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.database.close()

    def open_conversation(self, desk: str, channel: str, address: str = "", language: str = "") -> DeskConversation:
        """Begin a conversation of a channel that delivers replies itself, such as the widget. Its id is unguessable.

        Raises DataError for a name that is missing, too long or no valid text.
        """
        check_name("desk", desk)
        check_name("channel", channel)
        if address:
            check_name("address", address)
        id = secrets.token_urlsafe(18)
        row = new_conversation(id, desk, channel, id, address, clean(language, 20), self._clock())
        with self.database.writing() as connection:
            connection.execute(sql.insert(CONVERSATIONS).values(row))
        return DeskConversation(id, desk, channel, address, language=row["language"])

    def record(self, conversation: DeskConversation, message: str, answer: DeskAnswer | None, turn: str = "") -> DeskConversation:
        """Write a message and its answer; returns the conversation after it, the desk's turn last, with the words as they were said.

        Args:
            conversation: as it was when it was answered.
            message: the customer's words; empty if a button was pressed.
            answer: None if a person has the conversation: the desk says nothing.
            turn: the id of the customer's turn, unique in the store; empty for a fresh one.

        Raises ConversationChanged if the conversation went on meanwhile: read it and answer again.
        """
        kept = kept_words(self._masking, message, answer)
        with self.database.writing() as connection:
            self._lock_unchanged(connection, conversation)
            add_answer(connection, conversation.id, message, answer, self._clock(), None, turn, kept)
            found = read_conversation(connection, conversation.id)[0]
        if kept is None:
            return found
        said: list[tuple[str, DeskReply | None]] = [(message, None)] if message or answer is None else []
        said += [(answer.reply.text, answer.reply)] if answer is not None else []
        spoken = [replace(one, text=text, reply=reply) for one, (text, reply) in zip(found.turns[-len(said) :], said, strict=True)]
        return replace(found, turns=(*found.turns[: -len(said)], *spoken))

    def confirm(self, conversation: DeskConversation, words: str, turn: str) -> DeskConversation:
        """Write the customer's yes or no to a proposed call before the call runs: after a crash nobody runs it a second time.

        Returns the conversation after it. `turn` is the id of the customer's turn. Raises as `record` does.
        """
        with self.database.writing() as connection:
            self._lock_unchanged(connection, conversation)
            add_turn(connection, conversation.id, "customer", words, self._clock(), id=turn)
            return read_conversation(connection, conversation.id)[0]

    def conversation(self, id: str) -> DeskConversation:
        """A conversation with its last turns."""
        with self.database.reading() as connection:
            return read_conversation(connection, id)[0]

    def last_facts(self, id: str) -> Facts:
        """The facts of the customer's last message, as its channel gave them."""
        with self.database.reading() as connection:
            return read_conversation(connection, id)[2]

    def turns_after(self, conversation: str, turn: str) -> tuple[Turn, ...]:
        """The turns after the one with this id, the oldest first; all, if it is empty or unknown."""
        mine = TURNS.c.conversation == conversation
        number = sql.select(TURNS.c.number).where(mine, TURNS.c.id == turn).scalar_subquery()
        newer = sql.select(TURNS).where(mine, TURNS.c.number > sql.func.coalesce(number, 0)).order_by(TURNS.c.number).limit(MOST_TURNS)
        with self.database.reading() as connection:
            return tuple(turn_of(row) for row in connection.execute(newer))

    def conversations(self, where: ConversationFilter | None = None, offset: int = 0, limit: int = 50) -> ConversationPage:
        """How many conversations a filter leaves, and `limit` of them after the first `offset`, the last changed first."""
        wanted = _wanted(where or ConversationFilter())
        first = sql.select(TURNS.c.text).where(TURNS.c.conversation == CONVERSATIONS.c.id, TURNS.c.author == "customer")
        first_words = first.order_by(TURNS.c.number).limit(1).correlate(CONVERSATIONS).scalar_subquery()
        page = sql.select(CONVERSATIONS, first_words.label("first")).where(*wanted)
        page = page.order_by(CONVERSATIONS.c.changed.desc(), CONVERSATIONS.c.id)
        page = page.offset(max(0, offset)).limit(max(1, min(limit, _MOST_PAGE)))
        with self.database.reading() as connection:
            total = connection.scalar(sql.select(sql.func.count()).select_from(CONVERSATIONS).where(*wanted))
            return ConversationPage(int(total or 0), tuple(_head(row) for row in connection.execute(page)))

    def find_conversation(self, desk: str, channel: str, thread: str) -> list[str]:
        """The ids of a thread's conversations, one for each of its senders, the last changed first."""
        one = CONVERSATIONS.c
        mine = sql.select(one.id).where(one.desk == desk, one.channel == channel, one.thread == thread)
        with self.database.reading() as connection:
            return list(connection.scalars(mine.order_by(one.changed.desc()).limit(_MOST_PAGE)))

    def add_turn(
        self, conversation: str, text: str, by: str, *, deliver: bool = True, status: Status | None = None, external_id: str = ""
    ) -> Turn | None:
        """Write a person's answer, as a turn and as a message to deliver; with the question before it, it is a pair to learn from.

        Args:
            by: names the person.
            deliver: False if the customer has it already, because the person wrote in the vendor's own app.
            status: who answers next; None for no change.
            external_id: the vendor's id of the answer. None is returned for one that was written before.
        """
        if not text.strip() or len(text) > MOST_TEXT:
            raise DataError("desk.answer_is_empty_or_too_long", value=len(text), most_text=MOST_TEXT)
        now = self._clock()
        with self.database.writing() as connection:
            row = self._lock(connection, conversation)
            if external_id and not first_seen(connection, row.desk, row.channel, external_id, now):
                return None
            question = asked_before(connection, conversation)
            turn = add_turn(connection, conversation, "person", text, now, by=by)
            if status is not None:
                connection.execute(sql.update(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation).values(status=status))
            if deliver:
                self._send_answer(connection, row, text, turn, question, now)
            if question:
                pair = {
                    "desk": row.desk,
                    "conversation": conversation,
                    "turn": turn,
                    "question": question,
                    "answer": clean(text),
                    "time": now,
                }
                connection.execute(sql.insert(PAIRS).values(pair))
            return turn_of(connection.execute(sql.select(TURNS).where(TURNS.c.id == turn)).one())

    def leave_address(self, conversation: str, channel: str, address: str) -> None:
        """Write down where a visitor of a site gets people's answers once the visit is over: an e-mail channel, and the address."""
        check_name("channel", channel)
        check_name("address", address)
        facts = facts_text({"mail_channel": channel, "mail": address}, "the facts of a conversation")
        with self.database.writing() as connection:
            self._lock(connection, conversation)
            connection.execute(sql.update(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation).values(facts=facts))

    def _send_answer(self, connection: Connection, row: Any, text: str, turn: str, question: str, now: float) -> None:
        """Let a person's answer be delivered. A visitor of a site who left an address gets it by mail, unless they read it before."""
        stored = read_conversation(connection, row.id)[2]
        if row.thread != row.id:
            add_outgoing(connection, row, text, now, None, row.subject, {**stored, TURN: turn})
        elif stored.get("mail") and stored.get("mail_channel"):
            facts: dict[str, Any] = {VISIT: turn, "asked": question, "language": row.language}
            by_mail = stored.get(ANSWERS_BY)
            if by_mail:  # the visitor has left the site, and answers the mails
                facts = {name: stored[name] for name in ("message_id", "references") if name in stored}
            place = {"channel": str(stored["mail_channel"]), "recipient": str(stored["mail"]), "thread": mail_thread(row.id)}
            add_outgoing(connection, row, text, now, None, "", {**facts, TURN: turn}, now if by_mail else now + VISIT_SECONDS, **place)

    def set_status(self, conversation: str, status: Status) -> None:
        """Say who answers next: the desk, a person, or nobody."""
        with self.database.writing() as connection:
            self._lock(connection, conversation)
            connection.execute(sql.update(CONVERSATIONS).where(CONVERSATIONS.c.id == conversation).values(status=status))

    def give_feedback(self, conversation: str, turn: str, verdict: Literal["up", "down"], comment: str = "") -> None:
        """Store a customer's thumb on one of the desk's turns; a later one replaces it.

        Raises ConversationMissing if the conversation has no such turn of the desk.
        """
        now, comment = self._clock(), self._masking.text(comment) if self._masking is not None and comment else comment
        with self.database.writing() as connection:
            mine = sql.select(TURNS.c.id).where(TURNS.c.id == turn, TURNS.c.conversation == conversation, TURNS.c.author == "desk")
            if connection.scalar(mine) is None:
                raise ConversationMissing("desk.conversation_has_no_such_turn", value=turn)
            row = self._lock(connection, conversation)
            said = {"verdict": verdict, "comment": clean(comment, MOST_TEXT), "time": now}
            if not connection.execute(sql.update(OPINIONS).where(OPINIONS.c.turn == turn).values(said)).rowcount:
                connection.execute(sql.insert(OPINIONS).values(turn=turn, conversation=conversation, **said))
            body = {"channel": row.channel, "turn": turn, "verdict": verdict, "comment": said["comment"]}
            add_event(connection, row.desk, "feedback", conversation, now, body)

    def feedback(self, conversation: str) -> list[TurnFeedback]:
        """The customer's thumbs in a conversation."""
        mine = sql.select(OPINIONS).where(OPINIONS.c.conversation == conversation).order_by(OPINIONS.c.time)
        with self.database.reading() as connection:
            rows = connection.execute(mine).all()
        return [TurnFeedback(row.turn, row.conversation, row.verdict, row.comment, row.time) for row in rows]

    def pairs(self, desk: str, after: int = 0, limit: int = 1_000) -> list[AnsweredQuestion]:
        """Questions that a person answered, after the one with this number, the oldest first."""
        chosen = sql.select(PAIRS).where(PAIRS.c.desk == desk, PAIRS.c.number > after).order_by(PAIRS.c.number)
        with self.database.reading() as connection:
            rows = connection.execute(chosen.limit(max(1, min(limit, 10_000)))).all()
        return [AnsweredQuestion(row.number, row.desk, row.conversation, row.question, row.answer, row.time) for row in rows]

    def waiting(self) -> Waiting:
        """How much waits, and how much could not be delivered."""
        incoming, oldest = self.inbox.waiting()
        events = self.events
        return Waiting(incoming, self.outbox.waiting(), events.waiting(), self.outbox.dead_count(), events.dead_count(), oldest)

    def delete(self, conversation: str) -> DeletedConversations:
        """Delete a conversation with its turns, its messages, its events and its pairs."""
        return self._delete(CONVERSATIONS.c.id == conversation)

    def delete_address(self, channel: str, address: str) -> DeletedConversations:
        """Delete all that was said with one customer of a channel."""
        return self._delete(CONVERSATIONS.c.channel == channel, CONVERSATIONS.c.address == address)

    def delete_older(self, days: float) -> DeletedConversations:
        """Delete conversations that did not change for so many days. One with a message that waits stays.

        Raises DataError if the days are out of range.
        """
        if not 0 <= days <= MOST_DAYS:
            raise DataError("desk.days_is_out_of_range", value=days, most_days=MOST_DAYS)
        now = self._clock()
        before = now - days * _DAY
        waits = [sql.exists().where(table.c.conversation == CONVERSATIONS.c.id, table.c.state == "waiting") for table in (INBOX, OUTBOX)]
        done = self._delete(CONVERSATIONS.c.changed < before, *(sql.not_(one) for one in waits))
        with self.database.writing() as connection:
            connection.execute(sql.delete(SEEN).where(SEEN.c.time < now - max(days, REPEAT_DAYS) * _DAY))
            old = (DESK_EVENTS.c.conversation.is_(None), DESK_EVENTS.c.time < before, DESK_EVENTS.c.sorted == 1)
            connection.execute(sql.delete(DESK_EVENTS).where(*old))
        return done

    def _delete(self, *wanted: sql.ColumnElement[bool]) -> DeletedConversations:
        with self.database.writing() as connection:
            number = connection.execute(sql.delete(CONVERSATIONS).where(*wanted)).rowcount
        tables = [table.name for table in CONVERSATIONS.metadata.sorted_tables]
        return DeletedConversations(number, self.database.scrub(tables) if number else True)

    def _lock_unchanged(self, connection: Connection, conversation: DeskConversation) -> None:
        """Lock a conversation. Raises ConversationChanged if it is not as it was read."""
        self._lock(connection, conversation.id)
        stored, _, _ = read_conversation(connection, conversation.id)
        known = conversation.turns[-1].id if conversation.turns else ""
        if known != (stored.turns[-1].id if stored.turns else "") or stored.status != conversation.status:
            raise ConversationChanged("desk.conversation_went_on_meanwhile", value=conversation.id)

    def _lock(self, connection: Connection, id: str) -> Any:
        row = connection.execute(sql.select(CONVERSATIONS).where(CONVERSATIONS.c.id == id).with_for_update()).one_or_none()
        if row is None:
            raise ConversationMissing("desk.conversation_is_not_stored", value=id[:MOST_NAME])
        return row


def _wanted(where: ConversationFilter) -> list[sql.ColumnElement[bool]]:
    one = CONVERSATIONS.c
    wanted: list[sql.ColumnElement[bool]] = []
    exact = ((one.desk, where.desk), (one.channel, where.channel), (one.status, where.status), (one.outcome, where.outcome))
    wanted += [column == value for column, value in exact if value]
    if where.since is not None:
        wanted.append(one.changed >= where.since)
    if where.thumb is not None:
        wanted.append(sql.exists().where(OPINIONS.c.conversation == one.id, OPINIONS.c.verdict == where.thumb))
    if where.text:
        said = sql.func.lower(TURNS.c.text).contains(where.text[:MOST_NAME].lower(), autoescape=True)
        wanted.append(sql.exists().where(TURNS.c.conversation == one.id, said))
    return wanted


def _head(row: Any) -> ConversationHead:
    first = " ".join((row.first or "").split())[:_FIRST_WORDS]
    facts = (row.id, row.desk, row.channel, row.address, row.subject, row.language, row.status, row.outcome)
    return ConversationHead(*facts, row.turns, row.created, row.changed, first)


def mail_thread(conversation: str) -> str:
    """The thread of the mails to a visitor, whose conversation it does not give away."""
    return hashlib.sha256(conversation.encode()).hexdigest()[:20]
