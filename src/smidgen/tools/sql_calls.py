"""Queries: one SELECT with bound values, on a connection that can only read.

A statement is checked when it is read, and the database holds it to reading once more: SQLite by `mode=ro`, `query_only` and an
authorizer that permits nothing but reading; PostgreSQL by a transaction that is read only.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from smidgen.core.conversations import Facts
from smidgen.core.errors import InputError, MissingExtra
from smidgen.tools.definition import SqlTarget
from smidgen.tools.environment import expanded
from smidgen.tools.results import MOST_ROWS

MOST_SECONDS = 3.0
_SQLITE, _POSTGRES = "sqlite", "postgresql+psycopg"
_PIECE = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\[[^\]]*\]|--[^\n]*|/\*.*?\*/|\$\w*\$|(?<![:\w]):([a-z][a-z0-9_]*)|[^'\"`\[\-/$:]+|.",
    re.DOTALL,
)
_CHANGES = re.compile(
    r"\b(insert|update|delete|drop|alter|create|attach|detach|pragma|vacuum|into|copy|call|do|set|grant)\b", re.IGNORECASE
)
_READS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
_BARRED_FUNCTIONS = {"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit", "zeroblob", "randomblob"}
_BARRED_IN_POSTGRES = re.compile(
    r"\b(pg_\w+|lo_\w+|lowrite|loread|dblink\w*|set_config|setval|nextval|query_to_xml\w*|table_to_xml\w*|database_to_xml\w*)\"?\s*\(",
    re.IGNORECASE,
)
"""Functions that read files, administer the server, or write although the transaction is read only, as those of large objects do."""


def named_parameters(sql: str) -> list[str]:
    """The named parameters of a statement, in order. Ignores quotes and comments."""
    return list(dict.fromkeys(match[1] for match in _PIECE.finditer(sql) if match[1]))


def statement_faults(sql: str) -> list[str]:
    """Why a text is not one SELECT; empty if it is."""
    bare = "".join(_bare(match) for match in _PIECE.finditer(sql)).strip().removesuffix(";").strip()
    found = []
    if not re.match(r"(select|with|values)\b", bare, re.IGNORECASE):
        found.append("only a SELECT is allowed; it may begin with WITH")
    if ";" in bare:
        found.append("it has more than one statement")
    if "?" in bare:
        found.append("write :name for a value, not ?")
    if "$$" in bare or re.search(r"\$\w+\$", bare):
        found.append("dollar quotes are not allowed")
    if changing := _CHANGES.search(bare):
        found.append(f"{changing[0].upper()} is not allowed in a query")
    return found


def _bare(match: re.Match[str]) -> str:
    """A piece of a statement, and a blank for quotes and comments."""
    piece = match[0]
    if piece.startswith(("'", "--", "/*")) and len(piece) > 1:
        return " "
    return '"q"' if piece[0] in '"`[' and len(piece) > 1 else piece


def shown_statement(sql: str, values: Facts) -> str:
    """The statement with each value in its place, for people to read. It is never run."""
    return "".join(_literal(values.get(match[1])) if match[1] else match[0] for match in _PIECE.finditer(sql))


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int | float):
        return str(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "'" + text.replace("'", "''") + "'"


def shown_database(target: SqlTarget) -> str:
    """The database as people may see it: a file's name, or the name of the variable that has the URL."""
    return target.database if "${" in target.database else _url(target, {}).render_as_string(hide_password=True)


def run_query(target: SqlTarget, values: Facts, environment: Mapping[str, str], most: int = MOST_ROWS) -> list[dict[str, Any]]:
    """Run a query with these values; a parameter without a value is NULL. Returns one row more than `most` if there are more.

    Raises InputError if the database cannot be used, or the query is refused or takes too long: its message has no value of a row.
    """
    if faults := statement_faults(target.sql):
        raise InputError("tools.query_is_refused", value=target.sql[:100], faults=faults[0])
    url = _url(target, environment)
    bound = {name: _bindable(values.get(name)) for name in named_parameters(target.sql)}
    if url.drivername == _SQLITE:
        return _in_sqlite(Path(str(url.database)), target.sql, bound, most)
    return _in_postgres(url, target.sql, bound, most)


def _bindable(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _url(target: SqlTarget, environment: Mapping[str, str]) -> URL:
    text = expanded(target.database, environment)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        url = URL.create("none")
    if url.drivername == _SQLITE and url.database and url.database != ":memory:" and not url.query:
        return url.set(database=str((Path(target.folder) / url.database).resolve()))
    if url.drivername in (_POSTGRES, "postgresql"):
        return url.set(drivername=_POSTGRES)
    raise InputError("tools.this_is_not_url_of_tool_database", value=url.drivername)


def _in_sqlite(file: Path, sql: str, bound: Mapping[str, Any], most: int) -> list[dict[str, Any]]:
    if not file.is_file():
        raise InputError("tools.tool_database_is_missing", value=file.name)
    try:
        with contextlib.closing(_reader(file)) as base:
            cursor = base.execute(sql, dict(bound))
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchmany(most + 1)]
    except sqlite3.Error as error:
        slow = "interrupted" in str(error)
        raise InputError(
            "tools.query_took_too_long" if slow else "tools.query_cannot_be_run",
            value=sql[:100],
            most_seconds=f"{MOST_SECONDS:.0f}" if slow else None,
            error=error,
        ) from None


def _reader(file: Path) -> sqlite3.Connection:
    """A connection that can only read, with limits."""
    base = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=1.0, isolation_level=None)
    base.execute("PRAGMA query_only=ON")
    base.execute("PRAGMA trusted_schema=OFF")
    base.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1_000_000)
    base.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 500)
    base.set_authorizer(_authorized)
    end = time.monotonic() + MOST_SECONDS
    base.set_progress_handler(lambda: time.monotonic() > end, 10_000)
    return base


def _authorized(action: int, first: str | None, second: str | None, base: str | None, trigger: str | None) -> int:
    if action in _READS:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in _BARRED_FUNCTIONS:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def psycopg_statement(sql: str) -> str:
    """The statement in psycopg's manner: `%(name)s` for a parameter, `%%` for a percent sign."""
    return "".join(f"%({match[1]})s" if match[1] else match[0].replace("%", "%%") for match in _PIECE.finditer(sql))


def _in_postgres(url: URL, sql: str, bound: Mapping[str, Any], most: int) -> list[dict[str, Any]]:
    if barred := _BARRED_IN_POSTGRES.search(sql):
        raise InputError("tools.function_is_not_allowed_in_query", value=barred[1])
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    waits = {"connect_timeout": 3, "options": f"-c statement_timeout={int(MOST_SECONDS * 1000)} -c default_transaction_read_only=on"}
    try:
        engine = create_engine(url, hide_parameters=True, poolclass=NullPool, connect_args=waits)
    except ModuleNotFoundError:
        raise MissingExtra("psycopg", "postgres") from None
    with _told(sql), engine.connect().execution_options(postgresql_readonly=True, stream_results=True) as connection:
        found = connection.exec_driver_sql(psycopg_statement(sql), dict(bound))
        return [dict(row) for row in found.mappings().fetchmany(most + 1)]


@contextlib.contextmanager
def _told(sql: str) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or type(error).__name__).splitlines()
        raise InputError("tools.asked_query_cannot_be_run", value=sql[:100], reason=reason[0] if reason else "no reason") from None
