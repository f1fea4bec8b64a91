"""A measured number and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric on `n` rows with its 95 % interval, all in the metric's own unit (a share is in 0..1)."""

    value: float
    low: float
    high: float
    n: int

    def json(self) -> dict[str, float | int]:
        """As it stands in reports and in `eval --json`."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}
