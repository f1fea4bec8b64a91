"""The account's file: what is added is added once, whoever adds at the same time and whatever fails."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from pathlib import Path

import pytest

from smidgen.store import usage_records
from smidgen.store.usage_records import KEPT_DAYS, DayPrice, UsageKey, UsageSums, UsageTotals, WaitBucket

DAY = "2026-03-01"
KEY = UsageKey(DAY, "support", "local", "")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "account.sqlite3"


def sums(requests: int = 1, day: str = DAY) -> UsageSums:
    price = DayPrice(day, "big", 1.0, 2.0, "list price of Big on 2026-01-01")
    key = KEY._replace(day=day)
    return UsageSums({key: UsageTotals(requests=requests, saved=7)}, Counter({WaitBucket(day, "support", "local", 40): requests}), {price})


def test_what_is_added_comes_back_as_it_was_and_adds_up(file: Path) -> None:
    every = UsageTotals(*range(1, len(usage_records.COLUMNS) + 1))
    usage_records.add(UsageSums({KEY: every}), "one", 1, DAY, file)
    usage_records.add(UsageSums({KEY: every}), "one", 2, DAY, file)
    usage_records.add(sums(3), "two", 1, DAY, file)
    found = usage_records.read(DAY, file)
    wanted = UsageTotals(*(2 * value for value in astuple(every)))
    wanted.add(UsageTotals(requests=3, saved=7))
    assert found.entries == {KEY: wanted}
    assert found.waits == {WaitBucket(DAY, "support", "local", 40): 3} and found.prices == sums().prices
    assert usage_records.read("2026-03-02", file) == UsageSums() and not usage_records.read("2026-03-02", file)


def test_an_addition_that_may_have_been_made_is_not_made_twice(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk took it, and the process was not told."""
    opened = sqlite3.connect

    class Forgetful(sqlite3.Connection):
        def execute(self, sql, *given):
            done = super().execute(sql, *given)
            if sql == "COMMIT":
                raise sqlite3.OperationalError("disk I/O error")
            return done

    monkeypatch.setattr(sqlite3, "connect", lambda *given, **more: opened(*given, factory=Forgetful, **more))
    with pytest.raises(OSError, match="disk I/O error"):
        usage_records.add(sums(), "one", 1, DAY, file)
    monkeypatch.setattr(sqlite3, "connect", opened)
    usage_records.add(sums(), "one", 1, DAY, file)
    assert usage_records.read(DAY, file).entries[KEY].requests == 1
    usage_records.add(sums(), "one", 2, DAY, file)
    usage_records.add(sums(), "other", 1, DAY, file)
    assert usage_records.read(DAY, file).entries[KEY].requests == 3


def test_what_fails_half_way_leaves_nothing(file: Path) -> None:
    usage_records.add(sums(), "one", 1, DAY, file)
    broken = sums()
    broken.entries[KEY._replace(why="score")] = UsageTotals(requests=2**70)
    with pytest.raises(OverflowError):
        usage_records.add(broken, "one", 2, DAY, file)
    assert usage_records.read(DAY, file) == sums()
    usage_records.add(sums(), "one", 2, DAY, file)
    assert usage_records.read(DAY, file).entries[KEY].requests == 2


def test_many_at_once_add_up(file: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for one in [pool.submit(usage_records.add, sums(), f"w{number % 4}-{number}", 1, DAY, file) for number in range(40)]:
            one.result()
    found = usage_records.read(DAY, file)
    assert found.entries[KEY] == UsageTotals(requests=40, saved=280)
    assert sum(found.waits.values()) == 40


def test_days_that_are_too_old_go(file: Path) -> None:
    usage_records.add(sums(day="2025-01-01"), "one", 1, "2025-01-01", file)
    usage_records.add(sums(day="2025-06-01"), "two", 1, "2025-06-01", file)
    assert len(usage_records.read("2000-01-01", file).entries) == 2
    usage_records.add(sums(), "three", 1, DAY, file)
    found = usage_records.read("2000-01-01", file)
    assert {key.day for key in found.entries} == {"2025-06-01", DAY} == {wait.day for wait in found.waits}
    assert {price.day for price in found.prices} == {"2025-06-01", DAY} and KEPT_DAYS == 400
    with sqlite3.connect(file) as base:
        assert base.execute("SELECT id FROM writers ORDER BY 1").fetchall() == [("three",), ("two",)]


def test_by_a_clock_that_is_not_believed_no_day_goes(file: Path) -> None:
    usage_records.add(sums(), "one", 1, DAY, file)
    ahead = "2028-03-01"
    for number in range(1, 4):
        usage_records.add(sums(day=ahead), "two", number, ahead, file, False)
    assert {key.day for key in usage_records.read("2000-01-01", file).entries} == {DAY, ahead}
    usage_records.add(sums(), "one", 2, DAY, file)
    assert usage_records.read(DAY, file).entries[KEY].requests == 2, "nor is it forgotten what was added"


def test_there_may_be_no_file_an_empty_one_or_a_strange_one(file: Path) -> None:
    assert usage_records.read(DAY, file) == UsageSums() and not file.exists()
    file.touch()
    assert usage_records.read(DAY, file) == UsageSums()
    usage_records.add(sums(), "one", 1, DAY, file)
    with sqlite3.connect(file) as base:
        base.execute("PRAGMA user_version=9")
    for work in (lambda: usage_records.read(DAY, file), lambda: usage_records.add(sums(), "one", 2, DAY, file)):
        with pytest.raises(OSError, match="of version 9, and 1 is known"):
            work()
    file.write_bytes(b"no database" * 1000)
    for work in (lambda: usage_records.read(DAY, file), lambda: usage_records.add(sums(), "one", 2, DAY, file)):
        with pytest.raises(OSError, match="cannot be used"):
            work()


@pytest.mark.skipif(sys.platform == "win32", reason="a process is killed by a POSIX signal")
def test_a_process_that_is_killed_loses_nothing_that_was_added(file: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from smidgen.store import usage_records
from smidgen.store.usage_records import UsageTotals, UsageKey, UsageSums
for number in range(1, 6):
    sums = UsageSums({{UsageKey({DAY!r}, "support", "local", ""): UsageTotals(requests=1)}})
    usage_records.add(sums, "one", number, {DAY!r}, Path({str(file)!r}))
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == -9
    assert usage_records.read(DAY, file).entries == {KEY: UsageTotals(requests=5)}
