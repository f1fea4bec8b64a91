"""A new file's journal is turned to WAL by as many as open it at once: SQLite refuses some of them without its timeout."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smidgen.store import database, sqlite_wal
from smidgen.store.sqlite_wal import into_wal


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

        monkeypatch.setattr(sqlite_wal.time, "sleep", look)
        into_wal(refused, 60.0)
        assert refused.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert len(looks) == 3
    assert all(sqlite_wal.FIRST_SECONDS <= seconds <= sqlite_wal.LAST_SECONDS for seconds in looks)


def test_one_who_is_refused_for_ever_is_told(tmp_path: Path) -> None:
    with contextlib.closing(opened(tmp_path / "new.db")) as holder, contextlib.closing(opened(tmp_path / "new.db")) as refused:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            into_wal(refused, 0.2)


def test_another_reason_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(_: float) -> None:
        raise AssertionError("nothing is waited for")

    monkeypatch.setattr(sqlite_wal.time, "sleep", never)
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


VERSIONS = {
    **{(3, 7, 0): False, (3, 44, 5): False, (3, 44, 6): True, (3, 44, 9): True, (3, 45, 3): False, (3, 46, 1): False},
    **{(3, 50, 4): False, (3, 50, 7): True, (3, 51, 2): False, (3, 51, 3): True, (3, 53, 0): True, (4, 0, 0): True},
}


@pytest.mark.parametrize(("version", "safe"), VERSIONS.items(), ids=[".".join(map(str, version)) for version in VERSIONS])
def test_versions_without_the_bug(version: tuple[int, ...], safe: bool) -> None:
    assert sqlite_wal.resets_safely(version) is safe


def writers(folder: Path) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Of each store, one that writes and one that reads."""
    from smidgen.store import spending_ledger, usage_records
    from smidgen.store.traffic.records import Exchange, TrafficError
    from smidgen.store.traffic.store import TrafficStore
    from smidgen.store.traffic.tables import url_of

    sums = usage_records.UsageSums()
    sums.entry(usage_records.UsageKey("2026-11-28", "m", "local", "")).add(usage_records.UsageTotals(requests=1))
    usage_records.add(sums, "w", 1, "2026-11-28", folder / "account.sqlite3")
    books = spending_ledger.SpendingLedger(folder / "spending.sqlite3")
    traffic = TrafficStore(database.Database(url_of(f"sqlite:///{folder / 'traffic.db'}"), "the traffic store", TrafficError))
    row = Exchange(id="r", time=datetime.now(UTC), asked="m", path="/v1/chat/completions", input="a", answered_by="upstream", answer="b")
    traffic.add([row])
    return {
        "account.sqlite3": (
            lambda: usage_records.add(sums, "w", 2, "2026-11-28", folder / "account.sqlite3"),
            lambda: usage_records.read("2026-11-01", folder / "account.sqlite3"),
        ),
        "spending.sqlite3": (lambda: books.hold("2026-11-28", {"all": None}, 1), lambda: books.spent("2026-11-28")),
        "traffic.db": (lambda: traffic.delete_user("nobody"), traffic.totals),
    }


def test_every_store_writes_in_turn_and_reads_at_any_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one holds the turn nobody else commits or runs a checkpoint, which the WAL-reset bug of SQLite needs."""
    from smidgen.store import spending_ledger, usage_records
    from smidgen.store.traffic.records import TrafficError

    for room, name in ((usage_records, "_WAIT_SECONDS"), (spending_ledger, "_WAIT_SECONDS"), (database, "_BUSY_SECONDS")):
        monkeypatch.setattr(room, name, 0.05)
    stores = writers(tmp_path)
    for name, (write, read) in stores.items():
        with sqlite_wal.writing(tmp_path / name, 1.0):
            with pytest.raises((OSError, TrafficError), match="another program writes"):
                write()
            read()
        write()
    assert len(stores) == 3


def test_deleting_and_clearing_the_journal_take_their_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from smidgen.store.traffic.records import TrafficError

    monkeypatch.setattr(database, "_BUSY_SECONDS", 0.05)
    base = database.Database(database.file_url(tmp_path / "traffic.db"), "the traffic store", TrafficError)
    base.open()
    assert base.scrub(("requests",)) is True
    with sqlite_wal.writing(tmp_path / "traffic.db", 1.0), pytest.raises(TrafficError, match="another program writes"):
        base.scrub(("requests",))


@pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")
def test_databases_are_their_owners_alone(tmp_path: Path) -> None:
    old = tmp_path / "account.sqlite3"
    contextlib.closing(opened(old)).__enter__().execute("PRAGMA journal_mode=WAL")
    old.chmod(0o644)
    before = os.umask(0o022)
    try:
        stores = writers(tmp_path)
    finally:
        os.umask(before)
    files = sorted(tmp_path.iterdir())
    assert len(files) >= 2 * len(stores)
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in files if file.stat().st_mode & 0o077} == {}


HAMMER = """
import sys
from smidgen.store import spending_ledger
books = spending_ledger.SpendingLedger()
books._base.execute("PRAGMA wal_autocheckpoint=1")
for number in range(150):
    books.settle(books.hold("2026-11-28", {"all": None}, 1), 1, False)
"""


def test_several_processes_with_a_checkpoint_at_every_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from smidgen.store import spending_ledger

    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path))
    crowd = [subprocess.Popen([sys.executable, "-c", HAMMER]) for _ in range(3)]
    assert [one.wait(timeout=120) for one in crowd] == [0, 0, 0]
    books = spending_ledger.SpendingLedger()
    assert books.spent("2026-11-28")["all"].requests == 450
    assert books._base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    books.close()
