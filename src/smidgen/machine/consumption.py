"""What this process and those that work for it took of the machine: processor time, and the energy that goes with it.

Where the processor's own counters (RAPL) can be read, the energy of the package is shared out by processor time: these processes have the
part of it that they have of all busy time. So what the package takes while idle is carried by who is busy. Elsewhere it is an estimate:
processor time at `energy.WATTS_PER_BUSY_CORE`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from smidgen.machine import energy
from smidgen.machine.energy import WATTS_PER_BUSY_CORE

MEASURED = "rapl: the package's energy, by these processes' share of all busy processor time"
ESTIMATED = f"estimate: {WATTS_PER_BUSY_CORE:g} W a busy core"

_PROC = Path("/proc")
_BUSY = (0, 1, 2, 5, 6)
"""Of the first line of `/proc/stat`: user, nice, system, and the two of interrupts. Idle, waiting and stolen time is none of it; the time
of guests stands in user time already."""


@dataclass(slots=True)
class Consumed:
    """Since the last time that it was taken.

    Attributes:
        own: core-seconds of this process, all its threads together.
        others: core-seconds of other processes, by their numbers; those that the system does not tell of are not there.
        measured, estimated: joules of all of them, by how they were found.
    """

    own: float = 0.0
    others: dict[int, float] = field(default_factory=dict)
    measured: float = 0.0
    estimated: float = 0.0

    @property
    def seconds(self) -> float:
        """Core-seconds of all."""
        return self.own + sum(self.others.values())


@dataclass(frozen=True, slots=True)
class _Reading:
    """The meters at one moment: core-seconds, and joules of each package."""

    own: float
    others: Mapping[int, float]
    busy: float | None
    joules: tuple[float | None, ...]


class Consumption:
    """Counts from its making on. Used by one thread. Call `note` every few seconds: a counter that has gone round twice is not seen."""

    def __init__(self) -> None:
        self._counters = energy.counters()
        self._since = Consumed()
        self._before = self._read(())

    def note(self, pids: Collection[int]) -> None:
        """Look at the meters. `pids`: the other processes that count; one that is new counts from now on."""
        now, before = self._read(pids), self._before
        own = now.own - before.own
        others = {pid: max(0.0, seconds - before.others[pid]) for pid, seconds in now.others.items() if pid in before.others}
        seconds = own + sum(others.values())
        package = self._package(before, now)
        busy = now.busy - before.busy if now.busy is not None and before.busy is not None else None
        if package is not None and busy is not None:
            self._since.measured += package * min(1.0, seconds / busy) if busy > 0 else 0.0
        else:
            self._since.estimated += seconds * WATTS_PER_BUSY_CORE
        self._since.own += own
        for pid, taken in others.items():
            self._since.others[pid] = self._since.others.get(pid, 0.0) + taken
        self._before = now

    def take(self) -> Consumed:
        """What was noted since the last time."""
        taken, self._since = self._since, Consumed()
        return taken

    def _read(self, pids: Collection[int]) -> _Reading:
        found = {pid: seconds for pid in pids if (seconds := seconds_of(pid)) is not None}
        joules = tuple(energy.joules(counter) for counter in self._counters)
        return _Reading(time.process_time(), found, _busy() if joules else None, joules)

    def _package(self, before: _Reading, now: _Reading) -> float | None:
        """Joules of all packages meanwhile; None where they cannot be read."""
        total = 0.0
        for counter, earlier, later in zip(self._counters, before.joules, now.joules, strict=True):
            if earlier is None or later is None:
                return None
            total += energy.between(counter, earlier, later)
        return total if self._counters else None


def seconds_of(pid: int) -> float | None:
    """Processor time of another process so far, in core-seconds; None where the system does not say (elsewhere than on Linux), or it has
    ended."""
    try:
        told = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        fields = told.rpartition(")")[2].split()  # its name may hold spaces and brackets
        return (int(fields[11]) + int(fields[12])) / _ticks()
    except (OSError, ValueError, IndexError):
        return None


def _busy() -> float | None:
    """Core-seconds that all cores of the machine were busy so far; None where the system does not say."""
    try:
        with (_PROC / "stat").open(encoding="ascii", errors="replace") as stream:
            fields = stream.readline().split()[1:]
        return sum(int(fields[place]) for place in _BUSY) / _ticks()
    except (OSError, ValueError, IndexError):
        return None


def _ticks() -> int:
    """Clock ticks in a second, as Linux counts processor time."""
    return os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
