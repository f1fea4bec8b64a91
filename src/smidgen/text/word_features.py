"""Features of each word for a lexical tagger: the word, its neighbours, their endings, their shapes, and names known from training."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from smidgen.text.tagging import word_shape

LONGEST_NAME = 8
"""Words of the longest name that is looked up."""

_AROUND = (-2, -1, 1, 2)
_EDGE = "\N{SYMBOL FOR NULL}"


def name_of(words: Sequence[str]) -> str:
    """Words as they are looked up: small letters, a space between."""
    return " ".join(words).lower()


def features(words: Sequence[str], names: Mapping[str, int], hidden: Collection[str] = ()) -> list[list[str]]:
    """The features of each word, each a text whose first characters say what it is of.

    Args:
        words: the units of a text, in order.
        names: known names, as `name_of` gives them, with the number of their kind.
        hidden: names that are taken as unknown: those that only the text itself has, where it is one to learn from.
    """
    small = [word.lower() for word in words]
    written = [_pattern(word) for word in words]
    listed = _listed(small, names, hidden)
    found = []
    for place, word in enumerate(small):
        own = ["bias", f"w={word}", f"p={written[place]}", f"s={word_shape(words[place])}"]
        own += [f"a{size}={word[:size]}" for size in range(1, 5) if len(word) > size]
        own += [f"z{size}={word[-size:]}" for size in range(1, 6) if len(word) > size]
        for step in _AROUND:
            near = place + step
            inside = 0 <= near < len(words)
            own.append(f"w{step}={small[near] if inside else _EDGE}")
            if abs(step) == 1:
                own.append(f"p{step}={written[near] if inside else _EDGE}")
                own.append(f"z{step}={small[near][-3:] if inside else _EDGE}")
        if place:
            own.append(f"ww-1={small[place - 1]} {word}")
        if place + 1 < len(words):
            own.append(f"ww+1={word} {small[place + 1]}")
        found.append([*own, *listed[place]])
    return found


def _pattern(word: str) -> str:
    """The kinds of sign in a word, repeats left out: `Aa0-` of `Word12-`; words of several digits say how many, up to eight."""
    signs = ["A" if c.isupper() else "a" if c.isalpha() else "0" if c.isdigit() else c for c in word]
    short = "".join(sign for place, sign in enumerate(signs) if place == 0 or sign != signs[place - 1])
    return f"{short}{min(8, len(word))}" if short == "0" else short


def _listed(small: Sequence[str], names: Mapping[str, int], hidden: Collection[str]) -> list[list[str]]:
    """For each word whether it begins, goes on with or ends a known name; the longest names first, no two overlapping."""
    found: list[list[str]] = [[] for _ in small]
    place = 0
    while place < len(small):
        size = LONGEST_NAME + 1 if names else 0
        kind: int | None = None
        while kind is None and size > 0:
            size -= 1
            words = " ".join(small[place : place + size])
            kind = names.get(words) if size and place + size <= len(small) and words not in hidden else None
        if kind is None:
            place += 1
            continue
        parts = ["one"] if size == 1 else ["first", *["inside"] * (size - 2), "last"]
        for at, part in enumerate(parts):
            found[place + at].append(f"n={part} {kind}")
        place += size
    return found
