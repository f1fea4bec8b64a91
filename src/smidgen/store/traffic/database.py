"""The database of the traffic store: where it lies, its tables, and how a store of an older smidgen is changed.

It is a SQLite file in smidgen's home, or PostgreSQL by URL.

A few tables and a version: changes are a few lines of SQL each, run in one transaction when the store is opened. Alembic would bring a
second package to every server, and scripts that are run by their path.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path

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
    create_engine,
    event,
    insert,
    inspect,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from smidgen.core.errors import InputError, MissingExtra, SmidgenError
from smidgen.store.files import home
from smidgen.store.sqlite_wal import into_wal, make_private, writing
from smidgen.store.traffic.records import TrafficError

FILE = "traffic.db"
URL_ENV = "SMIDGEN_TRAFFIC_URL"
"""The store's URL comes from the environment: one of PostgreSQL has a password in it, and every user can see a command line."""

_SQLITE, _POSTGRES = "sqlite", "postgresql+psycopg"
_BUSY_SECONDS = 5.0
_BEGIN = "smidgen_begin"


def use_store(url: str) -> None:
    """Make this the store of the whole process, in place of the environment's."""
    os.environ[URL_ENV] = url


def url_of(given: str | None = None) -> URL:
    """The store's URL: `given`, else the one in the environment, else the file in smidgen's home.

    Raises InputError for a URL of another kind; its message shows no password.
    """
    named = given if given is not None else os.environ.get(URL_ENV, "").strip()
    if not named:
        return URL.create(_SQLITE, database=str(home() / FILE))
    try:
        url = make_url(named)
    except (ArgumentError, ValueError):
        url = URL.create("none")
    if url.drivername == _SQLITE and url.database and url.database != ":memory:" and not url.query:
        return url.set(database=str(Path(url.database).expanduser().resolve()))
    if url.drivername == _POSTGRES:
        return url
    todo = f"Write sqlite:////folder/{FILE}, or {_POSTGRES}://user:password@host/database."
    raise InputError("this is not the URL of a traffic store", value=url.drivername, todo=todo)


class Database:
    """An engine tied to its file: if that was deleted or replaced, it is opened anew before use.

    `name` stands in messages. Every failure of the database is raised as an `error`. Raises MissingExtra if PostgreSQL's driver is not
    installed.
    """

    def __init__(self, url: URL, name: str = "the traffic store", error: type[SmidgenError] = TrafficError) -> None:
        self.url, self._name, self._error = url, name, error
        self.shown = url.render_as_string(hide_password=True)
        self.file = Path(url.database) if url.drivername == _SQLITE and url.database else None
        self._engine: Engine | None = None
        self._opened: tuple[int, int] | None = None

    @property
    def there(self) -> bool:
        """Whether the opened file is still in its place; always true for a server's database."""
        return self._engine is not None and (self.file is None or _identity(self.file) == self._opened)

    def open(self) -> Engine:
        """Connect anew. Creates the file if it is missing, readable by its owner alone."""
        self.close()
        with self._told():
            if self.file is not None:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                make_private(self.file)
                self._opened = _identity(self.file)
                engine = create_engine(self.url, hide_parameters=True, connect_args={"timeout": _BUSY_SECONDS})
                event.listen(engine, "connect", _prepared)
                event.listen(engine, "begin", _begun)
            else:
                try:
                    waits = {"connect_timeout": int(_BUSY_SECONDS), "options": f"-c lock_timeout={int(_BUSY_SECONDS * 1000)}"}
                    engine = create_engine(self.url, hide_parameters=True, pool_pre_ping=True, connect_args=waits)
                except ModuleNotFoundError:
                    raise MissingExtra("psycopg", "postgres") from None
        self._engine = engine
        return engine

    def close(self) -> None:
        """Close the connections."""
        if self._engine is not None:
            self._engine.dispose()
        self._engine = None

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read by: it sees one moment's state. Raises TrafficError for any failure within the block."""
        with self._told(), self._connection("BEGIN") as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction, which is on the disk when the block has ended. Raises TrafficError for any failure: nothing is written then."""
        # BEGIN IMMEDIATE: a transaction that begins by reading may find later that it cannot write.
        with self._told(), self._turn(), self._connection("BEGIN IMMEDIATE") as connection, connection.begin():
            yield connection

    def scrub(self) -> bool | None:
        """Remove deleted data from the journal (SQLite), or vacuum the tables (PostgreSQL); returns whether nothing of it is left.

        None if that is unknown: PostgreSQL keeps all that any open transaction could still see, and a write-ahead log of its own.
        `secure_delete` overwrites deleted cells of the file itself already.
        """
        if self.file is None:
            with self._told(), self._connection("") as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(
                    "VACUUM requests, aliases, feedback, kept, labels"
                )
            return None
        with self._told(), self._turn(), self._connection("") as connection:
            # It waits for readers as long as a writer waits for another.
            busy, _, _ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        return not busy

    def _turn(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self.file is None else writing(self.file, _BUSY_SECONDS)

    def _connection(self, begin: str) -> Connection:
        """A connection whose SQLite transactions begin by this statement; empty for none."""
        if self._engine is None:
            raise self._error(f"{self._name} is closed", value=self.shown, todo="Open it again.")
        return self._engine.connect().execution_options(**{_BEGIN: begin})

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Convert the database's failures to smidgen's own errors, which never contain a text that was to be written."""
        try:
            yield
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or type(error).__name__).splitlines()
        except OSError as error:
            reason = [error.strerror or str(error) or type(error).__name__]
        else:
            return
        todo = "See that the disk has room, that it may be written to, and that nobody holds it."
        raise self._error(f"{self._name} cannot be used ({reason[0] if reason else 'no reason'})", value=self.shown, todo=todo)


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _prepared(connection: sqlite3.Connection, _: object) -> None:
    """Set up each connection: a journal that lets others read, commits that survive a power cut, deletions that overwrite."""
    connection.isolation_level = None  # transactions begin explicitly
    into_wal(connection, _BUSY_SECONDS)
    cursor = connection.cursor()
    for setting in ("synchronous=FULL", "secure_delete=ON", "foreign_keys=ON", "temp_store=MEMORY"):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _begun(connection: Connection) -> None:
    statement = connection.get_execution_options().get(_BEGIN, "BEGIN")
    if statement:
        connection.exec_driver_sql(statement)


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
)
"""The migrations from version 1 to 2, from 2 to 3, and so on: statements that SQLite and PostgreSQL both take."""

