"""A new file's journal is turned to WAL by as many as open it at once: SQLite refuses some of them without its timeout."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from pathlib import Path

import pytest

from smidgen.store import journal
from smidgen.store.journal import into_wal


def opened(file: Path, timeout: float = 0.0) -> sqlite3.Connection:
    """A connection without a transaction of its own; with no timeout it is refused at once, as those are who turn a journal together."""
    return sqlite3.connect(file, timeout=timeout, isolation_level=None)


def test_one_who_is_refused_looks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []
    with contextlib.closing(opened(tmp_path / "new.db")) as holder, contextlib.closing(opened(tmp_path / "new.db")) as refused:
        holder.execute("BEGIN EXCLUSIVE")

        def look(seconds: float) -> None:
            looks.append(seconds)
            if len(looks) == 3:
                holder.execute("COMMIT")

        monkeypatch.setattr(journal.time, "sleep", look)
        into_wal(refused, 60.0)
        assert refused.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert len(looks) == 3
    assert all(journal.FIRST_SECONDS <= seconds <= journal.LAST_SECONDS for seconds in looks)


def test_one_who_is_refused_for_ever_is_told(tmp_path: Path) -> None:
    with contextlib.closing(opened(tmp_path / "new.db")) as holder, contextlib.closing(opened(tmp_path / "new.db")) as refused:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            into_wal(refused, 0.2)


def test_another_reason_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: float) -> None:
        raise AssertionError("nothing is waited for")

    monkeypatch.setattr(journal.time, "sleep", never)
    sqlite3.connect(tmp_path / "old.db").execute("CREATE TABLE one (a)").connection.close()
    readonly = sqlite3.connect(f"{(tmp_path / 'old.db').as_uri()}?mode=ro", uri=True, isolation_level=None)
    with contextlib.closing(readonly), pytest.raises(sqlite3.OperationalError, match="readonly"):
        into_wal(readonly, 60.0)


def test_many_at_once(tmp_path: Path) -> None:
    found: list[str] = []

    def turn() -> None:
        with contextlib.closing(opened(tmp_path / "new.db", timeout=60.0)) as connection:
            into_wal(connection, 60.0)
            found.append(connection.execute("PRAGMA journal_mode").fetchone()[0])

    threads = [threading.Thread(target=turn) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["wal"] * 24
