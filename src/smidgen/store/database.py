"""A database with smidgen's tables: a SQLite file, or PostgreSQL by URL; and how one of an older smidgen is brought to this version.

A few tables and a version: changes are a few lines of SQL each, run in one transaction when a store is opened. Alembic would bring a
second package to every server, and scripts that are run by their path.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Dialect, Table, Text, TypeDecorator, create_engine, event, insert, inspect, select, text, update
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from smidgen.core.errors import InputError, MissingExtra, SmidgenError
from smidgen.store.sqlite_wal import into_wal, make_private, writing

_SQLITE, _POSTGRES = "sqlite", "postgresql+psycopg"
_BUSY_SECONDS = 5.0
_BEGIN = "smidgen_begin"


def file_url(file: Path) -> URL:
    """The URL of a SQLite file."""
    return URL.create(_SQLITE, database=str(file))


def parse_url(given: str, name: str) -> URL:
    """Parse the URL of a SQLite file or of PostgreSQL. Raises InputError for another kind; its message shows no password.

    `name`: of the store, with its article.
    """
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        url = URL.create("none")
    if url.drivername == _SQLITE and url.database and url.database != ":memory:" and not url.query:
        return url.set(database=str(Path(url.database).expanduser().resolve()))
    if url.drivername == _POSTGRES:
        return url
    raise InputError("store.database_url_is_invalid", value=url.drivername, name=name, postgres=_POSTGRES)


class JsonText(TypeDecorator[Any]):
    """A column of text that holds a value as JSON; NULL for None. `allow_nan`: whether numbers may be infinite or undefined."""

    impl = Text
    cache_ok = True

    def __init__(self, allow_nan: bool = True) -> None:
        super().__init__()
        self.allow_nan = allow_nan

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """The value as it is stored."""
        if value is None:
            return None
        return json.dumps(dict(value) if isinstance(value, Mapping) else value, ensure_ascii=False, allow_nan=self.allow_nan)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """The value as it was given."""
        return None if value is None else json.loads(value)


class Database:
    """An engine tied to its file: if that was deleted or replaced, it is opened anew before use.

    `name` stands in messages. Every failure of the database is raised as an `error`. `patience` is how many seconds a writer waits for
    the one before it. Raises MissingExtra if PostgreSQL's driver is not installed.
    """

    def __init__(self, url: URL, name: str, error: type[SmidgenError], patience: float = _BUSY_SECONDS) -> None:
        self.url, self._name, self._error, self._patience = url, name, error, patience
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
                engine = create_engine(self.url, hide_parameters=True, connect_args={"timeout": self._patience})
                event.listen(engine, "connect", _prepared)
                event.listen(engine, "begin", _begun)
            else:
                try:
                    waits = {"connect_timeout": int(_BUSY_SECONDS), "options": f"-c lock_timeout={int(self._patience * 1000)}"}
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
        """A connection to read by: it sees one moment's state. Raises its `error` for any failure within the block."""
        with self._told(), self._connection("BEGIN") as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self, patience: float | None = None) -> Iterator[Connection]:
        """A transaction, which is on the disk when the block has ended. Raises its `error` for any failure: nothing is written then.

        `patience`: seconds to wait for a writer of a SQLite file, where they are not the database's own.
        """
        # BEGIN IMMEDIATE: a transaction that begins by reading may find later that it cannot write.
        with self._told(), self._turn(patience), self._connection("BEGIN IMMEDIATE") as connection, connection.begin():
            yield connection

    def scrub(self, tables: Iterable[str]) -> bool | None:
        """Remove deleted data from the journal (SQLite), or vacuum these tables (PostgreSQL); returns whether nothing of it is left.

        None if that is unknown: PostgreSQL keeps all that any open transaction could still see, and a write-ahead log of its own.
        `secure_delete` overwrites deleted cells of the file itself already.
        """
        if self.file is None:
            with self._told(), self._connection("") as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(f"VACUUM {', '.join(tables)}")
            return None
        with self._told(), self._turn(), self._connection("") as connection:
            # It waits for readers as long as a writer waits for another.
            busy, _, _ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        return not busy

    def _turn(self, patience: float | None = None) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self.file is None else writing(self.file, self._patience if patience is None else patience)

    def _connection(self, begin: str) -> Connection:
        """A connection whose SQLite transactions begin by this statement; empty for none."""
        if self._engine is None:
            raise self._error("store.database_is_closed", value=self.shown, name=self._name)
        return self._engine.connect().execution_options(**{_BEGIN: begin})

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Convert the database's failures to smidgen's own errors, which never contain a text that was to be written.

        Raises InputError for a number of more than 64 bits, and for a text that is not valid Unicode.
        """
        try:
            yield
        except (OverflowError, UnicodeEncodeError) as error:
            raise InputError("store.value_cannot_be_stored", value=str(error)[:200]) from None
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or type(error).__name__).splitlines()
        except OSError as error:
            reason = [error.strerror or str(error) or type(error).__name__]
        else:
            return
        why = reason[0] if reason else "no reason"
        raise self._error("store.database_cannot_be_used", value=self.shown, name=self._name, reason=why)


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


def current(connection: Connection, meta: Table, changes: Sequence[Sequence[str]], needed: Iterable[str] = ()) -> dict[str, str] | None:
    """The content of `meta` if the tables are of this version and it has all that is `needed`; else None. Takes no lock."""
    if not inspect(connection).has_table(meta.name):
        return None
    found = _content(connection, meta)
    return found if found.get("version") == str(1 + len(changes)) and found.keys() >= set(needed) else None


def migrate(
    connection: Connection,
    meta: Table,
    changes: Sequence[Sequence[str]],
    lock: int,
    error: type[SmidgenError],
    first: Mapping[str, str] = {},
) -> dict[str, str]:
    """Create the tables, or bring them to this version, within the transaction of `connection`; returns the content of `meta`.

    Args:
        meta: the table of names and values that keeps the version, and through it all tables.
        changes: statements from version 1 to 2, from 2 to 3, and so on, which SQLite and PostgreSQL both take.
        lock: a number of PostgreSQL's lock for setting these tables up.
        error: raised for tables of a later smidgen, or of something else.
        first: what a new `meta` has besides its version, and an old one must have.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock})
    newest = 1 + len(changes)
    meta.metadata.create_all(connection, tables=[meta])
    found = _content(connection, meta)
    if not found:
        meta.metadata.create_all(connection)
        found = {"version": str(newest), **first}
        connection.execute(insert(meta), [{"name": name, "value": value} for name, value in found.items()])
        return found
    version = int(found["version"]) if found.get("version", "").isdecimal() and found.keys() >= first.keys() else 0
    if not 1 <= version <= newest:
        raise error("store.database_is_of_later_smidgen", version=found.get("version"))
    for number in range(version, newest):
        for statement in changes[number - 1]:
            connection.execute(text(statement))
    if version < newest:
        connection.execute(update(meta).where(meta.c.name == "version").values(value=str(newest)))
    return _content(connection, meta)


def _content(connection: Connection, meta: Table) -> dict[str, str]:
    return {row.name: row.value for row in connection.execute(select(meta))}
