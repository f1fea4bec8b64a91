"""Which texts go through a model together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BATCH_OVERHEAD = 16
"""What one more batch costs, in tokens: fixed work of some hundred operators against the work of a token."""

BATCH_TOKENS = 256
"""Most tokens in a batch, padding counted. Enough to keep the products busy: 512 to 2,048 tokens were no faster on MiniLM (860, 840, 765
against 890 texts/s a thread), and each token holds some 20 kB while it is in work."""


def batches(lengths: Sequence[int], threads: int) -> list[list[int]]:
    """Rows by length, cut into batches where padding would cost more than another batch; and so that every thread has work.

    Args:
        lengths: tokens of each row.
        threads: batches that run at once.

    Returns:
        For each batch the numbers of its rows. Each row is in exactly one.
    """
    order = np.argsort(np.asarray(lengths), kind="stable").tolist()
    share = max(BATCH_OVERHEAD * 4, -(-sum(lengths) // max(1, threads)))
    most = min(BATCH_TOKENS, share)
    plan: list[list[int]] = []
    padding = 0
    for row in order:
        if plan:
            batch = plan[-1]
            padding += (lengths[row] - lengths[batch[-1]]) * len(batch)
            if padding <= BATCH_OVERHEAD and (len(batch) + 1) * lengths[row] <= most:
                batch.append(row)
                continue
        plan.append([row])
        padding = 0
    return plan
