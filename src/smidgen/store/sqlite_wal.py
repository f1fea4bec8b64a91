"""The journal of a SQLite file that several programs share: WAL, in which readers do not wait for writers.

SQLite before 3.51.3 can lose committed pages and so corrupt a database in WAL mode: while one connection runs a checkpoint, another one
commits a transaction that restarts the WAL, and the checkpoint does not notice (https://sqlite.org/wal.html#walresetbug; backports of
the fix are in 3.44.6 and 3.50.7). Most Pythons bring an affected version, and a checkpoint runs by itself at the end of a commit, after
the write lock was released. So every writer of smidgen holds a lock file from before its transaction until after its commit: no two
connections commit, or run a checkpoint, at the same time. Readers take no such lock. The lock is taken with every version of SQLite,
because programs with different versions may share a file.
"""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FIRST_SECONDS, LAST_SECONDS = 0.005, 0.05
_POLL_SECONDS = 0.002
_OWNER_ONLY = 0o600
_MENDED = {(3, 44): 6, (3, 50): 7, (3, 51): 3}
"""The branches of SQLite that got the fix, each with its first fixed patch. Every later branch has it."""


def resets_safely(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> bool:
    """Whether this version of SQLite is free of the WAL-reset bug."""
    branch, patch = version[:2], version[2]
    return branch > max(_MENDED) or patch >= _MENDED.get((branch[0], branch[1]), patch + 1)


def make_private(file: Path) -> None:
    """Create a database's file that only its owner may read, or remove others' rights from an existing one. SQLite gives the journal's
    files equal rights.

    An existing file is not opened: closing it would end the locks that other connections of this process hold on it.
    """
    try:
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, _OWNER_ONLY))
    except FileExistsError:
        with contextlib.suppress(OSError):  # another user's file, or a disk without permissions
            if os.name == "posix" and file.stat().st_mode & 0o077:
                file.chmod(_OWNER_ONLY)


@contextlib.contextmanager
def writing(database: Path, seconds: float) -> Iterator[None]:
    """The turn to write to a database: hold it from before a transaction until after its commit, and around a checkpoint.

    Raises OSError if another program holds it for longer than `seconds`, or if the lock file beside the database cannot be created.
    """
    lock = database.with_name(f"{database.name}.lock")
    if fcntl is None:
        import filelock

        with filelock.FileLock(lock, timeout=seconds, poll_interval=_POLL_SECONDS):
            yield
        return
    handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _OWNER_ONLY)
    try:
        _take(handle, seconds)
        yield
    finally:
        os.close(handle)  # also releases the lock


def _take(handle: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise OSError("another program writes to it all the time") from None
            time.sleep(random.uniform(_POLL_SECONDS / 2, _POLL_SECONDS))
        else:
            return


def into_wal(connection: sqlite3.Connection, seconds: float) -> None:
    """Switch a new file's journal to WAL, also if several connections do so at once. No effect if it is WAL already, or the file is in
    memory.

    Two connections that have read the file's header and now want to write it would wait for each other for ever, so SQLite refuses one of
    them at once: the connection's timeout does not count here. The refused one tries again, for up to `seconds`. Raises
    sqlite3.OperationalError after that, and for every other reason at once.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            # random, so that two that were refused together do not collide again
            time.sleep(random.uniform(FIRST_SECONDS, LAST_SECONDS))
        else:
            return


# A file that is written with the standard library alone. The spending ledger and the usage records are: SQLAlchemy takes 4.8 times the
# processor time of a reservation and its settlement (328 µs, not 68), and 12 MB of a server that captures no traffic.


def connect(file: Path, seconds: float, threads: bool = False) -> sqlite3.Connection:
    """Open a file for writing, in WAL mode; create it if it is missing. Data that is written survives a killed process; a power cut may
    lose the last moments.

    `threads`: whether other threads use the connection, too.
    """
    make_private(file)
    connection = sqlite3.connect(file, timeout=seconds, isolation_level=None, check_same_thread=not threads)
    try:
        into_wal(connection, seconds)
        connection.execute("PRAGMA synchronous=NORMAL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def connect_to_read(file: Path, seconds: float) -> sqlite3.Connection:
    """Open an existing file that is not written to."""
    return sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=seconds, isolation_level=None)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block as one transaction, all or nothing. The caller holds the turn (`writing`)."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:  # also if the disk is too full to commit: the next transaction must be able to begin
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")


def file_version(connection: sqlite3.Connection, known: int, before: str = "") -> int:
    """The version of a file's tables; 0 of a new one. Raises OSError for one that is not known: `before`, and why."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version not in (0, known):
        raise OSError(f"{before}it is of version {version}, and {known} is known")
    return int(version)


@contextlib.contextmanager
def as_os_error(name: str) -> Iterator[None]:
    """Raise failures of SQLite as OSError, with the name of the file."""
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(f"{name} cannot be used: {error}") from error
