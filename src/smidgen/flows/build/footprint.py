"""Measure the cost of serving a bundle: a fresh process opens it, answers, and reports its seconds and its memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Footprint:
    """Seconds from import to the first answer, and the most resident memory in MB, including the engine's own process."""

    load_seconds: float
    peak_memory_mb: float | None


def measure_footprint(bundle: Path, threads: int) -> Footprint | None:
    """Measure in a fresh process; None if that process could not be run or did not answer in time."""
    command = [sys.executable, "-P", "-m", "smidgen.flows.build.footprint", str(bundle), str(threads)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return Footprint(**json.loads(done.stdout)) if done.returncode == 0 else None


def main() -> None:
    """`python -m smidgen.flows.build.footprint BUNDLE THREADS`: print the footprint as JSON."""
    began = time.perf_counter()
    from smidgen.flows.local_model import load
    from smidgen.machine.memory import ended_children_peak_mb, peak_mb

    model = load(Path(sys.argv[1]), int(sys.argv[2]))
    model.predict(["ready"])
    seconds = time.perf_counter() - began
    own = peak_mb()
    # An engine may hold the weights in a separate process: its memory counts, and is known once it has ended.
    model.close()
    beside = ended_children_peak_mb() if hasattr(model.runner, "close") else 0.0
    peak = None if own is None or beside is None else own + beside
    sys.stdout.write(json.dumps(asdict(Footprint(seconds, peak))))


if __name__ == "__main__":
    main()
