"""The tables of the traffic store, and their migrations. The store is a SQLite file in smidgen's home, or PostgreSQL by URL."""

from __future__ import annotations

import os
import secrets

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Double,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    or_,
)
from sqlalchemy.engine import URL

from smidgen.store.database import current, file_url, migrate, parse_url
from smidgen.store.files import home
from smidgen.store.traffic.records import TrafficError

FILE = "traffic.db"
URL_ENV = "SMIDGEN_TRAFFIC_URL"
"""The store's URL comes from the environment: one of PostgreSQL has a password in it, and every user can see a command line."""


def use_store(url: str) -> None:
    """Make this the store of the whole process, in place of the environment's."""
    os.environ[URL_ENV] = url


def url_of(given: str | None = None) -> URL:
    """The store's URL: `given`, else the one in the environment, else the file in smidgen's home.

    Raises InputError for a URL of another kind; its message shows no password.
    """
    named = given if given is not None else os.environ.get(URL_ENV, "").strip()
    if not named:
        return file_url(home() / FILE)
    return parse_url(named, "a traffic store")


METADATA = MetaData()

META = Table("smidgen_meta", METADATA, Column("name", String, primary_key=True), Column("value", String, nullable=False))
"""The version of the tables, the key of the hashes, and the held-out share."""

REQUESTS = Table(
    "requests",
    METADATA,
    Column("id", String, primary_key=True),
    Column("time", Double, nullable=False),
    Column("asked", String, nullable=False),
    Column("path", String, nullable=False),
    Column("input", Text),
    Column("answered_by", String, nullable=False),
    Column("why", String, nullable=False),
    Column("odd", String, nullable=False),
    Column("status", Integer, nullable=False),
    Column("bundle_id", String, nullable=False),
    Column("local_output", Text),
    Column("local_score", Double),
    Column("certificate", String, nullable=False),
    Column("model", String, nullable=False),
    Column("answer", Text),
    Column("tokens_in", Integer, nullable=False),
    Column("tokens_out", Integer, nullable=False),
    Column("tokens_estimated", Boolean, nullable=False),
    Column("cost_usd", Double),
    Column("saved_usd", Double),
    Column("local_ms", Double),
    Column("upstream_ms", Double),
    Column("user_hash", String, nullable=False),
    Column("system_hash", String, nullable=False),
    Column("template_hash", String, nullable=False),
    Column("key_hash", String, nullable=False),
    Column("held_out", Boolean, nullable=False),
    Column("truncated", Boolean, nullable=False),
    Column("altered", Boolean, nullable=False),
    Column("doubtful", Boolean, nullable=False),
    Column("answer_state", String, nullable=False),
    Column("audit_answer", Text),
    Column("audit_model", String, nullable=False),
    Column("kind_hash", String, nullable=False),
    Index("requests_time", "time", "id"),
    Index("requests_asked", "asked", "time", "id"),
    Index("requests_user", "user_hash"),
    Index("requests_template", "template_hash"),
)

ALIASES = Table(
    "aliases",
    METADATA,
    Column("request_id", String, ForeignKey("requests.id", ondelete="CASCADE"), primary_key=True),
    Column("user_hash", String, primary_key=True),
    Index("aliases_user", "user_hash"),
)
"""The further user ids of requests that name several, each hashed. A user's data can be deleted by any of them."""

FEEDBACK = Table(
    "feedback",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("request_id", String, ForeignKey("requests.id"), nullable=False),
    Column("time", Double, nullable=False),
    Column("verdict", String),
    Column("corrected", Text),
    Column("comment", Text),
    Column("user_hash", String, nullable=False),
    Column("key_hash", String, nullable=False),
    Column("altered", Boolean, nullable=False),
    Column("truncated", Boolean, nullable=False),
    Index("feedback_request", "request_id", "number"),
    Index("feedback_user", "user_hash"),
)

KEPT = Table(
    "kept",
    METADATA,
    Column("line", String, primary_key=True),
    Column("request_id", String, ForeignKey("requests.id", ondelete="CASCADE"), primary_key=True),
    Index("kept_request", "request_id"),
)
"""The reservoirs of lines: requests that a line, named by a hash, learnt from and needs again. Retention may keep them longer than
others; every other deletion removes them like any request."""

