"""What is not learnt from any more: rows from before a revocation that newer ones contradict.

Whose output counts for more is not contradicted by whose counts for less: what is in a file that somebody gave stays, whatever the large
model says by now, and what people corrected is contradicted by later corrections alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import numpy as np

from smidgen.core.progress import Progress
from smidgen.flows.embedding import Embed
from smidgen.flows.learning.material import RANK, Material
from smidgen.stats.contradiction import LEAST, contradicted

WHY = "from before a revocation, and newer rows say otherwise"


def left_out(material: Material, revoked: datetime | None, encoder: Callable[[], Embed | None], progress: Progress) -> Material:
    """The material of a task with one label each without such rows, of which it says how many there are; as it is where no certificate was
    revoked, or there is no encoder to compare texts by."""
    rows = material.learning
    if revoked is None or not rows or not all(isinstance(taken.row.output, str) for taken in rows):
        return material
    new = np.array([taken.at > revoked for taken in rows])
    rank = np.array([RANK[taken.source] for taken in rows])
    if not any(((rank == one) & ~new).any() and ((rank >= one) & new).sum() >= LEAST for one in set(rank.tolist())):
        return material
    embed = encoder()
    if embed is None:
        progress.say("rows from before the revocation are all learnt from, also where newer ones say otherwise: smidgen pull minilm")
        return material
    progress.start("compare rows from before the revocation with newer ones")
    vectors = embed([taken.row.input for taken in rows])
    labels = sorted({taken.row.output for taken in rows})
    said = np.array([labels.index(taken.row.output) for taken in rows])
    gone = np.zeros(len(rows), dtype=bool)
    for one in sorted(set(rank.tolist())):
        old, newer = (rank == one) & ~new, (rank >= one) & new
        gone[old] = contradicted(vectors[old], said[old], vectors[newer], said[newer])
    count = int(gone.sum())
    progress.finish(f"{count:,} of {int((~new).sum()):,} left out, for newer ones say otherwise")
    if not count:
        return material
    kept = tuple(taken for taken, out in zip(rows, gone.tolist(), strict=True) if not out)
    return replace(material, learning=kept, unusable=(*material.unusable, (WHY, count)))
