"""ROUGE and chrF: the overlap of a text's wording with a reference, and the names of these metrics."""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

# The numbers equal those of Google's `rouge_score` package without stemming, to the last bit, for all texts whose letters and digits
# are ASCII. That package drops every other letter, so a Greek text has no words at all; here a word is a run of letters and digits of any
# script, and a script that writes no spaces between words (Chinese, Japanese, Thai, ...) counts each character as a word.

_ASCII_WORD = re.compile(r"[a-z0-9]+")
# Thai, Lao, Myanmar, Khmer; kana; ideographs and their extensions.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"


@dataclass(frozen=True, slots=True)
class RougeScores:
    """F1 values in 0..1; with several references, each value is the best over them."""

    rouge1: float
    rouge2: float
    rougeL: float
    rougeLsum: float


def rouge(text: str, references: Sequence[str]) -> RougeScores:
    """All four ROUGE scores of a text. Raises ValueError without references."""
    ours, theirs = words(text), [words(reference) for reference in _some(references)]
    lines = _lines(text)
    return RougeScores(
        max(_word_ngrams(ours, other, 1) for other in theirs),
        max(_word_ngrams(ours, other, 2) for other in theirs),
        max(_longest(ours, other) for other in theirs),
        max(_summary(lines, _lines(reference)) for reference in references),
    )


def rouge_l(text: str, references: Sequence[str]) -> float:
    """ROUGE-L alone: F1 of the longest common subsequence of words. Raises ValueError without references."""
    ours = words(text)
    return max(_longest(ours, words(reference)) for reference in _some(references))


def words(text: str) -> list[str]:
    """The words that are compared: lower case, letters and digits only."""
    lower = text.lower()
    return _ASCII_WORD.findall(lower) if lower.isascii() else _any_word().findall(lower)


def _some(references: Sequence[str]) -> Sequence[str]:
    if not references:
        raise ValueError("ROUGE needs a reference")
    return references


@functools.cache
def _any_word() -> re.Pattern[str]:
    """Python's `\\w` leaves out the vowel signs of Indian scripts; here they are part of their word."""
    marks = "".join(_ranges([code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code))[0] == "M"]))
    return re.compile(rf"[{_UNSPACED}](?<=\w)[{marks}]*|(?:(?![{_UNSPACED}])[^\W_][{marks}]*)+")


def _ranges(codes: Sequence[int]) -> list[str]:
    """Sorted code points as the ranges of a character class."""
    found: list[list[int]] = []
    for code in codes:
        if found and code == found[-1][1] + 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return [f"\\U{first:08x}-\\U{last:08x}" for first, last in found]


def _lines(text: str) -> list[list[str]]:
    """The words of each line: ROUGE-Lsum treats a line as a sentence."""
    return [words(line) for line in text.split("\n") if line]


def _f1(hits: int, ours: int, theirs: int) -> float:
    """F1 of precision and recall, computed in the order that gives `rouge_score`'s rounding."""
    precision, recall = hits / max(ours, 1), hits / max(theirs, 1)
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def _word_ngrams(ours: Sequence[str], theirs: Sequence[str], n: int) -> float:
    counts = [Counter(zip(*(text[start:] for start in range(n)), strict=False)) for text in (ours, theirs)]
    return _f1((counts[0] & counts[1]).total(), counts[0].total(), counts[1].total())


def _longest(ours: Sequence[str], theirs: Sequence[str]) -> float:
    if not ours or not theirs:
        return 0.0
    return _f1(len(theirs) - _columns(theirs, ours)[-1].bit_count(), len(ours), len(theirs))


def _columns(theirs: Sequence[str], ours: Sequence[str]) -> list[int]:
    """The columns of the table of longest common subsequences, one per word of `ours`, as bits over `theirs` (Hyyrö 2004): bit i is 0 if
    the subsequence of the first i + 1 words is longer than that of the first i."""
    places: dict[str, int] = {}
    for place, word in enumerate(theirs):
        places[word] = places.get(word, 0) | 1 << place
    full = (1 << len(theirs)) - 1
    column = full
    columns = []
    for word in ours:
        met = column & places.get(word, 0)
        column = ((column + met) | (column - met)) & full
        columns.append(column)
    return columns


def _members(theirs: Sequence[str], ours: Sequence[str]) -> set[int]:
    """The places in `theirs` of one longest common subsequence: of several, the one that `rouge_score` finds."""
    columns = _columns(theirs, ours)
    found: set[int] = set()
    i, j = len(theirs) - 1, len(ours) - 1
    while i >= 0 and j >= 0:
        if theirs[i] == ours[j]:
            found.add(i)
            i, j = i - 1, j - 1
        elif columns[j] >> i & 1:
            i -= 1
        else:
            j -= 1
    return found


def _summary(ours: Sequence[Sequence[str]], theirs: Sequence[Sequence[str]]) -> float:
    """ROUGE-Lsum: each line of the reference against all lines of the text. A word counts at most as often as both sides have it."""
    left = [Counter(word for line in text for word in line) for text in (ours, theirs)]
    totals = [count.total() for count in left]
    if not all(totals):
        return 0.0
    hits = 0
    for line in theirs:
        for place in sorted(set().union(*(_members(line, other) for other in ours))):
            word = line[place]
            if left[0][word] > 0 and left[1][word] > 0:
                hits += 1
                left[0][word] -= 1
                left[1][word] -= 1
    return _f1(hits, totals[0], totals[1])


# It needs no definition of a word, so it is fair to languages that join words. The numbers equal those of sacrebleu's sentence chrF
# at its defaults, on 0..1 instead of 0..100: case counts, white space does not.

_ORDER = 6
_BETA = 2


def chrf(text: str, references: Sequence[str]) -> float:
    """chrF of a text and its most similar reference, in 0..1. Raises ValueError without references."""
    if not references:
        raise ValueError("chrF needs a reference")
    ours = _character_ngrams(text)
    return max(_chrf_score(ours, _character_ngrams(reference)) for reference in references)


def _character_ngrams(text: str) -> list[Counter[str]]:
    """Counts of the runs of one character, of two, ..., up to six."""
    letters = "".join(text.split())
    return [Counter(letters[start : start + n] for start in range(len(letters) - n + 1)) for n in range(1, _ORDER + 1)]


def _chrf_score(ours: Sequence[Counter[str]], theirs: Sequence[Counter[str]]) -> float:
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


METRIC_NAMES = {
    "rougeL": ("ROUGE-L", "words in common with the closest wanted text, in the same order"),
    "rouge1": ("ROUGE-1", "words in common, in any order"),
    "rouge2": ("ROUGE-2", "pairs of neighbouring words in common"),
    "rougeLsum": ("ROUGE-Lsum", "as ROUGE-L, line by line"),
    "chrf": ("chrF", "runs of letters in common, kinder to other forms of a word"),
    "coverage": ("Attributes said", "of all that the inputs give, the share that the texts state"),
    "unsupported": ("Something made up", "the share of texts that state what their input does not; lower is better"),
}
"""A metric's displayed name, and what it counts."""

SHARE_METRICS = ("coverage", "unsupported")
"""Metrics that are shares of something; the others are grades in 0..1."""
