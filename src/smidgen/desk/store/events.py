"""Events of a desk on their way to those who listen: each goes to each listener, is tried again, and is never dropped silently."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sql

from smidgen.core.conversations import Facts
from smidgen.core.errors import DataError
from smidgen.desk.store.codec import MOST_NAME, clean, facts_text
from smidgen.desk.store.inbox import MOST_LEASE
from smidgen.desk.store.records import DeadEvent, DeskEvent, EventKind, TakenEvent
from smidgen.desk.store.tables import DELIVERIES, DESK_EVENTS
from smidgen.desk.store.turns import add_event, insert_new
from smidgen.store.database import Database

_SORTED_AT_ONCE = 200
_TRIED = 8
_MOST_LISTED = 1_000


class DeskEvents:
    """The events. Its methods may be called from several threads and processes. Each raises ConversationError if the database fails."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database, self._clock = database, clock

    def tell(self, desk: str, kind: EventKind, body: Facts) -> str:
        """Add an event that belongs to no conversation; returns its id."""
        with self._database.writing() as connection:
            return add_event(connection, desk, kind, None, self._clock(), body)

    def tell_once(self, desk: str, kind: EventKind, key: str, at: float, body: Facts) -> bool:
        """Add an event that belongs to no conversation, unless it was added before; returns whether it is new.

        Args:
            key: names what happened, for this desk and kind.
            at: when it happened.
        """
        id = f"evt_{hashlib.sha256(json.dumps([desk, kind, key]).encode()).hexdigest()[:24]}"
        values = {"id": id, "desk": desk, "kind": kind, "conversation": None, "time": at, "body": facts_text(body, "an event"), "sorted": 0}
        with self._database.reading() as connection:
            if connection.scalar(sql.select(DESK_EVENTS.c.id).where(DESK_EVENTS.c.id == id)) is not None:
                return False
        with self._database.writing() as connection:
            new = insert_new(connection, DESK_EVENTS).values(**values).returning(DESK_EVENTS.c.id)
            return connection.scalar(new) is not None

    def sort(self, listeners: Mapping[str, Sequence[EventKind]], desk: str) -> int:
        """Give each new event of a desk to each listener of its kind; returns how many were new. Repeated calls give none twice."""
        new = sql.select(DESK_EVENTS.c.id, DESK_EVENTS.c.kind, DESK_EVENTS.c.number)
        new = new.where(DESK_EVENTS.c.sorted == 0, DESK_EVENTS.c.desk == desk).order_by(DESK_EVENTS.c.number).limit(_SORTED_AT_ONCE)
        with self._database.reading() as connection:
            if not connection.execute(new).first():
                return 0
        with self._database.writing() as connection:
            found = connection.execute(new.with_for_update(skip_locked=True)).all()
            fresh = {"state": "waiting", "attempts": 0, "after": 0.0, "holder": "", "leased": 0.0, "ended": None, "error": ""}
            rows = [{"event": one.id, "listener": name, **fresh} for one in found for name, kinds in listeners.items() if one.kind in kinds]
            if rows:
                connection.execute(insert_new(connection, DELIVERIES), rows)
            if found:
                done = sql.update(DESK_EVENTS).where(DESK_EVENTS.c.id.in_([one.id for one in found])).values(sorted=1)
                connection.execute(done)
        return len(found)

    def take(self, seconds: float, desk: str = "") -> TakenEvent | None:
        """Take the oldest event that may go to a listener now, and hold it for some seconds; None if there is none."""
        if not 0 < seconds <= MOST_LEASE:
            raise DataError("desk.lease_is_out_of_range", value=seconds, most_lease=f"{MOST_LEASE:.0f}")
        now = self._clock()
        free = [DELIVERIES.c.state == "waiting", DELIVERIES.c.after <= now, DELIVERIES.c.leased <= now]
        joined = DELIVERIES.join(DESK_EVENTS, DESK_EVENTS.c.id == DELIVERIES.c.event)
        mine = [DESK_EVENTS.c.desk == desk] if desk else []
        first = sql.select(DELIVERIES.c.number).select_from(joined).where(*free, *mine).order_by(DELIVERIES.c.number).limit(_TRIED)
        with self._database.reading() as connection:
            waiting = list(connection.scalars(first))
        if not waiting:
            return None
        holder = secrets.token_hex(8)
        held = {"holder": holder, "leased": now + seconds, "attempts": DELIVERIES.c.attempts + 1}
        with self._database.writing() as connection:
            for number in waiting:
                if connection.execute(sql.update(DELIVERIES).where(DELIVERIES.c.number == number, *free).values(held)).rowcount:
                    row = connection.execute(_with_events().where(DELIVERIES.c.number == number)).one()
                    return TakenEvent(number, _event(row), row.listener, holder, row.attempts)
        return None

    def delivered(self, taken: TakenEvent) -> bool:
        """Write down that the listener has an event. False if it was written down before."""
        return self._end(taken, "delivered", "")

    def bury(self, taken: TakenEvent, why: str) -> bool:
        """Give an event up that a listener does not take: people see it."""
        return self._end(taken, "dead", why)

    def retry(self, taken: TakenEvent, after: float, why: str) -> bool:
        """Let an event wait for some seconds before another attempt. False if another worker has it by now."""
        later = {"after": self._clock() + max(0.0, after), "error": clean(why, MOST_NAME), "holder": "", "leased": 0.0}
        mine = sql.and_(DELIVERIES.c.number == taken.number, DELIVERIES.c.state == "waiting", DELIVERIES.c.holder == taken.holder)
        with self._database.writing() as connection:
            return connection.execute(sql.update(DELIVERIES).where(mine).values(later)).rowcount > 0

    def dead(self, desk: str = "", limit: int = 100) -> list[DeadEvent]:
        """Events that a listener did not take, the newest first."""
        chosen = _with_events().where(DELIVERIES.c.state == "dead", *([DESK_EVENTS.c.desk == desk] if desk else []))
        chosen = chosen.order_by(DELIVERIES.c.number.desc()).limit(max(1, min(limit, _MOST_LISTED)))
        with self._database.reading() as connection:
            rows = connection.execute(chosen).all()
        return [DeadEvent(row.delivery, _event(row), row.listener, row.attempts, row.error) for row in rows]

    def send_again(self, number: int) -> bool:
        """Put an event that was given up back among those that wait; False if there is none with this number."""
        fresh = {"state": "waiting", "attempts": 0, "after": 0.0, "holder": "", "leased": 0.0, "ended": None}
        mine = sql.and_(DELIVERIES.c.number == number, DELIVERIES.c.state == "dead")
        with self._database.writing() as connection:
            return connection.execute(sql.update(DELIVERIES).where(mine).values(fresh)).rowcount > 0

    def drop(self, number: int) -> bool:
        """Delete an event's delivery that was given up, because a person said so; False if there is none with this number."""
        mine = sql.and_(DELIVERIES.c.number == number, DELIVERIES.c.state == "dead")
        with self._database.writing() as connection:
            return connection.execute(sql.delete(DELIVERIES).where(mine)).rowcount > 0

    def listed(self, desk: str, kind: EventKind | None = None, limit: int = 100) -> list[DeskEvent]:
        """A desk's events, the newest first."""
        wanted = [DESK_EVENTS.c.desk == desk, *([DESK_EVENTS.c.kind == kind] if kind else [])]
        chosen = sql.select(DESK_EVENTS).where(*wanted).order_by(DESK_EVENTS.c.number.desc()).limit(max(1, min(limit, _MOST_LISTED)))
        with self._database.reading() as connection:
            return [_event(row) for row in connection.execute(chosen)]

    def waiting(self) -> int:
        """How many events wait for a listener."""
        return self._count("waiting")

    def dead_count(self) -> int:
        """How many events were given up."""
        return self._count("dead")

    def _count(self, state: str) -> int:
        counted = sql.select(sql.func.count()).select_from(DELIVERIES).where(DELIVERIES.c.state == state)
        with self._database.reading() as connection:
            return int(connection.scalar(counted) or 0)

    def _end(self, taken: TakenEvent, state: str, why: str) -> bool:
        ended = {"state": state, "error": clean(why, MOST_NAME), "ended": self._clock(), "holder": "", "leased": 0.0}
        mine = sql.and_(DELIVERIES.c.number == taken.number, DELIVERIES.c.state == "waiting")
        with self._database.writing() as connection:
            return connection.execute(sql.update(DELIVERIES).where(mine).values(ended)).rowcount > 0


def _with_events() -> sql.Select[Any]:
    columns = [DELIVERIES.c.number.label("delivery"), DELIVERIES.c.listener, DELIVERIES.c.attempts, DELIVERIES.c.error]
    return sql.select(*columns, DESK_EVENTS).select_from(DELIVERIES.join(DESK_EVENTS, DESK_EVENTS.c.id == DELIVERIES.c.event))


def _event(row: Any) -> DeskEvent:
    return DeskEvent(row.id, row.desk, row.kind, row.conversation or "", row.time, json.loads(row.body))
