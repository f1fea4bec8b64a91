"""Memory: what this process holds, what it held at most, what the machine has. In MB of 10^6 bytes."""

from __future__ import annotations

import sys
from pathlib import Path


def resident_mb(pid: int | None = None) -> float | None:
    """Resident memory of a process now, of this one without a `pid`; None where the system does not say, or there is no such process."""
    return _kb(Path("/proc") / ("self" if pid is None else str(pid)) / "status", "VmRSS")


def peak_mb() -> float | None:
    """The most resident memory this process has had; None where the system does not say."""
    peak = _status("VmHWM")
    if peak is not None or sys.platform == "win32":
        return peak
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 1e6 if sys.platform == "darwin" else used * 1024 / 1e6


def ended_children_peak_mb() -> float | None:
    """The most resident memory that any child of this process had, of those that have ended; 0 without one; None where the system does not
    say."""
    if sys.platform == "win32":
        return None
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return used / 1e6 if sys.platform == "darwin" else used * 1024 / 1e6


def reset_peak() -> None:
    """Count the peak from now on, where Linux allows it."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return


def total_mb() -> float | None:
    """Memory of the machine; None where the system does not say."""
    return _kb(Path("/proc/meminfo"), "MemTotal")


def available_mb() -> float | None:
    """Memory that a new process could have now; None where the system does not say."""
    return _kb(Path("/proc/meminfo"), "MemAvailable")


def _status(field: str) -> float | None:
    return _kb(Path("/proc/self/status"), field)


def _kb(file: Path, field: str) -> float | None:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux, or the process has ended by now
        return None
    for line in text.splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    return None
