"""The purse by itself: what was spent on old days goes once a day, by a clock that is believed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from smidgen.gateway.budget import Budget
from smidgen.server.metering import Metering
from smidgen.server.prices import Price, Prices
from smidgen.server.purse import Plan, Purse
from smidgen.server.wall_clock import WallClock
from smidgen.store.ledger import Held, Ledger

OLD = "2025-01-01"


def test_old_days_go_by_a_clock_that_is_believed_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, run, days = [1e9], [0.0], ["2026-06-01"]
    monkeypatch.setattr("smidgen.server.purse.WallClock", lambda: WallClock(lambda: now[0], lambda: run[0]))
    monkeypatch.setattr("smidgen.gateway.budget.today", lambda: days[0])
    told: list[str] = []
    forget = Ledger.forget
    monkeypatch.setattr(Ledger, "forget", lambda self, day: told.append(day) or forget(self, day))
    file = tmp_path / "ledger.sqlite3"
    book = Ledger(file)
    book.hold(OLD, {"all": None}, 7)
    book.close()
    purse = Purse(Plan(Budget({"all": 1.0}), Prices([Price("big", 1.0, 1.0)]), 100), ["big"], Metering(), file)

    def left() -> bool:
        assert isinstance(asyncio.run(purse._held({"all": None}, 1)), Held)
        return bool(purse.ledger.spent(OLD))

    assert left() and told == []
    run[0] += 7200
    now[0] += 7200 + 365 * 86400
    assert left() and told == [], "a year ahead"
    now[0] -= 365 * 86400
    assert not left() and not left() and told == days
    days[0] = "2026-06-02"
    left()
    assert told == ["2026-06-01", "2026-06-02"]
    asyncio.run(purse.close())
