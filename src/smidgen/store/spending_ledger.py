"""The spending ledger: amounts spent on a day, and amounts reserved for requests under way. One SQLite file in smidgen's home.

Amounts are whole nanodollars, so that sums are exact. Reserved amounts count as spent until they are settled. A killed process leaves its
reservations, because the cost of its requests is unknown. Several processes share the file, and a limit holds for all of them.

SQLite runs in WAL mode with `synchronous=NORMAL`: written data survives a killed process; a power cut may lose the last moments.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from smidgen.store.files import home
from smidgen.store.sqlite_wal import as_os_error, connect, connect_to_read, file_version, transaction, writing

VERSION = 1
NANO = 1_000_000_000
_WAIT_SECONDS = 5.0
_KEPT_DAYS = 400
_NAME = "the ledger"
_TABLES = (
    "CREATE TABLE IF NOT EXISTS spent (day TEXT NOT NULL, scope TEXT NOT NULL, nano INTEGER NOT NULL, estimated INTEGER NOT NULL, "
    "requests INTEGER NOT NULL, PRIMARY KEY (day, scope)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS held (day TEXT NOT NULL, scope TEXT NOT NULL, id TEXT NOT NULL, nano INTEGER NOT NULL, "
    "PRIMARY KEY (day, scope, id)) WITHOUT ROWID",
)
_SPENT = (
    "SELECT scope, SUM(nano), SUM(estimated), SUM(held), SUM(requests) FROM ("
    "SELECT scope, nano, estimated, 0 AS held, requests FROM spent WHERE day = ? "
    "UNION ALL SELECT scope, 0, 0, nano, 0 FROM held WHERE day = ?) GROUP BY scope"
)
_USED = (
    "SELECT COALESCE((SELECT nano FROM spent WHERE day = ? AND scope = ?), 0) "
    "+ COALESCE((SELECT SUM(nano) FROM held WHERE day = ? AND scope = ?), 0)"
)
_SETTLE = (
    "INSERT INTO spent (day, scope, nano, estimated, requests) VALUES (?, ?, ?, ?, 1) ON CONFLICT (day, scope) DO UPDATE SET "
    "nano = nano + excluded.nano, estimated = estimated + excluded.estimated, requests = requests + 1"
)


@dataclass(frozen=True, slots=True)
class ScopeSpending:
    """The amounts of one scope on one day, in nanodollars.

    Attributes:
        nano: settled.
        estimated: the part of `nano` that the upstream did not count itself.
        held: reserved for requests under way, and for those of killed processes.
        requests: settled ones.
    """

    nano: int = 0
    estimated: int = 0
    held: int = 0
    requests: int = 0

    @property
    def used(self) -> int:
        """The amount that counts against a limit."""
        return self.nano + self.held


@dataclass(frozen=True, slots=True)
class Reservation:
    """An amount reserved for a request: its id, its day, its scopes, and the amount in nanodollars."""

    id: str
    day: str
    scopes: tuple[str, ...]
    nano: int


@dataclass(frozen=True, slots=True)
class LimitReached:
    """A limit that a request could exceed: its scope, the limit, and the amount used, in nanodollars."""

    scope: str
    limit: int
    used: int


class SpendingLedger:
    """The open ledger. Thread-safe; every method raises OSError if the file cannot be read or written."""

    def __init__(self, file: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._file = file or place()
        with as_os_error(_NAME):
            self._base = connect(self._file, _WAIT_SECONDS, threads=True)
            self._begin()

    def hold(self, day: str, scopes: Mapping[str, int | None], nano: int) -> Reservation | LimitReached:
        """Reserve an amount in all scopes, each with its limit (None for no limit), or in none of them if a limit could be exceeded."""
        held = Reservation(uuid.uuid4().hex, day, tuple(scopes), nano)
        with self._lock, as_os_error(_NAME), self._written():
            for scope, limit in scopes.items():
                if limit is not None:
                    (used,) = self._base.execute(_USED, (day, scope, day, scope)).fetchone()
                    if used + nano > limit:
                        return LimitReached(scope, limit, used)
            rows = [(day, scope, held.id, nano) for scope in scopes]
            self._base.executemany("INSERT INTO held (day, scope, id, nano) VALUES (?, ?, ?, ?)", rows)
        return held

    def settle(self, held: Reservation, nano: int, estimated: bool) -> None:
        """End a request: count its cost, and release its reservation. A second call does nothing."""
        with self._lock, as_os_error(_NAME), self._written():
            if self._let_go(held):
                rows = [(held.day, scope, nano, nano if estimated else 0) for scope in held.scopes]
                self._base.executemany(_SETTLE, rows)

    def release(self, held: Reservation) -> None:
        """Release the reservation of a request that was never sent, or was refused, and cost nothing."""
        with self._lock, as_os_error(_NAME), self._written():
            self._let_go(held)

    def forget(self, day: str) -> None:
        """Delete entries over 400 days older than this day, irrevocably. The caller is sure that it is today."""
        with self._lock, as_os_error(_NAME), self._written():
            for name in ("spent", "held"):
                self._base.execute(f"DELETE FROM {name} WHERE day < date(?, ?)", (day, f"-{_KEPT_DAYS} days"))

    def spent(self, day: str) -> dict[str, ScopeSpending]:
        """The amounts used on a day, by scope."""
        with self._lock, as_os_error(_NAME):
            return _spent(self._base, day)

    def close(self) -> None:
        """Close the file."""
        with self._lock, as_os_error(_NAME):
            self._base.close()

    def _let_go(self, held: Reservation) -> bool:
        rows = [(held.day, scope, held.id) for scope in held.scopes]
        return bool(self._base.executemany("DELETE FROM held WHERE day = ? AND scope = ? AND id = ?", rows).rowcount > 0)

    def _begin(self) -> None:
        with self._written():
            file_version(self._base, VERSION)
            for table in _TABLES:
                self._base.execute(table)
            self._base.execute(f"PRAGMA user_version={VERSION}")
        (sound,) = self._base.execute("PRAGMA quick_check(1)").fetchone()
        if sound != "ok":
            raise OSError(f"it is damaged ({sound})")

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        """Run the block as one transaction, while no other process writes."""
        with writing(self._file, _WAIT_SECONDS), transaction(self._base):
            yield


def place() -> Path:
    """The file of the ledger."""
    return home() / "spending.sqlite3"


def read(day: str) -> dict[str, ScopeSpending]:
    """The amounts used on a day, by scope, read without opening a ledger for writing; empty if there is no file. Raises OSError."""
    if not place().exists():
        return {}
    with as_os_error(_NAME), contextlib.closing(connect_to_read(place(), _WAIT_SECONDS)) as base:
        return _spent(base, day)


def _spent(base: sqlite3.Connection, day: str) -> dict[str, ScopeSpending]:
    found = base.execute(_SPENT, (day, day)).fetchall()
    return {scope: ScopeSpending(nano, estimated, held, requests) for scope, nano, estimated, held, requests in found}
