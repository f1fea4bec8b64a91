"""Travel times between places: a matrix, hours that are slow, and legs that an event slows down or closes.

Travel takes as long as its length at the speeds of the hours that it goes through (Ichoua, Gendreau and Potvin 2003, "Vehicle dispatching
with time-dependent travel times"): who leaves later never arrives earlier.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from smidgen.plans.routing.distances import NEVER, Matrix
from smidgen.plans.routing.network import StreetNetwork

HOUR = 3600


@dataclass(frozen=True, slots=True)
class Slowdown:
    """Legs that are slower for a while: (places, places) `factors` of travel time, inf where the leg is closed, from one time of day until
    another. `metres`: the lengths of the ways round, where they are known."""

    factors: npt.NDArray[np.float64]
    begins: int
    ends: int
    metres: Matrix | None = None


@dataclass(frozen=True)
class Travel:
    """Times and lengths of the legs between places.

    Attributes:
        names: the places.
        seconds: (places, places) seconds from a row's place to a column's place on free roads; NEVER where there is no way.
        metres: (places, places) metres.
        source: `straight lines`, `streets`, `matrix` or `Valhalla`.
        hours: 24 factors of travel time by hour of day, 1 for free roads.
        slowdowns: of events.
        network: of streets, to compute the legs anew where streets are closed; None for another source.
    """

    names: tuple[str, ...]
    seconds: Matrix
    metres: Matrix
    source: str
    hours: tuple[float, ...] = (1.0,) * 24
    slowdowns: tuple[Slowdown, ...] = ()
    network: StreetNetwork | None = field(default=None, compare=False)

    @cached_property
    def place(self) -> Mapping[str, int]:
        """The number of each place."""
        return {name: number for number, name in enumerate(self.names)}

    @cached_property
    def steady(self) -> bool:
        """Whether every leg takes as long at any time of day."""
        return len(set(self.hours)) == 1 and all(slow.begins <= 0 and slow.ends >= 2 * 24 * HOUR for slow in self.slowdowns)

    @cached_property
    def _changes(self) -> tuple[int, ...]:
        hours = [hour * HOUR for hour in range(1, 24) if self.hours[hour] != self.hours[hour - 1]]
        return tuple(sorted({*hours, *(slow.begins for slow in self.slowdowns), *(slow.ends for slow in self.slowdowns)}))

    def factor(self, origin: int, target: int, time: int) -> float:
        """How much longer a leg takes at a time of day than on free roads; inf if it is closed."""
        found = self.hours[min(time // HOUR, 23)]
        for slow in self.slowdowns:
            if slow.begins <= time < slow.ends:
                found *= float(slow.factors[origin, target])
        return found

    def lasts(self, origin: int, target: int, time: int) -> int:
        """Seconds of a leg that begins at a time of day, waiting before a closed street included; NEVER if there is no way."""
        left = float(self.seconds[origin, target])
        if left >= NEVER:
            return NEVER
        if left <= 0:
            return 0
        here = time
        for change in (*self._changes, None):
            if change is not None and change <= here:
                continue
            factor = self.factor(origin, target, here)
            if change is None:
                return NEVER if math.isinf(factor) else math.ceil(here - time + left * factor)
            done = 0.0 if math.isinf(factor) else (change - here) / factor
            if done >= left:
                return math.ceil(here - time + left * factor)
            left, here = left - done, change
        return NEVER

    def at(self, time: int) -> Matrix:
        """(places, places) seconds of all legs that begin at a time of day, as `lasts` gives them."""
        left = self.seconds.astype(np.float64)
        found = np.full(left.shape, float(NEVER))
        open_legs = (left > 0) & (left < NEVER)
        found[left <= 0] = 0.0
        here = time
        with np.errstate(invalid="ignore", divide="ignore"):
            for change in (*(change for change in self._changes if change > time), None):
                factors = np.full(self.seconds.shape, self.hours[min(here // HOUR, 23)])
                for slow in self.slowdowns:
                    if slow.begins <= here < slow.ends:
                        factors = factors * slow.factors
                done = np.inf if change is None else (change - here) / factors
                ready = open_legs & (left <= done) & np.isfinite(factors)
                found[ready] = np.minimum(np.ceil(here - time + left * factors)[ready], NEVER)
                open_legs &= ~ready
                if change is None or not open_legs.any():
                    break
                left, here = left - np.where(np.isfinite(factors), done, 0.0), change
        return found.astype(np.int64)

    def length(self, origin: int, target: int, time: int) -> int:
        """Metres of a leg that begins at a time of day."""
        for slow in self.slowdowns:
            if slow.metres is not None and slow.begins <= time < slow.ends:
                return int(slow.metres[origin, target])
        return int(self.metres[origin, target])
