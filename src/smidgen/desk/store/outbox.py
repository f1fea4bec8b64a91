"""The outbox: messages to deliver, until the vendor has each one, or it is a dead letter that people see."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Collection
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Connection

from smidgen.core.conversations import OutgoingMessage
from smidgen.core.errors import DataError
from smidgen.desk.store.codec import MOST_NAME, clean, reply_from_json
from smidgen.desk.store.inbox import MOST_LEASE
from smidgen.desk.store.records import StoredOutgoing, TakenOutgoing
from smidgen.desk.store.tables import CONVERSATIONS, OUTBOX, TURNS, ConversationMissing
from smidgen.desk.store.turns import TURN, add_event
from smidgen.store.database import Database

VISIT = "visit"
"""The fact of a mail to a visitor of a site: the turn that it carries."""
_GONE: dict[str, Any] = {"text": "", "reply": None, "subject": ""}
"""The words of a delivered message: what is kept of them is in the turns."""
_TRIED = 8
_MOST_LISTED = 1_000


class Outbox:
    """The outbox. Its methods may be called from several threads and processes. Each raises ConversationError if the database fails.

    The words of a message are gone once it is delivered. If its vendor then says that it could not deliver it, they are taken from its
    turn, unless `masked`: the turns lack personal data then, and nobody may be sent placeholders.
    """

    def __init__(self, database: Database, clock: Callable[[], float] = time.time, masked: bool = False) -> None:
        self._database, self._clock, self._masked = database, clock, masked

    def take(self, seconds: float, desk: str = "", skip: Collection[str] = ()) -> TakenOutgoing | None:
        """Take the oldest message that may be sent now, and hold it for some seconds; None if there is none.

        Messages of one conversation go out in their order, one at a time.

        Args:
            desk: only those of this desk; empty for any.
            skip: channels that take nothing now.
        """
        if not 0 < seconds <= MOST_LEASE:
            raise DataError("desk.lease_is_out_of_range", value=seconds, most_lease=f"{MOST_LEASE:.0f}")
        now = self._clock()
        with self._database.reading() as connection:
            waiting = list(connection.scalars(_candidates(now, desk, skip)))
        if not waiting:
            return None
        holder = secrets.token_hex(8)
        with self._database.writing() as connection:
            for number in waiting:
                free = sql.and_(OUTBOX.c.number == number, OUTBOX.c.state == "waiting", OUTBOX.c.leased <= now, OUTBOX.c.after <= now)
                # A worker that held it and let its time run out may have sent it.
                doubt = sql.case((OUTBOX.c.holder != "", 1), else_=OUTBOX.c.doubt)
                held = {"holder": holder, "leased": now + seconds, "attempts": OUTBOX.c.attempts + 1, "doubt": doubt}
                if connection.execute(sql.update(OUTBOX).where(free).values(held)).rowcount:
                    row = connection.execute(sql.select(OUTBOX).where(OUTBOX.c.number == number)).one()
                    return TakenOutgoing(_message(row), row.desk, row.conversation, holder, row.attempts, bool(row.doubt))
        return None

    def delivered(self, taken: TakenOutgoing, vendor_id: str = "") -> bool:
        """Write down that the vendor has a message, and forget its words. False if it was written down before."""
        done = {"state": "delivered", "vendor_id": clean(vendor_id, MOST_NAME), "error": "", **_GONE}
        return self._end(taken, done)

    def seen(self, conversation: str, turns: Collection[str]) -> int:
        """Take back the mails that carry these turns, because the visitor has read them on the site; returns how many."""
        waiting = sql.select(OUTBOX.c.id, OUTBOX.c.facts).where(OUTBOX.c.conversation == conversation, OUTBOX.c.state == "waiting")
        with self._database.reading() as connection:
            found = [row.id for row in connection.execute(waiting.limit(_MOST_LISTED)) if json.loads(row.facts).get(VISIT) in turns]
        if not found:
            return 0
        done = {"state": "delivered", "vendor_id": "read on the site", "ended": self._clock(), "holder": "", "leased": 0.0, **_GONE}
        mine = sql.and_(OUTBOX.c.id.in_(found), OUTBOX.c.state == "waiting")
        with self._database.writing() as connection:
            return connection.execute(sql.update(OUTBOX).where(mine).values(done)).rowcount

    def arrived(self, channel: str, id: str, vendor_id: str) -> bool:
        """Write down that the vendor told us by itself that it has a message. False if nobody doubts it: it waits no more."""
        mine = sql.and_(OUTBOX.c.id == id, OUTBOX.c.channel == channel, OUTBOX.c.state == "waiting", OUTBOX.c.attempts > 0)
        done = {
            "state": "delivered",
            "vendor_id": clean(vendor_id, MOST_NAME),
            "error": "",
            "ended": self._clock(),
            "holder": "",
            "leased": 0.0,
            **_GONE,
        }
        with self._database.writing() as connection:
            return connection.execute(sql.update(OUTBOX).where(mine).values(done)).rowcount > 0

    def retry(self, taken: TakenOutgoing, after: float, why: str, doubt: bool = False) -> bool:
        """Let a message wait for some seconds before another attempt. False if another worker has it by now.

        doubt: the vendor may have it, because its answer did not come.
        """
        later: dict[str, Any] = {"after": self._clock() + max(0.0, after), "error": clean(why, MOST_NAME), "holder": "", "leased": 0.0}
        if doubt:
            later["doubt"] = 1
        mine = sql.and_(OUTBOX.c.id == taken.message.id, OUTBOX.c.state == "waiting", OUTBOX.c.holder == taken.holder)
        with self._database.writing() as connection:
            return connection.execute(sql.update(OUTBOX).where(mine).values(later)).rowcount > 0

    def bury(self, taken: TakenOutgoing, why: str) -> bool:
        """Make a message that cannot be delivered a dead letter: people see it, and it is never dropped. False if it was delivered.

        It is an event too.
        """
        return self._end(taken, {"state": "dead", "error": clean(why, MOST_NAME)})

    def failed_late(self, channel: str, vendor_id: str, why: str) -> bool:
        """Make a message a dead letter that its vendor took and could not deliver. False if there is no such delivered message."""
        mine = sql.and_(OUTBOX.c.channel == channel, OUTBOX.c.vendor_id == vendor_id, OUTBOX.c.state == "delivered")
        with self._database.writing() as connection:
            row = connection.execute(sql.select(OUTBOX).where(mine).limit(1)).one_or_none() if vendor_id else None
            if row is None:
                return False
            words = {} if self._masked or row.text else _words_of(connection, row)
            dead = {"state": "dead", "error": clean(why, MOST_NAME), "ended": self._clock(), **words}
            connection.execute(sql.update(OUTBOX).where(OUTBOX.c.number == row.number).values(dead))
            self._tell(connection, row.id, str(dead["error"]))
        return True

    def send_again(self, id: str) -> None:
        """Put a dead letter back among the messages that wait. Raises ConversationMissing if there is none with this id, or if its words
        are gone."""
        fresh = {"state": "waiting", "attempts": 0, "after": 0.0, "holder": "", "leased": 0.0, "ended": None, "doubt": 0}
        dead = sql.and_(OUTBOX.c.id == id, OUTBOX.c.state == "dead")
        with self._database.writing() as connection:
            if connection.scalar(sql.select(OUTBOX.c.text).where(dead)) == "":
                raise ConversationMissing("desk.message_words_were_not_kept", value=id)
            if not connection.execute(sql.update(OUTBOX).where(dead).values(fresh)).rowcount:
                raise ConversationMissing("desk.message_is_no_dead_letter", value=id)

    def drop(self, id: str) -> None:
        """Delete a dead letter for good, because a person said so. Raises ConversationMissing if there is none with this id."""
        dead = sql.and_(OUTBOX.c.id == id, OUTBOX.c.state == "dead")
        with self._database.writing() as connection:
            if not connection.execute(sql.delete(OUTBOX).where(dead)).rowcount:
                raise ConversationMissing("desk.message_is_no_dead_letter", value=id)

    def dead(self, desk: str = "", limit: int = 100) -> list[StoredOutgoing]:
        """Dead letters, the newest first."""
        return self._listed([OUTBOX.c.state == "dead"], desk, limit)

    def of_conversation(self, conversation: str) -> list[StoredOutgoing]:
        """All messages to deliver of a conversation, the newest first."""
        return self._listed([OUTBOX.c.conversation == conversation], "", _MOST_LISTED)

    def find_vendor_id(self, channel: str, vendor_id: str) -> StoredOutgoing | None:
        """The delivered message that has this id at its vendor; None if there is none."""
        with self._database.reading() as connection:
            mine = sql.select(OUTBOX).where(OUTBOX.c.channel == channel, OUTBOX.c.vendor_id == vendor_id).limit(1)
            row = connection.execute(mine).one_or_none()
        return None if row is None else _stored(row)

    def waiting(self) -> int:
        """How many messages wait to be delivered."""
        return self._count("waiting")

    def dead_count(self) -> int:
        """How many dead letters there are."""
        return self._count("dead")

    def _count(self, state: str) -> int:
        with self._database.reading() as connection:
            return int(connection.scalar(sql.select(sql.func.count()).select_from(OUTBOX).where(OUTBOX.c.state == state)) or 0)

    def _listed(self, wanted: list[sql.ColumnElement[bool]], desk: str, limit: int) -> list[StoredOutgoing]:
        if desk:
            wanted = [*wanted, OUTBOX.c.desk == desk]
        chosen = sql.select(OUTBOX).where(*wanted).order_by(OUTBOX.c.number.desc()).limit(max(1, min(limit, _MOST_LISTED)))
        with self._database.reading() as connection:
            return [_stored(row) for row in connection.execute(chosen)]

    def _end(self, taken: TakenOutgoing, values: dict[str, Any]) -> bool:
        # Whoever holds it: what one worker has seen delivered must not be sent by another one.
        mine = sql.and_(OUTBOX.c.id == taken.message.id, OUTBOX.c.state == "waiting")
        ended = {**values, "ended": self._clock(), "holder": "", "leased": 0.0}
        with self._database.writing() as connection:
            done = connection.execute(sql.update(OUTBOX).where(mine).values(ended)).rowcount > 0
            if done and values["state"] == "dead":
                self._tell(connection, taken.message.id, values["error"])
        return done

    def _tell(self, connection: Connection, id: str, why: str) -> None:
        row = connection.execute(sql.select(OUTBOX).where(OUTBOX.c.id == id)).one()
        body = {"channel": row.channel, "message": id, "error": why, "attempts": row.attempts}
        add_event(connection, row.desk, "undelivered", row.conversation, self._clock(), body)


def _words_of(connection: Connection, row: Any) -> dict[str, Any]:
    """The words of a delivered message, from its turn."""
    mine = sql.and_(TURNS.c.conversation == row.conversation, TURNS.c.id == json.loads(row.facts).get(TURN, ""))
    turn = connection.execute(sql.select(TURNS).where(mine)).one_or_none()
    subject = connection.scalar(sql.select(CONVERSATIONS.c.subject).where(CONVERSATIONS.c.id == row.conversation))
    return {} if turn is None else {"text": turn.text, "reply": turn.reply, "subject": subject or ""}


def _candidates(now: float, desk: str, skip: Collection[str]) -> sql.Select[Any]:
    earlier = OUTBOX.alias()
    before = sql.exists().where(
        earlier.c.conversation == OUTBOX.c.conversation, earlier.c.state == "waiting", earlier.c.number < OUTBOX.c.number
    )
    wanted = [OUTBOX.c.state == "waiting", OUTBOX.c.after <= now, OUTBOX.c.leased <= now, sql.not_(before)]
    if desk:
        wanted.append(OUTBOX.c.desk == desk)
    if skip:
        wanted.append(OUTBOX.c.channel.not_in(list(skip)))
    return sql.select(OUTBOX.c.number).where(*wanted).order_by(OUTBOX.c.number).limit(_TRIED)


def _message(row: Any) -> OutgoingMessage:
    reply = reply_from_json(json.loads(row.reply)) if row.reply else None
    facts = json.loads(row.facts)
    return OutgoingMessage(row.id, row.channel, row.thread, row.recipient, row.text, reply, row.subject, facts)


def _stored(row: Any) -> StoredOutgoing:
    return StoredOutgoing(
        _message(row), row.desk, row.conversation, row.state, row.attempts, row.created, row.ended, row.vendor_id, row.error
    )
