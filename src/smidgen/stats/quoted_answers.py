"""Compare quoted answers with the wanted ones: `{"id", "text"}`, or None where the documents do not say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias

Quoted: TypeAlias = Mapping[str, str] | None
_WORD = re.compile(r"\w+|[$£€¥%]")
_NEGATIONS = frozenset(("not", "no", "never", "cannot", "without", "nicht", "nie", "ohne", "kein", "keine", "keinen", "keiner", "keinem"))
_LONGER, _STEM, _FEWEST = 4, 5, 3
_MOST = 2 / 3
"""Share of the wanted longer words, by their first letters, that words of another place must have."""
_BETWEEN = 8
"""Words between two cells of a row, at most."""
_ARTICLES = frozenset(("a", "an", "the"))


def words_of(text: str) -> list[str]:
    """The words of a text in small letters, without punctuation."""
    return _WORD.findall(text.casefold())


def squad_words(text: str) -> list[str]:
    """The words that SQuAD compares: without English articles."""
    return [word for word in words_of(text) if word not in _ARTICLES]


def contains(words: Sequence[str], run: Sequence[str]) -> bool:
    """Whether words hold a run of others, in order."""
    return bool(_ends(words, run, 0, len(words)))


def holds(words: Sequence[str], wanted: str) -> bool:
    """Whether words hold a wanted text. The cells of a table's row, `Crown | £720`, need only stand near one another, in their order: a
    document's reader puts the column's name between them."""
    cells = [cell for cell in map(words_of, wanted.split("|")) if cell]
    reached = _ends(words, cells[0], 0, len(words)) if cells else []
    for cell in cells[1:]:
        reached = sorted({end for start in reached for end in _ends(words, cell, start, start + _BETWEEN + len(cell))})
    return bool(reached)


def _ends(words: Sequence[str], run: Sequence[str], start: int, stop: int) -> list[int]:
    """Where runs end that stand between two places."""
    count = len(run)
    places = range(start, min(stop, len(words)) - count + 1) if count else range(0)
    return [place + count for place in places if words[place] == run[0] and list(words[place : place + count]) == list(run)]


def same_document(wanted: Mapping[str, str], told: Mapping[str, str]) -> bool:
    """Whether the document is the wanted one; a wanted answer without a document may come from any."""
    return not wanted["id"] or wanted["id"] == told["id"]


def agree(wanted: Sequence[str], told: Sequence[str]) -> bool:
    """Whether words say what the wanted ones say: every number of them, most of their longer words, and "not" only if they have it.

    A word or two agree with nothing: they mean something else in another place.
    """
    numbers = {word for word in wanted if any(letter.isdigit() for letter in word)}
    longer = {word[:_STEM] for word in wanted if len(word) >= _LONGER and word not in numbers}
    if len(longer) < _FEWEST or not numbers <= set(told) or bool(_NEGATIONS & set(wanted)) != bool(_NEGATIONS & set(told)):
        return False
    return len(longer & {word[:_STEM] for word in told}) >= _MOST * len(longer)


def is_right(wanted: Quoted, told: Quoted) -> bool:
    """Whether a question was treated rightly: None for None; else words of the wanted document that hold the wanted words, or are among
    them; or words of any document that agree with them."""
    if wanted is None or not isinstance(told, Mapping):
        return wanted is None and told is None
    one, other = words_of(wanted["text"]), words_of(told["text"])
    among = contains(one, other) and len(other) >= min(_FEWEST, len(one))  # a word or two of many may be a heading
    return (same_document(wanted, told) and (holds(other, wanted["text"]) or among)) or agree(one, other)


def exact(wanted: Quoted, told: Quoted) -> bool:
    """Whether the words are exactly the wanted ones of the wanted document, or both are None."""
    if wanted is None or told is None:
        return wanted is None and told is None
    return same_document(wanted, told) and squad_words(wanted["text"]) == squad_words(told["text"])


def f1(wanted: Quoted, told: Quoted) -> float:
    """SQuAD's F1 of the words; 0 for another document, and 1 if both are None."""
    if wanted is None or told is None:
        return float(wanted is None and told is None)
    one, other = squad_words(wanted["text"]), squad_words(told["text"])
    common = sum((Counter(one) & Counter(other)).values())
    if not common or not same_document(wanted, told):
        return 0.0
    return 2 * common / (len(one) + len(other))
