"""The ledger: sums are exact, limits hold for all together, and nothing is forgotten."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from smidgen.store import spending_ledger
from smidgen.store.spending_ledger import NANO, LimitReached, Reservation, ScopeSpending, SpendingLedger

DAY = "2026-06-01"
SCOPES = {"all": 10 * NANO, "key:shop": None, "model:big": 4 * NANO}


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMIDGEN_HOME", str(tmp_path))
    return tmp_path


def held(book: SpendingLedger, nano: int, day: str = DAY) -> Reservation:
    found = book.hold(day, SCOPES, nano)
    assert isinstance(found, Reservation)
    return found


def test_what_is_set_aside_counts_and_what_it_took_takes_its_place() -> None:
    book = SpendingLedger()
    one = held(book, 3 * NANO)
    full = book.hold(DAY, SCOPES, 2 * NANO)
    assert full == LimitReached("model:big", 4 * NANO, 3 * NANO)
    book.settle(one, NANO, estimated=False)
    book.settle(one, NANO, estimated=False)  # a second time does nothing
    two = held(book, 2 * NANO)
    book.settle(two, 2 * NANO + 5, estimated=True)
    assert book.spent(DAY) == {scope: ScopeSpending(3 * NANO + 5, 2 * NANO + 5, 0, 2) for scope in SCOPES}
    assert isinstance(book.hold(DAY, SCOPES, NANO), LimitReached) and isinstance(book.hold(DAY, {"all": 10 * NANO}, NANO), Reservation)
    three = held(book, NANO, day="2026-06-02")
    book.release(three)
    assert book.spent("2026-06-02") == {}
    book.close()


def test_a_limit_that_is_full_sets_nothing_aside_anywhere() -> None:
    book = SpendingLedger()
    assert isinstance(book.hold(DAY, SCOPES, 5 * NANO), LimitReached)
    assert book.spent(DAY) == {} == spending_ledger.read(DAY)


def test_many_at_once_do_not_pass_a_limit() -> None:
    """Two ledgers stand for two processes."""
    books = [SpendingLedger(), SpendingLedger()]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda number: books[number % 2].hold(DAY, {"all": NANO}, NANO // 10), range(60)))
    assert sum(isinstance(one, Reservation) for one in found) == 10
    assert books[0].spent(DAY) == books[1].spent(DAY) == {"all": ScopeSpending(held=10 * (NANO // 10))}


def test_a_killed_process_leaves_what_it_had_set_aside() -> None:
    code = (
        "import os, signal\n"
        "from smidgen.store.spending_ledger import SpendingLedger\n"
        "book = SpendingLedger()\n"
        f"book.settle(book.hold({DAY!r}, {{'all': None}}, 7), 5, estimated=False)\n"
        f"book.hold({DAY!r}, {{'all': None}}, 11)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert spending_ledger.read(DAY) == {"all": ScopeSpending(nano=5, held=11, requests=1)}
    assert SpendingLedger().spent(DAY)["all"].used == 16


def test_days_go_when_it_is_told_to_and_not_by_being_opened() -> None:
    """The clock of the machine may be a year ahead when a server starts."""
    book = SpendingLedger()
    for day in ("2001-01-01", "2025-04-20", DAY):
        book.settle(held(book, NANO, day), NANO, estimated=False)
        held(book, NANO, day)
    book.close()
    book = SpendingLedger()
    assert [book.spent(day)["all"].used for day in ("2001-01-01", "2025-04-20", DAY)] == [2 * NANO] * 3
    book.forget(DAY)
    assert [day for day in ("2001-01-01", "2025-04-20", DAY) if book.spent(day)] == [DAY]
    book.forget("2027-07-06")
    assert book.spent(DAY)["all"].used == 2 * NANO, "400 days old"
    book.close()


@pytest.mark.parametrize(
    "content", [b"no database at all, and long enough to be looked at as one" * 20, b"SQLite format 3\x00" + b"\xff" * 5000]
)
def test_one_that_cannot_be_read_is_an_error(content: bytes) -> None:
    spending_ledger.place().write_bytes(content)
    with pytest.raises(OSError, match="ledger"):
        SpendingLedger()
    with pytest.raises(OSError, match="ledger"):
        spending_ledger.read(DAY)


def test_one_of_tomorrow_is_an_error() -> None:
    book = SpendingLedger()
    book._base.execute("PRAGMA user_version=9")
    book.close()
    with pytest.raises(OSError, match="version 9"):
        SpendingLedger()


def test_a_write_that_fails_leaves_it_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    book = SpendingLedger()
    one = held(book, NANO)
    book._base.execute("PRAGMA query_only=1")  # as a disk that is full: every write fails
    with pytest.raises(OSError, match="ledger"):
        book.settle(one, 1, estimated=False)
    book._base.execute("PRAGMA query_only=0")
    assert book.spent(DAY)["all"] == ScopeSpending(held=NANO)
    book.settle(one, 1, estimated=False)
    assert book.spent(DAY)["all"] == ScopeSpending(nano=1, requests=1)
