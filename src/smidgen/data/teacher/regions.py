"""Where the user's texts lie close together, and where they are thin: what new examples without labels are aimed by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smidgen.data.selecting import SHARPNESS, spread


def regions(vectors: NDArray[np.float32], count: int, rng: np.random.Generator) -> tuple[list[int], NDArray[np.int64], NDArray[np.float64]]:
    """Rows that together are most like all others, one for each region; (n,) the number of the region that each row lies in; how thin each
    region is: the less its rows are like others, the more.

    Args:
        vectors: (n, width) of length one.
        count: regions wanted, at most n.
    """
    centres = sorted(spread(vectors, count, rng, covered=1.0))
    nearest = (vectors @ vectors[centres].T).argmax(axis=1).astype(np.int64)
    nearest[centres] = np.arange(len(centres))  # of two that say the same, each stands for its own
    crowd = np.exp(SHARPNESS * (np.minimum(vectors @ vectors.T, 1.0) - 1.0)).sum(axis=1, dtype=np.float64)
    return centres, nearest, np.sqrt(np.bincount(nearest) / np.bincount(nearest, weights=crowd))


def parted(worth: NDArray[np.float64], total: int) -> list[int]:
    """`total` whole parts, as near to what each is worth as whole ones can be (largest remainders)."""
    exact = worth / worth.sum() * total
    whole = np.floor(exact).astype(int)
    for place in np.argsort(-(exact - whole), kind="stable")[: total - int(whole.sum())]:
        whole[place] += 1
    return [int(number) for number in whole]
