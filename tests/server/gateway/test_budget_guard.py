"""The budget_guard by itself: what was spent on old days goes once a day, by a clock that is believed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from smidgen.server.gateway.budget_guard import BudgetGuard, BudgetPlan
from smidgen.server.gateway.prices import UpstreamPrice, UpstreamPrices
from smidgen.server.ops.prometheus import ServerMetrics
from smidgen.server.ops.wall_clock import WallClock
from smidgen.store.spending_ledger import Reservation, SpendingLedger
from smidgen.usage.budgets import DailyBudget

OLD = "2025-01-01"


def test_old_days_go_by_a_clock_that_is_believed_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, run, days = [1e9], [0.0], ["2026-06-01"]
    monkeypatch.setattr("smidgen.server.gateway.budget_guard.WallClock", lambda: WallClock(lambda: now[0], lambda: run[0]))
    monkeypatch.setattr("smidgen.store.usage_records.today", lambda: days[0])
    told: list[str] = []
    forget = SpendingLedger.forget
    monkeypatch.setattr(SpendingLedger, "forget", lambda self, day: told.append(day) or forget(self, day))
    file = tmp_path / "ledger.sqlite3"
    book = SpendingLedger(file)
    book.hold(OLD, {"all": None}, 7)
    book.close()
    budget_guard = BudgetGuard(
        BudgetPlan(DailyBudget({"all": 1.0}), UpstreamPrices([UpstreamPrice("big", 1.0, 1.0)]), 100), ["big"], ServerMetrics(), file
    )

    def left() -> bool:
        assert isinstance(asyncio.run(budget_guard._held({"all": None}, 1)), Reservation)
        return bool(budget_guard.ledger.spent(OLD))

    assert left() and told == []
    run[0] += 7200
    now[0] += 7200 + 365 * 86400
    assert left() and told == [], "a year ahead"
    now[0] -= 365 * 86400
    assert not left() and not left() and told == days
    days[0] = "2026-06-02"
    left()
    assert told == ["2026-06-01", "2026-06-02"]
    asyncio.run(budget_guard.close())
