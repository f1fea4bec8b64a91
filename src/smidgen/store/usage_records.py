"""Usage by day: the number of requests, by model and by who answered, with their tokens, cost, time and energy. One SQLite file in
smidgen's home.

It holds numbers and names of models only, no texts. All amounts are whole: nanodollars, microseconds, microjoules; so sums are exact.
Several processes share the file: each adds to it. Each addition carries a number of its process, so that it is never counted twice, even
if it was unknown whether it had reached the disk.

The file is opened for each addition and closed again, so it may be moved away or repaired in between.
"""

from __future__ import annotations

import contextlib
import math
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from smidgen.store.files import home
from smidgen.store.sqlite_wal import as_os_error, connect, connect_to_read, file_version, transaction, writing

VERSION = 1
KEPT_DAYS = 400
_WAIT_SECONDS = 5.0
_NAME = "the account"


def today(now: datetime | None = None) -> str:
    """The day that a request counts in, in UTC."""
    return (now or datetime.now(UTC)).astimezone(UTC).date().isoformat()


class UsageKey(NamedTuple):
    """The key of a count.

    Attributes:
        day: UTC, `2026-11-26`.
        model: a bundle's name, or that of a large model.
        by: who answered: `local`, `upstream`, `cache`, `none`; `audit` for the gateway's own questions.
        why: why it was not answered under a certificate; for an audit, its result. One of a few words.
    """

    day: str
    model: str
    by: str
    why: str


@dataclass(slots=True)
class UsageTotals:
    """Sums over requests.

    Attributes:
        requests: the number of requests.
        errors: those that got an error, or were not answered to the end.
        read, written: tokens.
        read_estimated, written_estimated: the part of them that was estimated.
        spent: nanodollars.
        spent_estimated: the part of them that the upstream did not count.
        unpriced: requests to an upstream of unknown cost.
        saved: nanodollars that local answers would have cost upstream.
        unsaved: local answers for which that is unknown.
        waited: microseconds from the request to the end of its answer, of those without an error.
        measured, estimated: microjoules, by method.
    """

    requests: int = 0
    errors: int = 0
    read: int = 0
    read_estimated: int = 0
    written: int = 0
    written_estimated: int = 0
    spent: int = 0
    spent_estimated: int = 0
    unpriced: int = 0
    saved: int = 0
    unsaved: int = 0
    waited: int = 0
    measured: int = 0
    estimated: int = 0

    def add(self, other: UsageTotals) -> None:
        """Add the other's sums to these."""
        for name in COLUMNS:
            if more := getattr(other, name):
                setattr(self, name, getattr(self, name) + more)

    def bound(self, most: int) -> None:
        """Limit each sum to `most`, because a database's integers have a limit."""
        for name in COLUMNS:
            if getattr(self, name) > most:
                setattr(self, name, most)


COLUMNS = tuple(column.name for column in fields(UsageTotals))


class WaitBucket(NamedTuple):
    """One bucket of a histogram of waits."""

    day: str
    model: str
    by: str
    bucket: int


class DayPrice(NamedTuple):
    """The price used on a day: US dollars for a million tokens, and its source."""

    day: str
    model: str
    read: float
    written: float
    source: str


@dataclass(slots=True)
class UsageSums:
    """Usage entries, waits and prices."""

    entries: dict[UsageKey, UsageTotals] = field(default_factory=dict)
    waits: Counter[WaitBucket] = field(default_factory=Counter)
    prices: set[DayPrice] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.entries or self.waits or self.prices)

    def entry(self, key: UsageKey) -> UsageTotals:
        """The entry of a key, created if missing."""
        return self.entries.setdefault(key, UsageTotals())


_TABLES = (
    "CREATE TABLE IF NOT EXISTS entries (day TEXT NOT NULL, model TEXT NOT NULL, answered_by TEXT NOT NULL, why TEXT NOT NULL, "
    + ", ".join(f"{name} INTEGER NOT NULL" for name in COLUMNS)
    + ", PRIMARY KEY (day, model, answered_by, why)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS waits (day TEXT NOT NULL, model TEXT NOT NULL, answered_by TEXT NOT NULL, bucket INTEGER NOT NULL, "
    "requests INTEGER NOT NULL, PRIMARY KEY (day, model, answered_by, bucket)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS prices (day TEXT NOT NULL, model TEXT NOT NULL, read REAL NOT NULL, written REAL NOT NULL, "
    "source TEXT NOT NULL, PRIMARY KEY (day, model, source)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS writers (id TEXT PRIMARY KEY, day TEXT NOT NULL, last INTEGER NOT NULL) WITHOUT ROWID",
)
_DATED = ("entries", "waits", "prices", "writers")
_ADD_ENTRY = (
    f"INSERT INTO entries VALUES ({', '.join('?' * (4 + len(COLUMNS)))}) ON CONFLICT (day, model, answered_by, why) DO UPDATE SET "
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in COLUMNS)
)
_ADD_WAIT = (
    "INSERT INTO waits VALUES (?, ?, ?, ?, ?) ON CONFLICT (day, model, answered_by, bucket) DO UPDATE SET "
    "requests = requests + excluded.requests"
)
_ADD_PRICE = "INSERT OR REPLACE INTO prices VALUES (?, ?, ?, ?, ?)"
_ADD_WRITER = "INSERT OR REPLACE INTO writers VALUES (?, ?, ?)"


