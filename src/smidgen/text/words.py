"""Texts as words: case and accents folded, negated words marked, runs of words; and the names of fields as words."""

from __future__ import annotations

import difflib
import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from smidgen.core.errors import MissingExtra

Words: TypeAlias = tuple[str, ...]

LONGEST_RUN = 5
NEGATED, PLAIN = MARKS = ("¬", "+")
"""Marks before a run of words that holds only if negated, and only if not negated."""

_TOKENS = re.compile(r"[^\W_]+|[$£€¥%]|[.!?;,:()\n]")
_PUNCTUATION = frozenset(".!?;,:()\n")
_APOSTROPHES = str.maketrans("", "", "'’`´")
_NOT = re.compile(r"n['’`´]t\b")
# Words that negate the words after them, in the languages that a small shop in Europe writes. A word that means something else in
# another language does no harm: if it negates nothing, the training texts show it.
_NEGATORS = frozenset(
    (
        *(
            "not",
            "no",
            "non",
            "never",
            "none",
            "nor",
            "neither",
            "without",
            "lacks",
            "isnt",
            "arent",
            "doesnt",
            "dont",
            "cannot",
            "cant",
            "wont",
        ),
        *("nicht", "kein", "keine", "keinen", "keiner", "keines", "ohne", "nie", "ne", "pas", "sans", "jamais", "niet", "geen", "zonder"),
        *("sin", "nunca", "nao", "sem", "senza", "nessun", "nessuna"),
    )
)
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_DIGITS = {word: str(number) for number, word in enumerate(_NUMBERS)}
_CLAUSE_ENDS = _PUNCTUATION | {"but", "and", "aber", "und", "mais", "et", "pero", "ma", "maar", "en"}
_SCOPE = 6
_ARTICLES = frozenset(("the", "a", "an", "der", "die", "das", "le", "la", "les", "el", "los", "il", "lo", "de", "het"))
_SIMILAR = 0.84
_MOST = 0.6  # least share of a value's words


@dataclass(frozen=True, slots=True)
class WordSequence:
    """The words of a text, punctuation included, and for each whether it is within six words after a negation."""

    words: list[str]
    negated: list[bool]


def read_words(text: str) -> WordSequence:
    """Read a text. Case, accents, apostrophes and hyphens are folded away (`Café` is `cafe`, `Brown's` is `browns`), and small English
    numbers become digits."""
    return mark_negations(_tokens(text))


def mark_negations(words: list[str]) -> WordSequence:
    """Mark the words that are negated."""
    negated, left = [], 0
    for word in words:
        if word in _CLAUSE_ENDS:
            left = 0
        negated.append(left > 0)
        left = _SCOPE if word in _NEGATORS else left - 1
    return WordSequence(words, negated)


def _tokens(text: str) -> list[str]:
    return [_DIGITS.get(word, word) for word in _TOKENS.findall(fold_spelling(text))]


def fold_spelling(text: str) -> str:
    """A text without differences in spelling that have no meaning."""
    lower = _NOT.sub(" not", text.casefold())
    if not lower.isascii():
        lower = "".join(letter for letter in unicodedata.normalize("NFKD", lower) if not unicodedata.combining(letter))
    return lower.translate(_APOSTROPHES)


def value_words(value: str) -> Words:
    """The words of a value, without punctuation and without an article before them: `The Eagle` is `eagle`."""
    words = spoken(_tokens(value))
    return tuple(words[1:] if len(words) > 1 and words[0] in _ARTICLES else words)


def key_words(key: str) -> Words:
    """The words of a key, camel case split: `familyFriendly` is `family friendly`."""
    return value_words(re.sub(r"(?<=[a-z])(?=[A-Z])|[_.\-/]", " ", key))


def word_runs(text: WordSequence) -> Iterator[tuple[int, int, Words, bool]]:
    """Every run of one to five words within a clause as (first, last + 1, words, whether it is negated). Runs contain no negation, which
    the mark shows; no punctuation except money and percent signs; and no word in angle brackets."""
    for first in range(len(text.words)):
        for last in range(first, min(first + LONGEST_RUN, len(text.words))):
            word = text.words[last]
            if word in _PUNCTUATION or word in _NEGATORS or word[0] == "<":
                break
            yield first, last + 1, tuple(text.words[first : last + 1]), text.negated[first]


def spoken(words: Sequence[str]) -> list[str]:
    """Words without punctuation."""
    return [word for word in words if word not in _PUNCTUATION]


def find_run(words: Sequence[str], run: Words) -> int:
    """The first place of a run of words; -1 if it does not occur."""
    for first in range(len(words) - len(run) + 1):
        if words[first] == run[0] and tuple(words[first : first + len(run)]) == run:
            return first
    return -1


def are_alike(words: Sequence[str], run: Words) -> bool:
    """Whether some run of the words nearly equals this one, apart from a typing error or another ending."""
    return any(
        all(_near(word, other) for word, other in zip(run, words[first : first + len(run)], strict=True))
        for first in range(len(words) - len(run) + 1)
    )


def mentioned(words: Sequence[str], value: str) -> bool:
    """Whether most of a value's words, with all its numbers, occur among the words: of `cotton, wool filling`, cotton and wool.

    Unless the value is a list, its first word must occur too, because a name begins with it.
    """
    run = value_words(value)
    telling = [word for word in run if len(word) > 2 or word.isdigit()]
    met = [any(_near(word, other) for other in words) for word in telling]
    if not telling or not all(there for word, there in zip(telling, met, strict=True) if word.isdigit()):
        return False
    return (met[0] or "," in value) and sum(met) >= _MOST * len(met)


def _near(word: str, other: str) -> bool:
    if word == other:
        return True
    short, long = sorted((word, other), key=len)
    if len(short) > 2 and long in (f"{short}s", f"{short}es"):
        return True
    if word[0] != other[0] or len(short) < 4 or word[-1].isdigit() or len(long) - len(short) > 2:
        return False
    return difflib.SequenceMatcher(None, word, other, autojunk=False).ratio() >= _SIMILAR


_WORD_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\W_]+")
"""The places in a name where its next word begins."""
_MOST_CHARACTERS = 30
"""Characters of a name that are read, its last ones."""


def field_words(*names: str) -> str:
    """The words of names, the outermost field's first, joined by blanks."""
    return " ".join(filter(None, (_WORD_BOUNDARY.sub(" ", name[-_MOST_CHARACTERS:]).strip() for name in names)))


READ = 2000
"""Characters of a text that are read."""
_SHORTEST = 15
"""Least characters; a shorter ASCII text has no recognisable language."""
_SURE = 0.5


def languages(texts: Iterable[str]) -> list[str | None]:
    """The language of each text, as its ISO 639-1 code; None if it is too short, or the identifier is less than half sure.

    Raises MissingExtra if the identifier is not installed.
    """
    identifier = _identifier()
    found: list[str | None] = []
    for text in texts:
        read = text[:READ]
        language, sure = identifier.classify(read) if len(read) >= _SHORTEST or not read.isascii() else ("", 0.0)
        found.append(str(language) if sure >= _SURE else None)
    return found


@functools.cache
def _identifier() -> Any:
    """The identifier with its model, 5 MB, loaded once."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError as error:
        raise MissingExtra("py3langid", "train") from error
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
