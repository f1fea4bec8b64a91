"""The tables of the conversations' database, and its migrations. A SQLite file in smidgen's home, or PostgreSQL by URL.

Every message that waits has a *lease*: until `leased` (seconds since 1970) the worker `holder` has it. A worker that dies loses its leases
when they run out, and another one takes the message.
"""

from __future__ import annotations

import os

from sqlalchemy import Column, Connection, Double, ForeignKey, Index, Integer, MetaData, String, Table, Text, UniqueConstraint
from sqlalchemy.engine import URL

from smidgen.core.errors import NotStored, SmidgenError
from smidgen.store.database import current, file_url, migrate, parse_url
from smidgen.store.files import home

FILE = "conversations.db"
URL_ENV = "SMIDGEN_CONVERSATIONS_URL"
"""The URL comes from the environment: one of PostgreSQL has a password in it, and every user can see a command line."""

METADATA = MetaData()

META = Table("desk_meta", METADATA, Column("name", String, primary_key=True), Column("value", String, nullable=False))

CONVERSATIONS = Table(
    "conversations",
    METADATA,
    Column("id", String, primary_key=True),
    Column("desk", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("thread", String, nullable=False),
    Column("address", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("language", String, nullable=False),
    Column("status", String, nullable=False),
    Column("state", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("turns", Integer, nullable=False),
    Column("outcome", String, nullable=False),
    Column("created", Double, nullable=False),
    Column("changed", Double, nullable=False),
    Column("holder", String, nullable=False),
    Column("leased", Double, nullable=False),
    UniqueConstraint("desk", "channel", "thread", "address", name="conversations_thread"),
    Index("conversations_changed", "desk", "changed"),
)
"""A thread of two senders is two conversations: an answer to one of them must not stand on the other's words. `facts` are those of the
customer's last message; `outcome` is that of the desk's last reply. Of a channel that delivers by itself, `thread` is the id."""

TURNS = Table(
    "turns",
    METADATA,
    Column("id", String, primary_key=True),
    Column("conversation", String, ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("author", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("time", Double, nullable=False),
    Column("reply", Text),
    Column("by", String, nullable=False),
    UniqueConstraint("conversation", "number", name="turns_number"),
)
"""`number` counts from 1 within a conversation. `by` names the person, if a person said it."""

SEEN = Table(
    "seen_messages",
    METADATA,
    Column("hash", String, primary_key=True),
    Column("time", Double, nullable=False),
    Index("seen_messages_time", "time"),
)
"""Hashes of received messages' ids: a vendor that sends one again, even after its conversation was deleted, is not answered twice."""

INBOX = Table(
    "inbox",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("conversation", String, ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
    Column("desk", String, nullable=False),
    Column("external_id", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("subject", String, nullable=False),
    Column("attachments", Integer, nullable=False),
    Column("facts", Text, nullable=False),
    Column("received", Double, nullable=False),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("after", Double, nullable=False),
    Column("deciding", String, nullable=False),
    Column("error", String, nullable=False),
    Index("inbox_waiting", "state", "number"),
    Index("inbox_conversation", "conversation", "state", "number"),
)
"""`state` is `waiting` or `done`. `after`: not before this time. `deciding` is the id of a confirmed call that was begun with it."""

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("conversation", String, ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
    Column("desk", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("thread", String, nullable=False),
    Column("recipient", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("reply", Text),
    Column("subject", String, nullable=False),
    Column("facts", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("after", Double, nullable=False),
    Column("holder", String, nullable=False),
    Column("leased", Double, nullable=False),
    Column("ended", Double),
    Column("vendor_id", String, nullable=False),
    Column("error", String, nullable=False),
    Column("doubt", Integer, nullable=False, server_default="0"),
    Index("outbox_waiting", "state", "number"),
    Index("outbox_conversation", "conversation", "state", "number"),
)
"""`state` is `waiting`, `delivered` or `dead`. A dead letter stays until its conversation is deleted, or somebody sends it again.
`doubt` is 1 once an attempt ended, or was cut off, without the vendor's answer: the vendor may have the message."""

DESK_EVENTS = Table(
    "desk_events",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("desk", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("conversation", String, ForeignKey("conversations.id", ondelete="CASCADE")),
    Column("time", Double, nullable=False),
    Column("body", Text, nullable=False),
    Column("sorted", Integer, nullable=False),
    Index("desk_events_sorted", "sorted", "number"),
)
"""`sorted` is 1 once there is a row of `event_deliveries` for each listener."""

DELIVERIES = Table(
    "event_deliveries",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("event", String, ForeignKey("desk_events.id", ondelete="CASCADE"), nullable=False),
    Column("listener", String, nullable=False),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("after", Double, nullable=False),
    Column("holder", String, nullable=False),
    Column("leased", Double, nullable=False),
    Column("ended", Double),
    Column("error", String, nullable=False),
    UniqueConstraint("event", "listener", name="event_deliveries_once"),
    Index("event_deliveries_waiting", "state", "number"),
)
"""An event on its way to a listener: a webhook, or a person who is handed a conversation. `state` as in `outbox`."""

OPINIONS = Table(
    "turn_feedback",
    METADATA,
    Column("turn", String, ForeignKey("turns.id", ondelete="CASCADE"), primary_key=True),
    Column("conversation", String, ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
    Column("verdict", String, nullable=False),
    Column("comment", Text, nullable=False),
    Column("time", Double, nullable=False),
)
"""The customer's last thumb, up or down, on each of the desk's turns."""

PAIRS = Table(
    "desk_pairs",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("desk", String, nullable=False),
    Column("conversation", String, ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
    Column("turn", String, ForeignKey("turns.id", ondelete="CASCADE"), nullable=False, unique=True),
    Column("question", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("time", Double, nullable=False),
    Index("desk_pairs_desk", "desk", "number"),
)
"""Questions that a person answered, to learn from."""

CORRECTIONS = Table(
    "desk_corrections",
    METADATA,
    Column("turn", String, ForeignKey("turns.id", ondelete="CASCADE"), primary_key=True),
    Column("conversation", String, ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
    Column("state", String, nullable=False),
    Column("question", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("intent", Text, nullable=False),
    Column("document", String, nullable=False),
    Column("quote", Text, nullable=False),
    Column("unanswerable", Integer, nullable=False),
    Column("by", String, nullable=False),
    Column("decided", Double, nullable=False),
    Column("proposed", Integer, nullable=False, server_default="0"),
)
"""The owner's decision on a pair or on a thumb down, by the turn that it is about. `state` is `approved` or `rejected`; `waiting` is a
proposal on which nobody has decided. `proposed` is 1 if somebody of the business said what was right, so that it stands by itself."""

CHANGES: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE desk_corrections (
            turn VARCHAR NOT NULL PRIMARY KEY REFERENCES turns (id) ON DELETE CASCADE,
            conversation VARCHAR NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
            state VARCHAR NOT NULL, question TEXT NOT NULL, answer TEXT NOT NULL, intent TEXT NOT NULL, document VARCHAR NOT NULL,
            quote TEXT NOT NULL, unanswerable INTEGER NOT NULL, "by" VARCHAR NOT NULL, decided DOUBLE PRECISION NOT NULL
        )""",
    ),
    ("ALTER TABLE desk_corrections ADD COLUMN proposed INTEGER NOT NULL DEFAULT 0",),
    ("ALTER TABLE outbox ADD COLUMN doubt INTEGER NOT NULL DEFAULT 0",),
)
"""The migrations from version 1 to 2, from 2 to 3, and so on: statements that SQLite and PostgreSQL both take."""

_LOCK = 7_361_003


class ConversationError(SmidgenError):
    """The conversations' database cannot be used, or cannot do what is asked."""


class ConversationMissing(ConversationError, NotStored):
    """The conversations' database does not hold what is asked for."""


class ConversationChanged(ConversationError):
    """A conversation went on since it was read, so an answer to it is out of date."""


def url_of(given: str | None = None) -> URL:
    """The database's URL: `given`, else the one in the environment, else the file in smidgen's home."""
    named = given or os.environ.get(URL_ENV, "").strip()
    return parse_url(named, "the conversations' database") if named else file_url(home() / FILE)


def prepare(connection: Connection) -> None:
    """Make the tables, or bring them to this version, within the transaction of `connection`.

    Raises ConversationError for a database of a later smidgen.
    """
    if current(connection, META, CHANGES) is None:
        migrate(connection, META, CHANGES, _LOCK, ConversationError)
