"""Distances between places: in a straight line, and in matrices."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

NEVER = 10_000_000
"""Seconds of a leg that cannot be driven."""
WINDING = 1.3
"""Length of roads per length of the straight line (about 1.2 to 1.4 in European towns; Ballou, Rahardja and Sakai 2002)."""
Matrix: TypeAlias = npt.NDArray[np.int64]
"""Whole seconds or metres, from a row's place to a column's place."""


def beeline(origin: tuple[float, float], target: tuple[float, float]) -> float:
    """Metres between two points (latitude, longitude in degrees) on a sphere."""
    one, other = math.radians(origin[0]), math.radians(target[0])
    wide = math.sin((other - one) / 2) ** 2
    wide += math.cos(one) * math.cos(other) * math.sin(math.radians(target[1] - origin[1]) / 2) ** 2
    return 2 * 6_371_000 * math.asin(math.sqrt(min(1.0, wide)))
