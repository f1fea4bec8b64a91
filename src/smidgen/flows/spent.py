"""What a step's training takes, the tries that were stopped included: written down beside its checkpoint while it goes on."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from smidgen.machine.energy import Energy, Meter

NOTE = "smidgen_spent.json"


class Spent:
    """Seconds and energy of one step, from its making on, and those of earlier tries that left a note in its folder.

    Args:
        folder: the step's own, which survives a kill.
        meter: of this try.
    """

    def __init__(self, folder: Path, meter: Meter) -> None:
        self._file, self._meter, self._began = folder / NOTE, meter, time.perf_counter()
        found: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8")) if self._file.is_file() else {}
        self._before = float(found.get("seconds", 0.0)), float(found.get("watt_hours", 0.0))

    def taken(self) -> tuple[float, Energy]:
        """So far."""
        seconds, watt_hours = self._before
        energy = self._meter.read()
        method = f"{energy.method}; and what stopped tries took" if seconds else energy.method
        return seconds + time.perf_counter() - self._began, Energy(watt_hours + energy.watt_hours, method)

    def noted(self) -> Energy:
        """The energy so far, once it and the seconds are written down, beside the old note and renamed over it."""
        seconds, energy = self.taken()
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps({"seconds": seconds, "watt_hours": energy.watt_hours}), encoding="utf-8")
        fresh.replace(self._file)
        return energy

    def forget(self) -> None:
        """Remove the note, once the step is done."""
        self._file.unlink(missing_ok=True)
