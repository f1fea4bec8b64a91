"""Energy: measured by the processor's own counters (RAPL) where they can be read, else estimated, and it says which."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from smidgen.machine.processor import cores

_RAPL = Path("/sys/class/powercap")
WATTS_PER_BUSY_CORE = 10.0
"""The estimate's assumption: a busy server core with its share of cache, memory and fans. Servers are rated at 200 to 400 W for 24 to
64 cores, laptops at 15 to 28 W for 2 to 4 performance cores; 10 W a core lies above most of them, so the estimate errs high."""


@dataclass(frozen=True, slots=True)
class Energy:
    """An amount of energy in watt hours, and how it was found: `rapl` or an estimate with its assumption in words."""

    watt_hours: float
    method: str

    def short(self) -> str:
        """For a progress bar: "0.42 Wh", or "0.42 Wh (estimate)" where no counter was read."""
        return f"{self.watt_hours:.2f} Wh" + ("" if self.method.startswith("rapl") else " (estimate)")


class Meter:
    """Measures the energy of the time between its making and `read`. RAPL counts the whole package, neighbours included."""

    def __init__(self) -> None:
        self._counters = counters()
        self._began = [joules(counter) for counter in self._counters]
        self._cpu = time.process_time()

    def read(self) -> Energy:
        """Energy since the meter was made. A wrapped RAPL counter is unwrapped once: read at least every few minutes of full load."""
        if self._counters and None not in self._began:
            total = 0.0
            for counter, before in zip(self._counters, self._began, strict=True):
                now = joules(counter)
                if now is None or before is None:
                    return self._estimate()
                total += between(counter, before, now)
            return Energy(total / 3600, "rapl: package counters of the processor")
        return self._estimate()

    def _estimate(self) -> Energy:
        seconds = time.process_time() - self._cpu
        method = f"estimate: {WATTS_PER_BUSY_CORE:g} W a busy core, {seconds:.0f} core-seconds on {cores()} cores (RAPL not readable)"
        return Energy(seconds * WATTS_PER_BUSY_CORE / 3600, method)


def rapl_readable() -> bool:
    """Whether the processor's energy counters can be read here."""
    return bool(counters())


def counters() -> list[Path]:
    """The package-level counters (`intel-rapl:0`, not its sub-domains) that this user may read."""
    if not _RAPL.is_dir():
        return []
    return [folder for folder in sorted(_RAPL.glob("*-rapl:?")) if joules(folder) is not None]


def joules(counter: Path) -> float | None:
    """What a counter says, in joules; None where it cannot be read."""
    try:
        return int((counter / "energy_uj").read_text(encoding="ascii")) / 1e6
    except (OSError, ValueError):
        return None


def between(counter: Path, before: float, now: float) -> float:
    """Joules from one reading of a counter to the next; one that has gone round is taken to have done so once."""
    return now - before if now >= before else now - before + _range(counter)


def _range(counter: Path) -> float:
    try:
        return int((counter / "max_energy_range_uj").read_text(encoding="ascii")) / 1e6
    except (OSError, ValueError):
        return 0.0
