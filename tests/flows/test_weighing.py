from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from smidgen.core.rows import Row
from smidgen.flows.build import packaging
from smidgen.flows.build.candidates import MOST_WRITTEN, rows_to_compare_forms
from smidgen.tasks import classify, write

HELD = [Row(f"held {number}", "x", number, 1.0) for number in range(22)]
LEARNT = [Row(f"learnt {number}", "x", number, 1.0) for number in range(500)]


def variant(p50: float, writes: bool = True) -> Any:
    return SimpleNamespace(writes=writes, timing=SimpleNamespace(p50=p50))


def test_a_quick_writer_is_weighed_on_learnt_rows_too_spread_evenly() -> None:
    rows = rows_to_compare_forms(HELD, LEARNT, variant(100.0))
    assert len(rows) == MOST_WRITTEN
    assert list(rows[:22]) == HELD
    learnt = [int(row.input.split()[1]) for row in rows[22:]]
    assert learnt[0] == 0
    assert learnt[-1] > 480
    assert learnt == sorted(set(learnt))


@pytest.mark.parametrize(("p50", "count"), [(600.0, 50), (1000.0, 30), (1500.0, 22), (60_000.0, 22)])
def test_a_slow_writer_is_weighed_on_as_many_as_half_a_minute_allows(p50: float, count: int) -> None:
    assert len(rows_to_compare_forms(HELD, LEARNT, variant(p50))) == count


@pytest.mark.parametrize(("p50", "count"), [(100.0, 96), (500.0, 60), (2_000.0, 48), (60_000.0, 48)])
def test_of_many_held_out_rows_some_will_do(p50: float, count: int) -> None:
    held = [Row(f"held {number}", "x", number, 1.0) for number in range(1000)]
    rows = rows_to_compare_forms(held, LEARNT, variant(p50))
    assert len(rows) == count and rows[0] is held[0]
    assert [row.number for row in rows] == sorted({row.number for row in rows}) and rows[-1].number > 970
    assert (
        len(rows_to_compare_forms(held[:60], LEARNT, variant(60_000.0))) == 48
        and len(rows_to_compare_forms(held[:40], LEARNT, variant(60_000.0))) == 40
    )


def test_few_learnt_rows_are_all_taken() -> None:
    assert [row.input for row in rows_to_compare_forms(HELD, LEARNT[:3], variant(1.0))][22:] == ["learnt 0", "learnt 1", "learnt 2"]


def test_who_does_not_write_is_weighed_on_what_was_held_out() -> None:
    assert rows_to_compare_forms(HELD, LEARNT, variant(1.0, writes=False)) is HELD


@pytest.mark.parametrize(("p50", "count"), [(10.0, 64), (600.0, 50), (60_000.0, 24)])
def test_alternatives_are_shown_on_as_many_test_rows_as_half_a_minute_allows(p50: float, count: int) -> None:
    variants = {"decoder q4-0": variant(p50)}
    story: Any = SimpleNamespace(task=write.part, chosen=SimpleNamespace(name="decoder q4-0"), trained=SimpleNamespace(variants=variants))
    assert len(packaging._rows_compared(story, LEARNT)) == count and len(packaging._rows_compared(story, LEARNT[:10])) == 10
    assert packaging._rows_compared(SimpleNamespace(task=classify.part), LEARNT) is LEARNT  # type: ignore[arg-type]
