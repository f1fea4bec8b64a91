"""Learn repeatedly: by the clock, when enough answers are new, or when the traffic has drifted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from smidgen.core.errors import InputError, SmidgenError

LOOK_SECONDS = 30.0
"""Seconds between two counts of the new answers."""
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


@dataclass(frozen=True)
class LearnSchedule:
    """When to learn: every this many seconds, at this many new pairs, after drift. None and False switch a reason off."""

    every: float | None = None
    when_new: int | None = None
    when_drift: bool = False


def parse_duration(said: str) -> float:
    """Convert `90s`, `15m`, `1h` or `7d` to seconds. Raises InputError for anything else."""
    number, unit = said[:-1], said[-1:]
    try:
        found = float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        found = 0.0
    if not 1 <= found <= 366 * _UNITS["d"]:
        raise InputError("flows.interval_is_not_valid", value=said)
    return found


def run_schedule(
    once: Callable[[], object],
    new: Callable[[int], int],
    schedule: LearnSchedule,
    stop: threading.Event,
    failed: Callable[[SmidgenError | OSError], None],
    *,
    at_once: bool = True,
    drifted: Callable[[], bool] = lambda: False,
) -> int:
    """Learn whenever the schedule says so, until `stop` is set. Returns the number of cycles.

    A cycle that fails is reported, and the next one runs when it is due: a full disk or a locked store may be temporary. After a failure, a
    cycle for new pairs waits for as many more pairs, because training takes minutes and may fail each time.

    Args:
        once: runs one cycle.
        new: counts the pairs since the last cycle, up to the given number.
        failed: receives the error of a failed cycle.
        at_once: whether the first cycle by the clock is now.
        drifted: checks the traffic for drift, if enough of it is new; True for an alarm.
    """
    times, due = 0, time.monotonic() + (0.0 if at_once else schedule.every or 0.0)
    wanted = schedule.when_new
    while not stop.is_set():
        now = time.monotonic()
        try:
            ripe = wanted is not None and new(wanted) >= wanted
            if ripe or (schedule.every is not None and now >= due) or (schedule.when_drift and drifted()):
                due = now + (schedule.every or 0.0)
                times += 1
                if ripe and wanted is not None and schedule.when_new is not None:
                    wanted += schedule.when_new  # after a failure, these pairs alone do not start the next cycle
                once()
                wanted = schedule.when_new
        except (SmidgenError, OSError) as error:
            failed(error)
        left = due - time.monotonic() if schedule.every is not None else LOOK_SECONDS
        looking = schedule.when_new is not None or schedule.when_drift
        stop.wait(max(0.0, min(LOOK_SECONDS, left)) if looking else max(0.0, left))
    return times
