"""Word overlap: the share of a customer's words in the text of an item, weighed by rarity."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MAX_TEXT_LENGTH = 2_000
MAX_WORDS = 40
_COMMON = 0.25
"""A word in a larger share of the texts does not distinguish goods."""
_NAME_BONUS = 0.5
_STOP_WORDS = frozenset(
    (
        *("and", "are", "can", "could", "for", "friend", "from", "get", "gift", "give", "have", "hold", "keep", "like", "looking", "love"),
        *("make", "need", "our", "please", "some", "something", "that", "the", "there", "this", "thing", "want", "which", "who", "with"),
        *("would", "you", "your", "any", "one", "what", "goes", "good", "nice"),
        *("als", "auf", "aus", "bei", "bitte", "brauche", "das", "dem", "den", "der", "die", "ein", "eine", "einen", "einer", "etwas"),
        *("für", "geschenk", "gut", "habe", "hätte", "ich", "ist", "mein", "meine", "mit", "oder", "schön", "soll", "suche", "und", "von"),
        *("was", "zum", "zur"),
    )
)
"""Stop words."""


class WordIndex:
    """An index of the words in the names and texts of goods."""

    def __init__(self, names: Sequence[str], texts: Sequence[str]) -> None:
        self._names, self._texts = [stems(name) for name in names], [stems(text) for text in texts]
        places: dict[str, list[int]] = {}
        for place, (name, text) in enumerate(zip(self._names, self._texts, strict=True)):
            for stem in name | text:
                places.setdefault(stem, []).append(place)
        self._places = places
        self._size = max(1, len(self._texts))

    def scores(self, words: str) -> NDArray[np.float32]:
        """(n,) the share of the words in each name and text, 0..1, weighed by rarity; words in no text lower all scores alike."""
        sought = list(dict.fromkeys(map(_stem, content_words(words))))[:MAX_WORDS]
        found, total = np.zeros(len(self._texts), np.float32), 0.0
        for stem in sought:
            places = self._places.get(stem, ())
            weight = math.log(1 + self._size / (0.5 + len(places)))
            total += weight
            for place in places:
                in_name = stem in self._names[place]
                found[place] += weight * (1.0 if in_name else 1 - _NAME_BONUS)
        return found / np.float32(max(total, 1e-6))

    def shared(self, words: str, place: int) -> list[str]:
        """The words that name or text holds, as the customer wrote them; those of the name first, then rare ones. Common ones are left
        out."""
        name, text = self._names[place], self._texts[place]
        rare = max(1.0, _COMMON * self._size)
        kept = []
        for word in content_words(words):
            stem = _stem(word)
            if stem in name or (stem in text and len(self._places[stem]) <= rare):
                kept.append(word)
        return sorted(kept, key=lambda word: (_stem(word) not in name, len(self._places[_stem(word)])))


def content_words(words: str) -> list[str]:
    """The words that say what is wanted, each once, in lower case."""
    found = re.findall(r"[^\W_]+", words[:MAX_TEXT_LENGTH].casefold())
    return list(dict.fromkeys(word for word in found if len(word) > 2 and word not in _STOP_WORDS))


def stems(text: str) -> frozenset[str]:
    """The words of a text without the ending of a plural."""
    return frozenset(_stem(word) for word in re.findall(r"[^\W_]+", text.casefold()))


def _stem(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
