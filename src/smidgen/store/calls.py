"""Calls of tools: proposed ones that wait for a yes, failed look-ups of the last minutes, and a log of every call.

It is a SQLite file or PostgreSQL by URL, so that several servers of one desk share it: a proposed call is used once among all of them, and
look-ups are counted over all of them. Who called is stored as a keyed hash of the address; the key is the store's own.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from sqlalchemy import Column, ColumnElement, Float, Index, Integer, MetaData, String, Table, Text, delete, func, insert, select, update

from smidgen.core.conversations import Facts
from smidgen.core.errors import MachineError
from smidgen.store.database import Database, JsonText, current, file_url, migrate, parse_url

Waiting: TypeAlias = Literal["taken", "unknown", "expired"]
"""How a search for a proposed call ended."""

URL_ENV = "SMIDGEN_CALLS_URL"
"""The URL comes from the environment, since one of PostgreSQL has a password in it."""
_NAME = "the store of calls"
_LOCK = 7_205_113
_MOST_WAITING = 3
_MOST_COUNTED = 100_000
"""Rows of failed look-ups that are kept. The oldest go first."""
_MOST_ROWS = 1000
_TABLES = MetaData()
_META = Table("call_meta", _TABLES, Column("name", String(64), primary_key=True), Column("value", Text, nullable=False))
_PROPOSED = Table(
    "proposed_calls",
    _TABLES,
    Column("id", String(64), primary_key=True),
    Column("conversation", String(64), nullable=False, index=True),
    Column("tool", String(128), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("arguments", JsonText, nullable=False),
    Column("words", Text, nullable=False),
    Column("expires", Float, nullable=False),
    Column("state", String(16), nullable=False),
)
_FAILURES = Table(
    "failed_lookups",
    _TABLES,
    Column("number", Integer, primary_key=True),
    Column("who", String(64), nullable=False),
    Column("time", Float, nullable=False),
    Column("lookup", String(32), nullable=False, index=True),
    Index("failed_lookups_who", "who", "time"),
)
_CALLS = Table(
    "tool_calls",
    _TABLES,
    Column("number", Integer, primary_key=True),
    Column("time", Float, nullable=False, index=True),
    Column("conversation", String(64), nullable=False, index=True),
    Column("channel", String(64), nullable=False),
    Column("address", String(64), nullable=False),
    Column("tool", String(128), nullable=False),
    Column("arguments", JsonText, nullable=False),
    Column("consent", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("size", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("reason", Text, nullable=False),
    Column("origin", String(64), nullable=False, server_default=""),
)
_CHANGES = (("ALTER TABLE tool_calls ADD COLUMN origin VARCHAR(64) NOT NULL DEFAULT ''",),)
"""The migrations from version 1 to 2, and so on: statements that SQLite and PostgreSQL both take."""


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """An entry of the log.

    Attributes:
        time: when, UTC.
        conversation, address: keyed hashes of who called; `address` is empty if the channel has none.
        channel: the channel's name.
        tool: the tool's name.
        arguments: those of the call; secret ones and proofs of ownership are masked.
        consent: `yes` (the customer said it), `no`, or `not needed`.
        status: how it ended.
        size: bytes of the result.
        seconds: how long it took.
        reason: why it ended so, for people of the business.
        origin: a keyed hash of the network address; empty if the channel does not know it.
    """

    time: datetime
    conversation: str
    channel: str
    address: str
    tool: str
    arguments: Facts
    consent: str
    status: str
    size: int
    seconds: float
    reason: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class LookupLimit:
    """At most so many failed look-ups of a pseudonym in so many seconds.

    `unless`: pseudonyms; if there are any, and none of them has failed in that time, one more look-up may be made.
    """

    who: str
    most: int
    seconds: float
    unless: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WaitingCall:
    """A proposed call as it was stored."""

    tool: str
    fingerprint: str
    arguments: Facts
    words: str


class CallStore:
    """The store. Safe for several threads and processes.

    `where`: a file, or the URL of SQLite or PostgreSQL. Raises MachineError if it cannot be used.
    """

    def __init__(self, where: Path | str) -> None:
        url = file_url(where.resolve()) if isinstance(where, Path) else parse_url(where, _NAME)
        self._base = Database(url, _NAME, MachineError)
        self._base.open()
        with self._base.reading() as connection:
            found = current(connection, _META, _CHANGES, ("key",))
        if found is None:
            with self._base.writing() as connection:
                found = migrate(connection, _META, _CHANGES, _LOCK, MachineError, {"key": secrets.token_hex(32)})
        self._key = bytes.fromhex(found["key"])

    def close(self) -> None:
        """Close the connections."""
        self._base.close()

    def pseudonym(self, kind: str, value: str) -> str:
        """A keyed hash of who somebody is; empty for an empty value. Equal in this store only."""
        if not value:
            return ""
        return hmac.new(self._key, f"{kind}\0{value}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:32]

    def propose(self, conversation: str, call: WaitingCall, seconds: float, now: datetime) -> str:
        """Store a call that waits for a yes; returns its id, which nobody can guess. Of a conversation only the last few wait."""
        made, who = secrets.token_urlsafe(24), self.pseudonym("conversation", conversation)
        with self._base.writing() as connection:
            connection.execute(delete(_PROPOSED).where(_PROPOSED.c.expires < now.timestamp() - 3600))
            waiting = select(_PROPOSED.c.id).where(_PROPOSED.c.conversation == who).order_by(_PROPOSED.c.expires.desc())
            old = list(connection.scalars(waiting))[_MOST_WAITING - 1 :]
            connection.execute(delete(_PROPOSED).where(_PROPOSED.c.id.in_(old)))
            values = {
                "id": _hashed(made),
                "conversation": who,
                "tool": call.tool,
                "fingerprint": call.fingerprint,
                "arguments": call.arguments,
                "words": call.words,
                "expires": now.timestamp() + seconds,
                "state": "waiting",
            }
            connection.execute(insert(_PROPOSED).values(**values))
        return made

    def take(self, conversation: str, made: str, now: datetime) -> tuple[Waiting, WaitingCall | None]:
        """Take a waiting call of a conversation, so that nobody takes it again. `unknown` also of one that was taken before."""
        who = self.pseudonym("conversation", conversation)
        mine = (_PROPOSED.c.id == _hashed(made)) & (_PROPOSED.c.conversation == who) & (_PROPOSED.c.state == "waiting")
        with self._base.writing() as connection:
            row = connection.execute(select(_PROPOSED).where(mine)).one_or_none()
            if row is None:
                return "unknown", None
            changed = connection.execute(update(_PROPOSED).where(mine).values(state="taken", arguments={}, words=""))
            if changed.rowcount != 1:
                return "unknown", None
        if row.expires < now.timestamp():
            return "expired", None
        return "taken", WaitingCall(row.tool, row.fingerprint, row.arguments, row.words)

    def begin_lookup(self, limits: Sequence[LookupLimit], now: datetime) -> str | None:
        """Count a look-up against each of these limits, as failed until `end_lookup` says otherwise; returns its id, or None if one of
        the limits is reached. So look-ups that run at once are counted too."""
        made = secrets.token_hex(16)
        longest = max((limit.seconds for limit in limits), default=0.0)
        with self._base.writing() as connection:
            connection.execute(delete(_FAILURES).where(_FAILURES.c.time < now.timestamp() - longest))
            for limit in limits:
                recent = _FAILURES.c.time >= now.timestamp() - limit.seconds

                def failed(who: tuple[str, ...], recent: ColumnElement[bool] = recent) -> int:
                    return connection.scalar(select(func.count()).where(_FAILURES.c.who.in_(who), recent)) or 0

                if failed((limit.who,)) >= limit.most and (not limit.unless or failed(limit.unless)):
                    return None
            rows = [{"who": limit.who, "time": now.timestamp(), "lookup": made} for limit in limits]
            if rows:
                connection.execute(insert(_FAILURES), rows)
                newest = connection.scalar(select(func.max(_FAILURES.c.number))) or 0
                connection.execute(delete(_FAILURES).where(_FAILURES.c.number <= newest - _MOST_COUNTED))
        return made

    def end_lookup(self, made: str, found: bool) -> None:
        """Say how a look-up ended: one that found something is counted no longer."""
        if found:
            with self._base.writing() as connection:
                connection.execute(delete(_FAILURES).where(_FAILURES.c.lookup == made))

    def add(self, call: LoggedCall) -> None:
        """Add an entry to the log."""
        values: dict[str, Any] = {name: getattr(call, name) for name in LoggedCall.__slots__}
        values["time"] = call.time.timestamp()
        with self._base.writing() as connection:
            connection.execute(insert(_CALLS).values(**values))

    def logged(self, most: int = 100, tool: str = "", conversation: str = "") -> list[LoggedCall]:
        """The last entries of the log, the newest first. `conversation`: its id, of which the log has a hash."""
        found = select(_CALLS).order_by(_CALLS.c.number.desc()).limit(max(0, min(most, _MOST_ROWS)))
        if tool:
            found = found.where(_CALLS.c.tool == tool)
        if conversation:
            found = found.where(_CALLS.c.conversation == self.pseudonym("conversation", conversation))
        with self._base.reading() as connection:
            return [_entry(row._mapping) for row in connection.execute(found)]

    def forget(self, before: datetime) -> int:
        """Delete the log before a time; returns how many entries."""
        with self._base.writing() as connection:
            return int(connection.execute(delete(_CALLS).where(_CALLS.c.time < before.timestamp())).rowcount)

    def forget_conversation(self, conversation: str) -> int:
        """Delete everything of a conversation; returns how many entries of the log."""
        who = self.pseudonym("conversation", conversation)
        with self._base.writing() as connection:
            connection.execute(delete(_PROPOSED).where(_PROPOSED.c.conversation == who))
            return int(connection.execute(delete(_CALLS).where(_CALLS.c.conversation == who)).rowcount)


def _entry(row: Mapping[Any, Any]) -> LoggedCall:
    values = {name: row[name] for name in LoggedCall.__slots__}
    return LoggedCall(**{**values, "time": datetime.fromtimestamp(row["time"], UTC)})


def _hashed(made: str) -> str:
    return hashlib.sha256(made.encode("utf-8", "replace")).hexdigest()