OUTCOMES = Table(
    "outcomes",
    METADATA,
    Column("day", String, primary_key=True),
    Column("outcome", String, primary_key=True),
    Column("requests", Integer, nullable=False),
)
"""The outcomes of a day's requests (UTC) that were to be stored: numbers alone."""

LABELS = Table(
    "labels",
    METADATA,
    Column("key_hash", String, primary_key=True),
    Column("label", String, primary_key=True),
    Column("time", Float, nullable=False),
)
"""Recurring answers, by the key that asked: labels, which are stored unmasked. With the time when each became known."""

CHANGES: tuple[tuple[str, ...], ...] = (
    (
        "ALTER TABLE requests ADD COLUMN altered BOOLEAN DEFAULT FALSE NOT NULL",
        "ALTER TABLE requests ADD COLUMN answer_state VARCHAR DEFAULT '' NOT NULL",
        # A placeholder is `[PERSON_1]`: the first of its kind in a request has this number.
        "UPDATE requests SET altered = TRUE WHERE input LIKE '%[%!_1]%' ESCAPE '!'",
        "UPDATE requests SET answer_state = 'whole' WHERE answered_by = 'upstream' AND answer IS NOT NULL",
        "CREATE TABLE aliases (request_id VARCHAR NOT NULL REFERENCES requests (id) ON DELETE CASCADE, "
        "user_hash VARCHAR NOT NULL, PRIMARY KEY (request_id, user_hash))",
        "CREATE INDEX aliases_user ON aliases (user_hash)",
    ),
    (
        "ALTER TABLE requests ADD COLUMN audit_answer TEXT",
        "ALTER TABLE requests ADD COLUMN audit_model VARCHAR DEFAULT '' NOT NULL",
    ),
    (
        "ALTER TABLE requests ADD COLUMN kind_hash VARCHAR DEFAULT '' NOT NULL",
        # The variable words of the system messages are not known any more: each template is a kind, until it comes again.
        "UPDATE requests SET kind_hash = template_hash",
        "CREATE INDEX requests_template ON requests (template_hash)",
    ),
    (
        "CREATE TABLE kept (line VARCHAR NOT NULL, request_id VARCHAR NOT NULL REFERENCES requests (id) ON DELETE CASCADE, "
        "PRIMARY KEY (line, request_id))",
        "CREATE INDEX kept_request ON kept (request_id)",
    ),
    ("CREATE TABLE outcomes (day VARCHAR NOT NULL, outcome VARCHAR NOT NULL, requests INTEGER NOT NULL, PRIMARY KEY (day, outcome))",),
    ("CREATE TABLE labels (key_hash VARCHAR NOT NULL, label VARCHAR NOT NULL, time FLOAT NOT NULL, PRIMARY KEY (key_hash, label))",),
    ("ALTER TABLE requests ADD COLUMN doubtful BOOLEAN DEFAULT FALSE NOT NULL",),
)
"""The migrations from version 1 to 2, from 2 to 3, and so on: statements that SQLite and PostgreSQL both take."""

_LOCK = 7_361_001
"""PostgreSQL's lock for setting a store up; the number is arbitrary."""


def of_template(hash: str) -> ColumnElement[bool]:
    """The condition of every request of a template, or of a kind: lines store their jobs by either."""
    return or_(REQUESTS.c.template_hash == hash, REQUESTS.c.kind_hash == hash)


def prepared(connection: Connection) -> dict[str, str] | None:
    """The content of `smidgen_meta` if the store is of this version; None if it must be prepared. Takes no lock."""
    return current(connection, META, CHANGES, ("key", "held_out"))


def prepare(connection: Connection, held_out: float) -> dict[str, str]:
    """Create the tables, or migrate them to this version, within the transaction of `connection`; returns the content of `smidgen_meta`.

    `held_out`: the share of a new store. Raises TrafficError for a store of a later smidgen, or of something else.
    """
    first = {"key": secrets.token_hex(32), "held_out": repr(held_out)}
    return migrate(connection, META, CHANGES, _LOCK, TrafficError, first)