def place() -> Path:
    """The file of the usage records."""
    return home() / "account.sqlite3"


def add(sums: UsageSums, writer: str, number: int, day: str, file: Path | None = None, forget: bool = True) -> None:
    """Add sums to the file, all or nothing. An addition of this writer with this number, or a later one, is not repeated.

    Args:
        sums: the sums to add.
        writer: names one process, or one account within it.
        number: of this addition; it grows.
        day: of now, UTC.
        file: of the account; its place by default.
        forget: whether to delete entries over `KEPT_DAYS` older than that day. Use False with a doubtful clock: one that is a year ahead
            would delete the whole account.

    Raises OSError if the file cannot be read or written: then nothing was added, or all; the next call with this number finds out.
    """
    where = file or place()
    with as_os_error(_NAME), writing(where, _WAIT_SECONDS), contextlib.closing(connect(where, _WAIT_SECONDS)) as base, transaction(base):
        if file_version(base, VERSION, f"{_NAME} cannot be used: ") == 0:
            for table in _TABLES:
                base.execute(table)
            base.execute(f"PRAGMA user_version={VERSION}")
        found = base.execute("SELECT last FROM writers WHERE id = ?", (writer,)).fetchone()
        if found is None or found[0] < number:
            base.executemany(_ADD_ENTRY, [(*key, *astuple(entry)) for key, entry in sums.entries.items()])
            base.executemany(_ADD_WAIT, [(*wait, count) for wait, count in sums.waits.items()])
            base.executemany(_ADD_PRICE, sums.prices)
            base.execute(_ADD_WRITER, (writer, day, number))
        for name in _DATED if forget else ():
            base.execute(f"DELETE FROM {name} WHERE day < date(?, ?)", (day, f"-{KEPT_DAYS} days"))


def read(since: str, file: Path | None = None) -> UsageSums:
    """All usage from a day on; empty if there is no file. Raises OSError if it cannot be read."""
    where = file or place()
    found = UsageSums()
    if not where.exists():
        return found
    with as_os_error(_NAME), contextlib.closing(connect_to_read(where, _WAIT_SECONDS)) as base:
        base.execute("BEGIN")  # all three tables as they were at one moment
        if file_version(base, VERSION, f"{_NAME} cannot be used: ") == 0:
            return found
        for row in _rows(base, "entries", since):
            found.entries[UsageKey(*row[:4])] = UsageTotals(*row[4:])
        for row in _rows(base, "waits", since):
            found.waits[WaitBucket(*row[:4])] = row[4]
        found.prices = {DayPrice(*row) for row in _rows(base, "prices", since)}
    return found


def _rows(base: sqlite3.Connection, table: str, since: str) -> Iterator[tuple[Any, ...]]:
    yield from base.execute(f"SELECT * FROM {table} WHERE day >= ? ORDER BY 1, 2, 3, 4", (since,))


WAIT_ERROR = 2 ** (1 / 16) - 1
"""The greatest error of a quantile, relative: 4.4 %, for times between `SHORTEST_WAIT` and `LONGEST_WAIT`.

Waits are counted in buckets, each of which ends at 2^(1/8) times the one before it. A quantile is the geometric middle of its bucket.
Histograms of days and servers are added by adding counts.
"""

SHORTEST_WAIT = 1e-4
"""Seconds: shorter waits are in bucket 0, and reported as this."""

LONGEST_WAIT = 7200.0
"""Seconds: longer waits are in the last bucket."""

_PER_DOUBLING = 8
_LAST_BUCKET = math.ceil(_PER_DOUBLING * math.log2(LONGEST_WAIT / SHORTEST_WAIT))


def wait_bucket(seconds: float) -> int:
    """The number of a time's bucket: 0 up to 0.1 ms, then 8 for each doubling."""
    if seconds <= SHORTEST_WAIT:
        return 0
    return min(_LAST_BUCKET, math.ceil(_PER_DOUBLING * math.log2(seconds / SHORTEST_WAIT)))


def wait_quantile(counts: Mapping[int, int], share: float) -> float | None:
    """The time, in seconds, that this share (0..1) of all times does not exceed, by the nearest rank; None without times.

    Args:
        counts: the number of times in each bucket.
        share: 0.5 for the median.
    """
    total = sum(counts.values())
    if not total:
        return None
    wanted, seen = max(1, math.ceil(share * total)), 0
    for number in sorted(counts):
        seen += counts[number]
        if seen >= wanted:
            return _middle(number)
    return None


def _middle(number: int) -> float:
    """The geometric middle of a bucket; for bucket 0, which has none, its bound."""
    return float(SHORTEST_WAIT * 2 ** ((number - 0.5) / _PER_DOUBLING)) if number > 0 else SHORTEST_WAIT
