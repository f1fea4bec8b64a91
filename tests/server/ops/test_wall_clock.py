"""Which clock is believed where something would be lost for good."""

from __future__ import annotations

from smidgen.server.ops.wall_clock import WallClock

HOUR, YEAR = 3600.0, 365 * 86400.0


def test_it_is_believed_when_it_has_run_for_an_hour_and_is_where_it_would_be() -> None:
    wall, steady = [1e9], [50.0]
    clock = WallClock(lambda: wall[0], lambda: steady[0])

    def after(seconds: float, set_by: float = 0.0) -> bool:
        steady[0] += seconds
        wall[0] += seconds + set_by
        return clock.believed()

    assert not after(0) and not after(HOUR / 2), "it may be wrong since the machine began, and put right soon"
    assert after(HOUR / 2) and after(YEAR)
    assert not after(1, YEAR) and not after(HOUR)
    assert after(1, -YEAR), "it is back"
    assert after(1, -60) and after(1, 30), "time servers do that"
    assert not after(1, -YEAR) and not after(YEAR), "what it was at the start was wrong: until a restart nobody knows"
