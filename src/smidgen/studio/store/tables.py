"""The tables of the Studio's database, and its migrations.

Rows are kept as a history: a row of `data_rows` holds the content of one example from version `since` up to, and not including, version
`until`. A version's rows are those with `since <= version` and no `until`, or a later one. So an edit costs the rows that it changes, and
every version can be read, compared and restored.
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Connection,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

from smidgen.core.errors import NotStored, SmidgenError
from smidgen.store.database import JsonText, current, migrate

METADATA = MetaData()

META = Table("studio_meta", METADATA, Column("name", String, primary_key=True), Column("value", String, nullable=False))

PROJECTS = Table(
    "projects",
    METADATA,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("task", String, nullable=False),
    Column("created", Double, nullable=False),
    Column("changed", Double, nullable=False),
    Column("version", Integer, nullable=False),
    Column("settings", JsonText, nullable=False),
)
"""`version` is the newest version of the data, 0 before the first import. `settings` is a JSON object."""

VERSIONS = Table(
    "data_versions",
    METADATA,
    Column("project", String, ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("time", Double, nullable=False),
    Column("author", String, nullable=False),
    Column("action", String, nullable=False),
    Column("details", JsonText, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
    Column("reverses", Integer),
)
"""`action` names the edit, `details` is a JSON object about it, `rows` counts all rows, `changed` those that it
changed. `reverses` is the version that an undo or redo took back."""

ROWS = Table(
    "data_rows",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("project", String, ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("key", Integer, nullable=False),
    Column("since", Integer, nullable=False),
    Column("until", Integer),
    Column("input", Text, nullable=False),
    Column("second", Text),
    Column("output", Text),
    Column("part", String, nullable=False),
    Column("source", String, nullable=False),
    Index("data_rows_now", "project", "until", "key"),
    Index("data_rows_key", "project", "key", "since"),
    Index("data_rows_since", "project", "since"),
)
"""`key` names an example for its whole life, and orders the table. `second` is the second text of a pair. `output` is JSON; NULL where the
answer is not known yet. `part` is "train" or "test". `source` says where the row came from."""

RUNS = Table(
    "runs",
    METADATA,
    Column("id", String, primary_key=True),
    Column("project", String, ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String, nullable=False),
    Column("state", String, nullable=False),
    Column("author", String, nullable=False),
    Column("request", JsonText(allow_nan=False), nullable=False),
    Column("result", JsonText(allow_nan=False)),
    Column("error", JsonText(allow_nan=False)),
    Column("queued", Double, nullable=False),
    Column("started", Double),
    Column("ended", Double),
    Column("process", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Index("runs_project", "project", "queued"),
    Index("runs_state", "state", "queued"),
)
"""Work in a process of its own. `process` names the operating system's process while it runs: its number and when it started."""

EVENTS = Table(
    "run_events",
    METADATA,
    Column("run", String, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("time", Double, nullable=False),
    Column("kind", String, nullable=False),
    Column("body", JsonText(allow_nan=False), nullable=False),
)
"""What a run told of itself, in order: steps, figures, remarks. `body` is a JSON object."""

ACCOUNTS = Table(
    "accounts",
    METADATA,
    Column("name", String, primary_key=True),
    Column("role", String, nullable=False),
    Column("password", String, nullable=False),
    Column("created", Double, nullable=False),
)
"""`password` is an argon2 hash."""

SESSIONS = Table(
    "sessions",
    METADATA,
    Column("token", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("created", Double, nullable=False),
    Column("seen", Double, nullable=False),
    Column("expires", Double, nullable=False),
)
"""`token` is the SHA-256 of the cookie's value: who reads the table cannot log in with it."""

SERVERS = Table(
    "servers",
    METADATA,
    Column("project", String, ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True),
    Column("wanted", Integer, nullable=False),
    Column("settings", JsonText, nullable=False),
    Column("author", String, nullable=False),
    Column("process", String, nullable=False),
    Column("started", Double),
    Column("ended", Double),
    Column("error", JsonText),
)
"""The server of each project's model. `wanted` is 1 from its start to its stop. `process` names the operating system's process: its number
and when it started. `error` says how it ended by itself."""

KEYS = Table(
    "serving_keys",
    METADATA,
    Column("id", String, primary_key=True),
    Column("project", String, ForeignKey("projects.id", ondelete="CASCADE"), nullable=False),
    Column("name", String, nullable=False),
    Column("hash", String, nullable=False),
    Column("author", String, nullable=False),
    Column("created", Double, nullable=False),
    Column("revoked", Double),
    Index("serving_keys_project", "project", "created"),
)
"""API keys of a project's server. `hash` is the key's SHA-256: who reads the table cannot call the server."""

REVIEWS = Table(
    "reviews",
    METADATA,
    Column("project", String, ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True),
    Column("request", String, primary_key=True),
    Column("decision", String, nullable=False),
    Column("author", String, nullable=False),
    Column("time", Double, nullable=False),
)
"""Captured requests that a person has looked at. `decision` is "labelled" or "skipped"."""

CHANGES: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE servers (project VARCHAR NOT NULL PRIMARY KEY REFERENCES projects (id) ON DELETE CASCADE, wanted INTEGER NOT NULL, "
        "settings TEXT NOT NULL, author VARCHAR NOT NULL, process VARCHAR NOT NULL, started DOUBLE PRECISION, ended DOUBLE PRECISION, "
        "error TEXT)",
        "CREATE TABLE serving_keys (id VARCHAR NOT NULL PRIMARY KEY, project VARCHAR NOT NULL REFERENCES projects (id) ON DELETE CASCADE, "
        "name VARCHAR NOT NULL, hash VARCHAR NOT NULL, author VARCHAR NOT NULL, created DOUBLE PRECISION NOT NULL, "
        "revoked DOUBLE PRECISION)",
        "CREATE INDEX serving_keys_project ON serving_keys (project, created)",
        "CREATE TABLE reviews (project VARCHAR NOT NULL REFERENCES projects (id) ON DELETE CASCADE, request VARCHAR NOT NULL, "
        "decision VARCHAR NOT NULL, author VARCHAR NOT NULL, time DOUBLE PRECISION NOT NULL, PRIMARY KEY (project, request))",
    ),
)
"""The migrations from version 1 to 2, from 2 to 3, and so on: statements that SQLite and PostgreSQL both take."""

_LOCK = 7_361_002


class StudioError(SmidgenError):
    """The Studio's database cannot be used, or what is asked for cannot be done with what it holds."""


class StudioMissing(StudioError, NotStored):
    """The Studio's database does not hold what is asked for."""


def prepare(connection: Connection) -> None:
    """Make the tables, or bring them to this version, within the transaction of `connection`.

    Raises StudioError for a database of a later smidgen.
    """
    if current(connection, META, CHANGES) is None:
        migrate(connection, META, CHANGES, _LOCK, StudioError)
