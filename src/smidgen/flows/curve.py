"""How accuracy grows with training rows, measured in seconds instead of by training the student again and again.

A head is fitted in closed form (`data/frozen_head.py`) on the frozen base's vectors of an eighth, a quarter, half and all of the training
rows, and tested on the test rows. The student makes fewer errors than this stand-in; its errors are taken to fall at
the same rate, so the stand-in's error at each size is scaled by the ratio of the two at full size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smidgen.core.parts import Form
from smidgen.core.rows import Row
from smidgen.data import frozen_head
from smidgen.flows.embedding import Embed

SHARES = (0.125, 0.25, 0.5, 1.0)
DRAWS = 3
ABOUT = (
    "Measured with a kernel head on the frozen base at each size, up to 3 draws, and scaled to this model's errors at full size: "
    "the rate at which errors fall is taken to be the same."
)
_MOST_ROWS = 10_000
_MANY = 4_000
"""Rows, a draw of which says as much as three do of fewer, and takes seconds."""
_LANDMARKS = 2048
"""Fewer would keep the head from learning what the rows past them teach, and so say that more rows are of no use."""

Points = list[tuple[int, float]]


def measure(rows: Sequence[Row], test: Sequence[Row], form: Form, accuracy: float, embed: Embed, seed: int) -> Points:
    """(rows, accuracy) at each size and draw, for a model that has `accuracy` with all rows. Empty where a curve cannot be measured:
    several labels a text, or too few rows."""
    index = {label: number for number, label in enumerate(form["labels"])}
    rows = [row for row in rows if isinstance(row.output, str) and row.output in index]
    test = [row for row in test if isinstance(row.output, str) and row.output in index]
    if form.get("multi_label") or len(rows) < 8 * len(index) or not test:
        return []
    rng = np.random.default_rng([seed, 11])
    rows = [rows[number] for number in rng.permutation(len(rows))[:_MOST_ROWS]]
    test = [test[number] for number in rng.permutation(len(test))[:_MOST_ROWS]]
    vectors, targets = embed([row.input for row in rows]), np.array([index[row.output] for row in rows])
    asked, gold = embed([row.input for row in test]), np.array([index[row.output] for row in test])
    found: Points = []
    for share in SHARES:
        n = round(share * len(rows))
        for _ in range(DRAWS if n <= _MANY else 1):
            drawn = rng.permutation(len(rows))[:n]
            said = frozen_head.fitted(vectors[drawn], targets[drawn], len(index), _LANDMARKS).scores(asked)
            found.append((n, float((said.argmax(axis=1) == gold).mean())))
    whole = 1 - found[-1][1]
    scale = (1 - accuracy) / whole if whole > 0 else 1.0
    return [(n, max(0.0, 1 - scale * (1 - value))) for n, value in found]
