"""Select the rows of a pool that teach most, if not all can be labelled or are worth learning from.

Facility location, chosen greedily (Nemhauser, Wolsey and Fisher 1978): the rows that together are most similar to all others, so that each
new one covers rows that no chosen one does. Similarity falls off with distance as `exp(SHARPNESS * (cosine - 1))`. Among unlabelled rows,
doubtful ones count more: the doubt is how near the two likeliest labels are to each other, by a head on the labelled rows. Among labelled
rows each label gets an equal part. docs/log.md has the gain over random choice, and the other methods tried.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from smidgen.core.rows import Row, Text, joined
from smidgen.stats.kernel_ridge import class_probabilities, fit_classifier

SHARPNESS = 5.0
_CANDIDATES, _POINTS = 8_000, 8_000
"""Most candidate rows, and most rows to cover, at once: a table of 256 MB."""
_COVERED = 0.25
"""Share of the candidates that is chosen by cover. Beyond it cover is no better than chance, so the rest is drawn at random."""

Floats = NDArray[np.float32]
Embed = Callable[[Sequence[Text]], Floats]
"""n texts to (n, width) vectors of length one."""


def select_unlabelled(pool: Sequence[Row], count: int, known: Sequence[Row], embed: Embed | None, seed: int) -> list[int]:
    """Choose `count` rows of an unlabelled pool; returns their places, in order.

    Args:
        known: rows with one label each, which need no covering and show which labels are doubtful; may be empty.
        embed: makes vectors of texts; without it the choice is random.
    """
    rng = np.random.default_rng([seed, 53])
    if count >= len(pool):
        return list(range(len(pool)))
    if embed is None:
        return sorted(rng.permutation(len(pool))[:count].tolist())
    vectors = embed([joined(row.input) for row in pool])
    names = sorted({str(row.output) for row in known})
    if len(names) < 2:
        return sorted(select_covering(vectors, count, rng))
    near = embed([joined(row.input) for row in known])
    head = fit_classifier(near, np.array([names.index(str(row.output)) for row in known]), len(names))
    ranked = np.sort(class_probabilities(head.scores(vectors)), axis=1)
    doubt = 1.0 - (ranked[:, -1] - ranked[:, -2])
    return sorted(select_covering(vectors, count, rng, doubt.astype(np.float32), near))


def select_labelled(vectors: Floats, labels: Sequence[str], count: int, seed: int) -> list[int]:
    """Choose `count` labelled rows, an equal number of each label as far as possible; returns their places, in order. `vectors`: (n, width)
    of length one."""
    rng = np.random.default_rng([seed, 59])
    by_label: dict[str, list[int]] = defaultdict(list)
    for place, label in enumerate(labels):
        by_label[label].append(place)
    chosen: list[int] = []
    for label, share in _shares({label: len(places) for label, places in by_label.items()}, count).items():
        places = np.array(by_label[label])
        if share:
            chosen += places[select_covering(vectors[places], share, rng, covered=1.0)].tolist()
    return sorted(chosen)


def select_covering(
    vectors: Floats,
    count: int,
    rng: np.random.Generator,
    weights: Floats | None = None,
    start: Floats | None = None,
    covered: float = _COVERED,
) -> list[int]:
    """Choose `count` vectors that cover all of them; returns their places.

    Args:
        vectors: (n, width) of length one.
        weights: (n,) how much each needs covering; None for equal.
        start: vectors that are chosen already.
        covered: share of the rows after which the rest is drawn at random.
    """
    order = rng.permutation(len(vectors))
    if count >= len(order):
        return sorted(order.tolist())
    candidates, points = order[:_CANDIDATES], order[:_POINTS]
    like = _likeness(vectors[candidates] @ vectors[points].T)
    weight = np.ones(len(points), np.float32) if weights is None else weights[points]
    best = np.zeros(len(points), np.float32)
    if start is not None and len(start):
        best = _likeness((vectors[points] @ start.T).max(axis=1))
    chosen = candidates[_greedy(like, weight, best, min(count, max(1, int(covered * len(candidates)))))].tolist()
    rest = np.setdiff1d(order, chosen, assume_unique=True)
    return [*chosen, *rng.permutation(rest)[: count - len(chosen)].tolist()]


def _greedy(like: Floats, weight: Floats, best: Floats, count: int) -> list[int]:
    """Choose lazily (Minoux 1978): a candidate's gain can only fall, so one that still leads after an update is the best."""
    gains = [(-float(weight @ np.maximum(row - best, 0.0)), place) for place, row in enumerate(like)]
    heapq.heapify(gains)
    chosen: list[int] = []
    while len(chosen) < count:
        _, place = heapq.heappop(gains)
        gain = float(weight @ np.maximum(like[place] - best, 0.0))
        if not gains or gain >= -gains[0][0]:
            chosen.append(place)
            best = np.maximum(best, like[place])
        else:
            heapq.heappush(gains, (-gain, place))
    return chosen


def _likeness(cosines: Floats) -> Floats:
    return np.asarray(np.exp(SHARPNESS * (np.minimum(cosines, 1.0) - 1.0)), dtype=np.float32)


def _shares(counts: dict[str, int], total: int) -> dict[str, int]:
    """The number of rows for each label: equal shares; if a label has too few rows, the others get more."""
    shares = dict.fromkeys(sorted(counts), 0)
    left = min(total, sum(counts.values()))
    while left:
        open_labels = [label for label in shares if shares[label] < counts[label]]
        each = max(1, left // len(open_labels))
        for label in open_labels:
            more = min(each, counts[label] - shares[label], left)
            shares[label] += more
            left -= more
            if not left:
                break
    return shares
