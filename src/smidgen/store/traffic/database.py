"""The database of the traffic store: a SQLite file in smidgen's home, or PostgreSQL by URL."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sql
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from smidgen.core.errors import InputError, MissingExtra
from smidgen.store.home import home
from smidgen.store.sqlite_wal import into_wal, make_private, writing
from smidgen.store.traffic.records import TrafficError

FILE = "traffic.db"
URL_ENV = "SMIDGEN_TRAFFIC_URL"
"""The store's URL comes from the environment: one of PostgreSQL has a password in it, and every user can see a command line."""

_SQLITE, _POSTGRES = "sqlite", "postgresql+psycopg"
_BUSY_SECONDS = 5.0
_BEGIN = "smidgen_begin"


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

    Raises MissingExtra if PostgreSQL's driver is not installed.
    """

    def __init__(self, url: URL) -> None:
        self.url = url
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
        with _told(self.shown):
            if self.file is not None:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                make_private(self.file)
                self._opened = _identity(self.file)
                engine = sql.create_engine(self.url, hide_parameters=True, connect_args={"timeout": _BUSY_SECONDS})
                sql.event.listen(engine, "connect", _prepared)
                sql.event.listen(engine, "begin", _begun)
            else:
                try:
                    waits = {"connect_timeout": int(_BUSY_SECONDS), "options": f"-c lock_timeout={int(_BUSY_SECONDS * 1000)}"}
                    engine = sql.create_engine(self.url, hide_parameters=True, pool_pre_ping=True, connect_args=waits)
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
        with _told(self.shown), self._connection("BEGIN") as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction, which is on the disk when the block has ended. Raises TrafficError for any failure: nothing is written then."""
        # BEGIN IMMEDIATE: a transaction that begins by reading may find later that it cannot write.
        with _told(self.shown), self._turn(), self._connection("BEGIN IMMEDIATE") as connection, connection.begin():
            yield connection

    def scrub(self) -> bool | None:
        """Remove deleted data from the journal (SQLite), or vacuum the tables (PostgreSQL); returns whether nothing of it is left.

        None if that is unknown: PostgreSQL keeps all that any open transaction could still see, and a write-ahead log of its own.
        `secure_delete` overwrites deleted cells of the file itself already.
        """
        if self.file is None:
            with _told(self.shown), self._connection("") as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(
                    "VACUUM requests, aliases, feedback, kept, labels"
                )
            return None
        with _told(self.shown), self._turn(), self._connection("") as connection:
            # It waits for readers as long as a writer waits for another.
            busy, _, _ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        return not busy

    def _turn(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self.file is None else writing(self.file, _BUSY_SECONDS)

    def _connection(self, begin: str) -> Connection:
        """A connection whose SQLite transactions begin by this statement; empty for none."""
        if self._engine is None:
            raise TrafficError("the traffic store is closed", value=self.shown, todo="Open it again.")
        return self._engine.connect().execution_options(**{_BEGIN: begin})


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


@contextlib.contextmanager
def _told(shown: str) -> Iterator[None]:
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
    raise TrafficError(f"the traffic store cannot be used ({reason[0] if reason else 'no reason'})", value=shown, todo=todo)
