"""chrF (Popović 2015): how alike two texts are in runs of one to six characters, where recall counts twice as much as precision.

It needs no idea of what a word is, so it is fair to languages that join words. The numbers are those of sacrebleu's sentence chrF at its
defaults, on 0..1 where sacrebleu has 0..100: case counts, white space does not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

_ORDER = 6
_BETA = 2


def chrf(text: str, references: Sequence[str]) -> float:
    """chrF of a text and the reference that it is most like, in 0..1. Raises ValueError without references."""
    if not references:
        raise ValueError("chrF needs a reference")
    ours = _ngrams(text)
    return max(_score(ours, _ngrams(reference)) for reference in references)


def _ngrams(text: str) -> list[Counter[str]]:
    """Counts of the runs of one character, of two, ..."""
    letters = "".join(text.split())
    return [Counter(letters[start : start + n] for start in range(len(letters) - n + 1)) for n in range(1, _ORDER + 1)]


def _score(ours: Sequence[Counter[str]], theirs: Sequence[Counter[str]]) -> float:
    """F of the precision and the recall averaged over the lengths that both texts have."""
    precision = recall = 0.0
    lengths = 0
    for our, their in zip(ours, theirs, strict=True):
        if our and their:
            met = sum(min(count, their[run]) for run, count in our.items() if run in their)
            precision += met / our.total()
            recall += met / their.total()
            lengths += 1
    if not precision + recall:
        return 0.0
    precision, recall = precision / lengths, recall / lengths
    return (1 + _BETA**2) * precision * recall / (_BETA**2 * precision + recall)
