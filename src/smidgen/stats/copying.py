"""Values that texts repeat letter for letter, and known ones that stand in for them.

A small model copies a name that it never saw badly: it writes "turn" where the input says "tavern". Shown a value that it knows in that
place, it writes as it was taught, and the value of the input is put back into what it wrote.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from smidgen.stats.attributes import attributes

_COPIED = 0.8
"""A key is copied where so large a share of its values stand in the answers as they are."""
_LEAST = 20
"""Pairs that a key must be seen in."""
_MOST_WORDS = 4
_MOST_KNOWN = 64
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_CONTENT = re.compile(r"[^\W\d_]{4,}")


def copied(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The keys whose values are texts that answers repeat letter for letter, each with its values, the most frequent first, 64 at most.

    Args:
        pairs: of an input and an answer. An input that is no attributes has none.
    """
    seen, repeated = Counter[str](), Counter[str]()
    values: dict[str, Counter[str]] = {}
    for source, answer in pairs:
        for key, value in attributes(source):
            if is_words(value):
                seen[key] += 1
                repeated[key] += stands(value, answer)
                values.setdefault(key, Counter())[value] += 1
    found = [key for key, count in seen.items() if count >= _LEAST and repeated[key] >= _COPIED * count]
    return {key: [value for value, _ in values[key].most_common(_MOST_KNOWN)] for key in found}


@dataclass(frozen=True, slots=True)
class StandIn:
    """An input with known values in place of others. `values` are the input's own, by what stands for them in `text`."""

    text: str
    values: Mapping[str, str]
    _source: str

    def back(self, answer: str) -> str | None:
        """What was written for `text`, with the input's own values again; None where words of a stand-in are left, for they say what the
        input does not."""
        answer = put(answer, self.values, re.IGNORECASE)
        there, given = set(_CONTENT.findall(answer.lower())), set(_CONTENT.findall(self._source.lower()))
        strange = {word for known in self.values for word in _CONTENT.findall(known.lower())} - given
        # "taverns" and "cheaper" say it as "tavern" and "cheap" do.
        left = any(word.startswith(one) and word not in given for word in there for one in strange)
        return None if left else answer

    def there(self, answer: str) -> str:
        """The other way: what was written for the input, with the stand-ins in place of its values."""
        return put(answer, {own: known for known, own in self.values.items()}, re.IGNORECASE)


def stand_in(source: str, known: Mapping[str, Sequence[str]]) -> StandIn | None:
    """The input with known values for those that are not known; None where all are known, or nothing can stand for them.

    Args:
        known: as `copied` gives them. The value most like the other is taken: it asks for the same article, has as many words, is frequent.
    """
    values = dict[str, str]()
    for key, value in attributes(source):
        if value in known.get(key, (value,)) or not is_words(value) or len(_anywhere(value, source)) != 1:
            continue
        # Two that share a word could not be told apart in an answer, whatever its case.
        free = [other for other in known[key] if not any(_anywhere(other, text) or _anywhere(text, other) for text in (source, *values))]
        if free:
            best = min(free, key=lambda other: (_vowel(other) != _vowel(value), abs(len(other.split()) - len(value.split()))))
            values[best] = value
    return StandIn(put(source, {own: best for best, own in values.items()}), values, source) if values else None


def stands(value: str, text: str) -> bool:
    """Whether a value stands in a text as it is, by itself."""
    return bool(_places(value, text))


def is_words(value: str) -> bool:
    """Letters, one to four words, no yes and no: a value that means itself."""
    pieces = value.split()
    return 0 < len(pieces) <= _MOST_WORDS and all(WORD.fullmatch(piece) for piece in pieces) and value.lower() not in ("yes", "no")


def put(text: str, new: Mapping[str, str], flags: int = 0) -> str:
    """The text with the new in place of each old, with re.IGNORECASE whatever its case; all at once, for one may stand in what is put in
    another's place."""
    olds = sorted(new, key=len, reverse=True)
    folded = {old.lower(): new[old] for old in olds}
    pattern = rf"(?<!\w)(?:{'|'.join(map(re.escape, olds))})(?!\w)"
    return re.sub(pattern, lambda found: new.get(found[0], folded.get(found[0].lower(), found[0])), text, flags=flags)


def _places(value: str, text: str, flags: int = 0) -> list[str]:
    return re.findall(rf"(?<!\w){re.escape(value)}(?!\w)", text, flags)


def _anywhere(value: str, text: str) -> list[str]:
    return _places(value, text, re.IGNORECASE)


def _vowel(value: str) -> bool:
    return value[0].lower() in "aeiou"
