"""The confusion table as it is drawn: which labels to show when there are many, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.judge.sections import ConfusionTable
from smidgen.stats.classification import confusion

MOST_SHOWN = 48
"""More cells than a screen or a printed page can show apart."""


def table(gold: Sequence[Any], predicted: Sequence[Any], labels: Sequence[str], most: int = MOST_SHOWN) -> ConfusionTable:
    """Counts of single-label rows, gold down and predicted across.

    Above `most` labels only those with most mistakes are shown, chosen pair by pair so that both ends of a mistake are in the table.
    """
    counts = confusion(gold, predicted, labels)
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    kept = _most_confused(wrong, most) if len(labels) > most else list(range(len(labels)))
    order = [kept[at] for at in _chained(wrong[np.ix_(kept, kept)], [labels[at] for at in kept])]
    shown = counts[np.ix_(order, order)]
    return ConfusionTable(
        labels=tuple(labels[at] for at in order),
        counts=tuple(tuple(int(cell) for cell in row) for row in shown),
        left_out=len(labels) - len(order),
        left_out_errors=int(wrong.sum() - wrong[np.ix_(order, order)].sum()),
    )


def _most_confused(wrong: NDArray[np.int64], most: int) -> list[int]:
    both = np.triu(wrong + wrong.T, 1)
    chosen: dict[int, None] = {}
    for flat in np.argsort(-both, axis=None, kind="stable"):
        pair = divmod(int(flat), len(wrong))
        if both[pair] == 0 or len(chosen) >= most:
            break
        for label in pair:
            if len(chosen) < most:
                chosen.setdefault(label)
    for label in range(len(wrong)):
        if len(chosen) >= most:
            break
        chosen.setdefault(label)
    return sorted(chosen)


def _chained(wrong: NDArray[np.int64], names: Sequence[str]) -> list[int]:
    """An order in which labels mistaken for each other stand together: the strongest pairs are joined first, end to end, into chains
    (the greedy edge heuristic for paths); the chains follow each other by their number of mistakes, labels without any by name."""
    n = len(wrong)
    both = np.triu(wrong + wrong.T, 1)
    chains: dict[int, list[int]] = {at: [at] for at in range(n)}  # by chain number
    home = list(range(n))
    for flat in np.argsort(-both, axis=None, kind="stable"):
        one, two = divmod(int(flat), n)
        if both[one, two] == 0:
            break
        first, second = chains[home[one]], chains[home[two]]
        if first is second or one not in (first[0], first[-1]) or two not in (second[0], second[-1]):
            continue
        left = first if first[-1] == one else first[::-1]
        right = second if second[0] == two else second[::-1]
        joined, kept, gone = left + right, home[one], home[two]
        chains[kept] = joined
        del chains[gone]
        for label in right:
            home[label] = kept
    mistakes = wrong.sum(axis=0) + wrong.sum(axis=1)
    weight = {number: int(mistakes[chain].sum()) for number, chain in chains.items()}
    ranked = sorted(chains, key=lambda number: (-weight[number] / len(chains[number]), names[chains[number][0]]))
    return [label for number in ranked for label in chains[number]]
