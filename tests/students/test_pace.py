"""How many steps fit into a time is seen anew on the way."""

from __future__ import annotations

import pytest

from smidgen.students.decoder import StepBudget


class Clock:
    """Seconds that pass when they are told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def run(pace: StepBudget, clock: Clock, costs: list[float]) -> int:
    """Take steps at these costs until no more fit; how many were taken."""
    steps, taken = pace.before(costs[0]), 0
    while taken < steps:
        clock.now += costs[min(taken, len(costs) - 1)]
        taken += 1
        steps = pace.after(taken)
    return taken


@pytest.mark.parametrize(
    ("costs", "ends"),
    [
        ([1.0], 60.0),
        ([1.0] * 40 + [2.0], 60.0),  # later steps cost more
        ([2.0] * 5 + [1.0], 60.0),  # the first cost more
        ([1.0] * 30 + [5.0] * 2 + [1.0], 60.0),  # the machine was busy for a moment
    ],
)
def test_the_time_is_kept_whatever_steps_come_to_cost(costs: list[float], ends: float) -> None:
    clock = Clock()
    taken = run(StepBudget(ends, 1000, clock), clock, costs)
    assert ends - 5 <= clock.now - 100 <= ends + 2
    assert taken > 20


def test_no_more_than_all_and_one_at_least() -> None:
    clock = Clock()
    assert run(StepBudget(1e6, 7, clock), clock, [1.0]) == 7
    assert StepBudget(0.5, 7, clock).before(3.0) == 1
    late = StepBudget(1.0, 9, clock)
    assert late.before(1.0) == 1
    clock.now += 50
    assert late.after(4) == 4, "what is taken is taken"
