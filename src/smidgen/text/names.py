"""Names of streets, people, shops and things: compare them as people write them, and find known ones in a text.

`St. Anne's Rd` and `saint annes road` are the same name; so are `the Anchor` and `Anchor`, `van two` and `Van 2`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from smidgen.text import numbers

_SPELLINGS = {
    "st": "street", "str": "strasse", "rd": "road", "ave": "avenue", "av": "avenue", "ln": "lane", "dr": "drive", "cl": "close",
    "ct": "court", "sq": "square", "pl": "place", "cres": "crescent", "terr": "terrace", "ter": "terrace", "gdns": "gardens",
    "hwy": "highway",
    "blvd": "boulevard", "pkwy": "parkway", "pk": "park", "hse": "house",
}  # fmt: skip
"""The last word of a name, and how it is written in full."""
_EVERYWHERE = {"st": "saint", "mt": "mount", "nr": "number", "no": "number", "dr": "doctor", "&": "and", "und": "and"}
_ARTICLES = ("the", "die", "der", "das", "dem", "den", "our")
_PIECE = re.compile(r"[^\s,;:!?()\[\]\"“”]+")
_MOST_WORDS = 8
_TELLING = re.compile(r"[^\W\d_]{3}|[^\W\d_].*\d|\d.*[^\W\d_]|\w \w")
"""Three letters in a row, a letter and a digit, or two words."""


def folded(name: str) -> str:
    """A name without case, punctuation, articles and the ways to write street, saint, number and the like."""
    text = re.sub(r"(?<=\w)['’](?=\w)|['’]", "", name.casefold().replace("ß", "ss"))
    text = re.sub(rf"^({'|'.join(_ARTICLES)}) ", "", text).replace("#", " number ")
    text = re.sub(r"(?<=[^\W\d_])str\.?$", "strasse", text)
    words = re.findall(r"\w+|&", text)
    if len(words) > 1:
        words[-1] = _SPELLINGS.get(words[-1], words[-1])
    words = [_EVERYWHERE.get(word, word) for word in words]
    words = [str(numbers.read(word)) if numbers.read(word) is not None and word.isalpha() else word for word in words]
    return " ".join(word for word in words if word != "number" or len(words) == 1)


def by_folded(names: Iterable[str]) -> dict[str, str]:
    """Names by what is compared of them; without those that are the same as another, or too short to be found in a text."""
    made: dict[str, set[str]] = {}
    for name in names:
        made.setdefault(folded(name), set()).add(name)
    return {key: min(own) for key, own in made.items() if len(own) == 1 and _TELLING.search(key)}


def find(text: str, known: Mapping[str, str]) -> list[tuple[int, int, str]]:
    """First character, one past the last, and the name, of each known name that stands in a text whole, in order, without an article
    before it; none overlap.

    Args:
        known: see `by_folded`. A name of one word counts only with a capital, unless the text has none.
    """
    pieces = [match.span() for match in _PIECE.finditer(text)]
    small = text == text.casefold()
    found: list[tuple[int, int, str]] = []
    place = 0
    while place < len(pieces):
        start, best = pieces[place][0], None
        article = text[slice(*pieces[place])].casefold() in _ARTICLES
        for last in () if article else range(place, min(len(pieces), place + _MOST_WORDS)):
            words = text[start : pieces[last][1]].rstrip(".-–'’")
            words = next((own for own in (words, re.sub(r"['’]s$", "", words)) if folded(own) in known), "")
            # A word that a comparison leaves out, such as `no`, belongs to no name before it.
            if words and (small or " " in words or not words.islower()) and (best is None or known[folded(words)] != best[1]):
                best = words, known[folded(words)], last
        if best is not None:
            found.append((start, start + len(best[0]), best[1]))
            place = best[2]
        place += 1
    return found
