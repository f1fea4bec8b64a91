"""The account writer: whatever the disk does, each number is written once, and memory has an end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some
from prometheus_client import CollectorRegistry

from smidgen.server.ops import usage_account
from smidgen.server.ops.prometheus import AccountMetrics
from smidgen.server.ops.usage_account import AccountWriter, RequestWork, share_energy
from smidgen.server.ops.wall_clock import WallClock
from smidgen.server.request import OTHER_MODEL
from smidgen.store import usage_records
from smidgen.store.usage_records import UsageKey, UsageSums, UsageTotals
from smidgen.usage.energy import Consumed

DAY = "2026-03-01"
KEY = UsageKey(DAY, "support", "local", "")


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "account.sqlite3"


@pytest.fixture
def book(registry: CollectorRegistry, file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AccountWriter]:
    """One that writes when it is told to."""
    monkeypatch.setattr("smidgen.store.usage_records.today", lambda now=None: DAY)
    made = AccountWriter(AccountMetrics(registry), dict, file, every=3600)
    yield made
    made.close()


def written(file: Path) -> UsageSums:
    return usage_records.read(DAY, file)


def test_what_is_taken_is_written_once(book: AccountWriter, file: Path, registry: CollectorRegistry) -> None:
    for seconds in (0.01, 0.02):
        book.take(KEY, UsageTotals(requests=1, saved=5), seconds, busy=0.01)
    assert book.flush() and book.flush()
    found = written(file)
    assert (found.entries[KEY].requests, found.entries[KEY].saved, found.entries[KEY].waited) == (2, 10, 30_000)
    assert sum(found.waits.values()) == 2
    labels = {"model": "support", "answered_by": "local"}
    assert registry.get_sample_value("smidgen_answer_seconds_count", labels) == 2
    assert registry.get_sample_value("smidgen_saved_usd_total", {"model": "support"}) == 1e-8


@pytest.mark.parametrize("reached", [False, True])
def test_a_disk_that_fails_loses_nothing_and_doubles_nothing(
    book: AccountWriter, file: Path, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch, reached: bool
) -> None:
    """Also where what fails had reached the disk."""
    real = usage_records.add

    def failing(*given: Any) -> None:
        if reached:
            real(*given)
        raise OSError("no space left on device")

    monkeypatch.setattr(usage_records, "add", failing)
    for _ in range(3):
        book.take(KEY, UsageTotals(requests=1))
        assert not book.flush() and "no space" in book.fault
    assert registry.get_sample_value("smidgen_account_failures_total") == 3
    monkeypatch.setattr(usage_records, "add", real)
    book.take(KEY, UsageTotals(requests=1))
    assert book.flush() and book.fault == ""
    assert written(file).entries[KEY].requests == 4


def test_rows_have_an_end_and_no_request_is_lost(book: AccountWriter, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_account, "_MOST_KEYS", 10)
    for number in range(50):
        book.take(KEY._replace(why=f"reason {number}"), UsageTotals(requests=1))
    book.flush()
    found = written(file).entries
    assert len(found) == 11 and sum(entry.requests for entry in found.values()) == 50
    assert found[UsageKey(DAY, OTHER_MODEL, "local", "")].requests == 40


def test_energy_that_nobody_asked_for_goes_to_the_next_who_ask(book: AccountWriter, file: Path) -> None:
    book.flush()
    assert not written(file)
    sum(number * number for number in range(300_000))
    book.take(KEY, UsageTotals(requests=1), busy=0.1)
    book.flush()
    entry = written(file).entries[KEY]
    assert entry.measured + entry.estimated > 0


def test_old_days_go_by_a_clock_that_is_believed_alone(registry: CollectorRegistry, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is set two years ahead would take the whole account with it, some seconds later."""
    now, run = [datetime(2026, 3, 1, tzinfo=UTC).timestamp()], [0.0]
    monkeypatch.setattr("smidgen.server.ops.usage_account.WallClock", lambda: WallClock(lambda: now[0], lambda: run[0]))
    monkeypatch.setattr("smidgen.store.usage_records.today", lambda: datetime.fromtimestamp(now[0], UTC).date().isoformat())
    old = KEY._replace(day="2025-01-01")
    usage_records.add(UsageSums({old: UsageTotals(requests=1)}), "another", 1, "2025-01-01", file)
    book = AccountWriter(AccountMetrics(registry), dict, file, every=3600)

    def days() -> set[str]:
        book.take(KEY, UsageTotals(requests=1))
        assert book.flush()
        return {key.day for key in usage_records.read("2000-01-01", file).entries}

    assert days() == {old.day, DAY}, "it has just begun, and may be put right in the first minutes"
    run[0] += 7200
    now[0] += 7200 + 2 * 365 * 86400
    assert days() == {old.day, DAY}
    now[0] -= 2 * 365 * 86400
    assert days() == {DAY}
    book.close()


def test_what_is_taken_last_is_written_when_it_closes(registry: CollectorRegistry, file: Path) -> None:
    book = AccountWriter(AccountMetrics(registry), dict, file, every=3600)
    book.take(KEY, UsageTotals(requests=1))
    book.close()
    assert written(file).entries[KEY].requests == 1


LOCAL, OTHER = UsageKey("d", "support", "local", ""), UsageKey("d", "mail", "local", "")
WRITER, UP = UsageKey("d", "writer", "local", ""), UsageKey("d", "GPT-6 Luna", "upstream", "passed")
ENGINES = {77: ("writer",)}
AMOUNT = some.floats(0, 1e4)


def test_each_kind_has_what_it_took() -> None:
    """Ten seconds of the process, two of them the loop's; five of an engine's: a watt each."""
    consumed = Consumed(own=10.0, others={77: 5.0}, measured=15.0)
    work = {LOCAL: RequestWork(1, 3.0), OTHER: RequestWork(1, 1.0), WRITER: RequestWork(1, 9.0), UP: RequestWork(1, 0.0)}
    found = share_energy(consumed, 2.0, work, ENGINES)
    wanted = {LOCAL: 0.5 + 6.0, OTHER: 0.5 + 2.0, WRITER: 0.5 + 5.0, UP: 0.5}
    assert {key: measured / 1e6 for key, (measured, _) in found.items()} == pytest.approx(wanted)
    assert {estimated for _, estimated in found.values()} == {0}


def test_where_nobody_was_busy_it_is_shared_by_requests() -> None:
    found = share_energy(Consumed(own=4.0, estimated=40.0), 1.0, {LOCAL: RequestWork(3, 0.0), UP: RequestWork(1, 0.0)}, {})
    assert {key: estimated for key, (_, estimated) in found.items()} == {LOCAL: 30_000_000, UP: 10_000_000}


@given(AMOUNT, AMOUNT, AMOUNT, AMOUNT, AMOUNT, some.lists(some.tuples(some.integers(0, 9), AMOUNT), min_size=4, max_size=4))
def test_it_adds_up(own: float, other: float, loop: float, measured: float, estimated: float, done: list[tuple[int, float]]) -> None:
    work = {key: RequestWork(*one) for key, one in zip((LOCAL, OTHER, WRITER, UP), done, strict=True)}
    found = share_energy(Consumed(own, {77: other}, measured, estimated), loop, work, ENGINES)
    assert sum(one for one, _ in found.values()) == round(measured * 1e6)
    assert sum(one for _, one in found.values()) == round(estimated * 1e6)
    assert min(min(both) for both in found.values()) >= -len(work)
