"""The journal of a SQLite file that several programs share: WAL, in which those who read wait for nobody who writes."""

from __future__ import annotations

import random
import sqlite3
import time

FIRST_SECONDS, LAST_SECONDS = 0.005, 0.05


def into_wal(connection: sqlite3.Connection, seconds: float) -> None:
    """Turn a new file's journal to WAL, however many turn it at once. Nothing changes where it is WAL already, or the file is in memory.

    Two who have read the file's header and now want to write it would wait for each other for ever, so SQLite refuses one of them without
    any wait: the connection's timeout does not count here. Who was refused looks again, for as many seconds as are given. Raises
    sqlite3.OperationalError after that, and for every other reason at once.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            # Two who were refused together do not come again together.
            time.sleep(random.uniform(FIRST_SECONDS, LAST_SECONDS))
        else:
            return
