"""Learn again and again: by the clock, when enough new answers are there, or when traffic has drifted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from smidgen.core.errors import InputError, SmidgenError

LOOK_SECONDS = 30.0
"""How often new answers are counted."""
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


@dataclass(frozen=True)
class LearnSchedule:
    """When to learn: every so many seconds, when so many new pairs are there, when traffic has drifted. None, and False, are never."""

    every: float | None = None
    when_new: int | None = None
    when_drift: bool = False


def parse_duration(said: str) -> float:
    """`90s`, `15m`, `1h`, `7d` as seconds. Raises InputError for anything else."""
    number, unit = said[:-1], said[-1:]
    try:
        found = float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        found = 0.0
    if not 1 <= found <= 366 * _UNITS["d"]:
        raise InputError("this is not an interval", value=said, todo="Write a number and s, m, h or d, such as --every 1h.")
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
    """Learn when it is time, until `stop` is set; how often that was. A learning that fails is told of, and the next one comes when it is
    due: what is wrong today (a full disk, a locked store) may be right tomorrow. One that came for new pairs comes again when as many more
    are there, for training takes minutes, and what fails may fail each time.

    Args:
        once: learns.
        new: counts the pairs that came since the last time, as far as it is told to.
        failed: told of what went wrong.
        at_once: whether the clock's first time is now.
        drifted: looks at the traffic, where enough of it is new, and says whether it raised an alarm.
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
                    wanted += schedule.when_new  # where it fails, these pairs alone do not bring it again
                once()
                wanted = schedule.when_new
        except (SmidgenError, OSError) as error:
            failed(error)
        left = due - time.monotonic() if schedule.every is not None else LOOK_SECONDS
        looking = schedule.when_new is not None or schedule.when_drift
        stop.wait(max(0.0, min(LOOK_SECONDS, left)) if looking else max(0.0, left))
    return times
