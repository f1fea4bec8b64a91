"""Energy and processor time: of a stretch of work in this process, and of this process with its helper processes.

Energy is measured by the processor's own counters (RAPL) if they can be read, else estimated; `method` says which. The energy of the
package is divided by processor time: these processes get their part of all busy time. So the busy processes carry the package's idle
energy. The estimate is processor time at `WATTS_PER_BUSY_CORE`.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from smidgen.machine.processor import cores

_RAPL = Path("/sys/class/powercap")
WATTS_PER_BUSY_CORE = 10.0
"""The estimate's assumption: a busy server core with its share of cache, memory and fans. Servers are rated at 200 to 400 W for 24 to
64 cores, laptops at 15 to 28 W for 2 to 4 performance cores; 10 W a core lies above most of them, so the estimate errs high."""
LARGE_MODEL_WH = 0.24
"""Watt hours of one request to a large model: the median text prompt of Gemini Apps in May 2025, idle machines and cooling included
(Elsworth et al., "Measuring the environmental impact of delivering AI at Google Scale", arXiv:2508.15734). Others named 0.3 to 0.34."""


@dataclass(frozen=True, slots=True)
class Energy:
    """An amount of energy in watt hours, and its source: `rapl` or an estimate with its assumption in words."""

    watt_hours: float
    method: str

    def short(self) -> str:
        """The energy for a progress bar: "0.42 Wh", or "0.42 Wh (estimate)" if no counter was read."""
        return f"{self.watt_hours:.2f} Wh" + ("" if self.method.startswith("rapl") else " (estimate)")


class EnergyMeter:
    """Measures the energy between its creation and `read`. RAPL counts the whole package, other processes included."""

    def __init__(self) -> None:
        self._counters = rapl_counters()
        self._began = [read_joules(counter) for counter in self._counters]
        self._cpu = time.process_time()

    def read(self) -> Energy:
        """Energy since the meter was made. A wrapped RAPL counter is unwrapped once: read at least every few minutes of full load."""
        if self._counters and None not in self._began:
            total = 0.0
            for counter, before in zip(self._counters, self._began, strict=True):
                now = read_joules(counter)
                if now is None or before is None:
                    return self._estimate()
                total += joules_between(counter, before, now)
            return Energy(total / 3600, "rapl: package counters of the processor")
        return self._estimate()

    def _estimate(self) -> Energy:
        seconds = time.process_time() - self._cpu
        method = f"estimate: {WATTS_PER_BUSY_CORE:g} W a busy core, {seconds:.0f} core-seconds on {cores()} cores (RAPL not readable)"
        return Energy(seconds * WATTS_PER_BUSY_CORE / 3600, method)


def rapl_readable() -> bool:
    """Whether the processor's energy counters can be read here."""
    return bool(rapl_counters())


def rapl_counters() -> list[Path]:
    """The package-level counters (`intel-rapl:0`, not its sub-domains) that this user may read."""
    if not _RAPL.is_dir():
        return []
    return [folder for folder in sorted(_RAPL.glob("*-rapl:?")) if read_joules(folder) is not None]


def read_joules(counter: Path) -> float | None:
    """Read a counter, in joules; None if it cannot be read."""
    try:
        return int((counter / "energy_uj").read_text(encoding="ascii")) / 1e6
    except (OSError, ValueError):
        return None


def joules_between(counter: Path, before: float, now: float) -> float:
    """Joules from one reading of a counter to the next; a wrapped counter is assumed to have wrapped once."""
    return now - before if now >= before else now - before + _range(counter)


def _range(counter: Path) -> float:
    try:
        return int((counter / "max_energy_range_uj").read_text(encoding="ascii")) / 1e6
    except (OSError, ValueError):
        return 0.0


MEASURED = "rapl: the package's energy, by these processes' share of all busy processor time"
ESTIMATED = f"estimate: {WATTS_PER_BUSY_CORE:g} W a busy core"


@dataclass(slots=True)
class Consumed:
    """Consumption since it was last taken.

    Attributes:
        own: core-seconds of this process, all its threads together.
        others: core-seconds of other processes, by process id; those unknown to the system are missing.
        measured, estimated: joules of all of them, by method.
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
class _MeterReading:
    """The meters at one moment: core-seconds, and joules of each package."""

    own: float
    others: Mapping[int, float]
    busy: float
    joules: tuple[float | None, ...]


class Consumption:
    """Counts consumption from its creation on, in one thread. Call `note` every few seconds: a counter that wrapped twice is not
    noticed."""

    def __init__(self) -> None:
        self._counters = rapl_counters()
        self._since = Consumed()
        self._before = self._read(())

    def note(self, pids: Collection[int]) -> None:
        """Read the meters. `pids`: the other processes that count; a new one counts from now on."""
        now, before = self._read(pids), self._before
        own = now.own - before.own
        others = {pid: max(0.0, seconds - before.others[pid]) for pid, seconds in now.others.items() if pid in before.others}
        seconds = own + sum(others.values())
        package = self._package(before, now)
        if package is not None:
            busy = now.busy - before.busy
            self._since.measured += package * min(1.0, seconds / busy) if busy > 0 else 0.0
        else:
            self._since.estimated += seconds * WATTS_PER_BUSY_CORE
        self._since.own += own
        for pid, taken in others.items():
            self._since.others[pid] = self._since.others.get(pid, 0.0) + taken
        self._before = now

    def take(self) -> Consumed:
        """Return the consumption since the last call, and start anew."""
        taken, self._since = self._since, Consumed()
        return taken

    def _read(self, pids: Collection[int]) -> _MeterReading:
        found = {pid: seconds for pid in pids if (seconds := seconds_of(pid)) is not None}
        joules = tuple(read_joules(counter) for counter in self._counters)
        return _MeterReading(time.process_time(), found, _busy() if joules else 0.0, joules)

    def _package(self, before: _MeterReading, now: _MeterReading) -> float | None:
        """Joules of all packages between two readings; None if they cannot be read."""
        total = 0.0
        for counter, earlier, later in zip(self._counters, before.joules, now.joules, strict=True):
            if earlier is None or later is None:
                return None
            total += joules_between(counter, earlier, later)
        return total if self._counters else None


def seconds_of(pid: int) -> float | None:
    """Processor time of another process so far, in core-seconds; None if it has ended, or may not be looked at."""
    try:
        times = psutil.Process(pid).cpu_times()
    except (psutil.Error, ValueError):
        return None
    return float(times.user + times.system)


def _busy() -> float:
    """Core-seconds that all cores of the machine were busy so far: without idle, waiting and stolen time. Time of guests is user time."""
    times = psutil.cpu_times()
    return sum(getattr(times, name, 0.0) for name in ("user", "nice", "system", "irq", "softirq"))
