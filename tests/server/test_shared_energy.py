"""Energy is shared out to the microjoule, to those that it went to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from smidgen.server.ops.usage_account import RequestWork, share_energy
from smidgen.store.usage_records import UsageKey
from smidgen.usage.energy import Consumed

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
