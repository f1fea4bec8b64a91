"""Which of the older rows newer ones contradict, by where a model of the older ones errs on the newer, and did not on its own.

Where meanings changed, most of what was known still holds: to forget all of it costs more than the change did. A head on frozen vectors
is fitted on the older rows. Its errors, 0 or 1, are regressed on the vectors by the same kernel: those on the newer rows, and those on
the older ones, each left out. An older row is contradicted where the first is so much higher than the second. Single errors are drowned
by their neighbours; a label whose rows err as a whole stands out after a few of them; and what was hard before contradicts nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smidgen.stats import kernel_ridge
from smidgen.stats.kernel_ridge import Floats

LANDMARKS = 2048
WORSE = 0.4
"""By so much more is erred near an older row from which on it is contradicted."""
SMOOTH = 1.0
"""Ridge of the regression of errors: more than a classifier's, for an error is a label that is mostly noise."""
LEAST = 20
"""Newer rows that must be there."""
KEPT = 2
"""Rows that a label keeps: of one that would have fewer none is called contradicted, or it could not be learnt any more."""

Labels = NDArray[np.int64]


def contradicted(older: Floats, said: Labels, newer: Floats, says: Labels) -> NDArray[np.bool_]:
    """(n,) which of the older rows are contradicted; none where there are fewer than `LEAST` newer ones.

    Args:
        older, newer: (n, width) and (m, width) unit vectors.
        said, says: (n,) and (m,) labels by their numbers, of both alike.
    """
    none = np.zeros(len(older), dtype=bool)
    if not len(older) or len(newer) < LEAST:
        return none
    names = np.unique(said)
    head = kernel_ridge.fit(older, (said[:, None] == names).astype(np.float32), landmarks=LANDMARKS)
    now, then = (
        (names[scores.argmax(axis=1)] != right).astype(np.float32)[:, None]
        for scores, right in ((head.scores(newer), says), (head.left_out, said))
    )
    here, there = (kernel_ridge.fit(x, errors, ridge=SMOOTH, landmarks=LANDMARKS) for x, errors in ((newer, now), (older, then)))
    worse = here.scores(older) - there.left_out
    found = worse[:, 0] > WORSE
    counts = np.bincount(np.concatenate([said[~found], says]), minlength=int(max(said.max(), says.max())) + 1)
    return np.asarray(found & (counts[said] >= KEPT))