_LOCK = 7_361_001
"""PostgreSQL's lock for setting a store up; the number is arbitrary."""


def of_template(hash: str) -> ColumnElement[bool]:
    """The condition of every request of a template, or of a kind: lines store their jobs by either."""
    return or_(REQUESTS.c.template_hash == hash, REQUESTS.c.kind_hash == hash)


def current(connection: Connection) -> dict[str, str] | None:
    """The content of `smidgen_meta` if the store is of this version; None if it must be prepared. Takes no lock."""
    if not inspect(connection).has_table(META.name):
        return None
    meta = _meta(connection)
    return meta if meta.get("version") == str(1 + len(CHANGES)) and {"key", "held_out"} <= meta.keys() else None


def prepare(connection: Connection, held_out: float) -> dict[str, str]:
    """Create the tables, or migrate them to this version, within the transaction of `connection`; returns the content of `smidgen_meta`.

    `held_out`: the share of a new store. Raises TrafficError for a store of a later smidgen, or of something else.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    newest = 1 + len(CHANGES)
    METADATA.create_all(connection, tables=[META])
    meta = _meta(connection)
    if not meta:
        METADATA.create_all(connection)
        meta = {"version": str(newest), "key": secrets.token_hex(32), "held_out": repr(held_out)}
        connection.execute(insert(META), [{"name": name, "value": value} for name, value in meta.items()])
        return meta
    version = int(meta["version"]) if meta.get("version", "").isdecimal() and {"key", "held_out"} <= meta.keys() else 0
    if version < 1 or version > newest:
        raise TrafficError(
            "this was made by a later smidgen, or is not a traffic store",
            value=f"version {meta.get('version')}",
            todo="Use a newer smidgen, or name another store.",
        )
    for number in range(version, newest):
        for statement in CHANGES[number - 1]:
            connection.execute(text(statement))
    if version < newest:
        connection.execute(update(META).where(META.c.name == "version").values(value=str(newest)))
    return _meta(connection)


def _meta(connection: Connection) -> dict[str, str]:
    return {row.name: row.value for row in connection.execute(select(META))}
