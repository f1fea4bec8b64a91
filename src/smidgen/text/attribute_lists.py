"""Texts that are lists of attributes, such as `name[Aromi], area[riverside]`: parse them, and put known values in place of unknown ones.

A writer that copies values letter for letter (names, addresses) does better with values that it knows from training. So an unknown
value is replaced by a known one before the model sees it, and put back in the answer.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Attributes: TypeAlias = list[tuple[str, str]]
"""(key, value) in the order of the text. A key that stands there twice, or holds a JSON list, comes once for each value."""

_LONGEST_TEXT = 20_000
_LONGEST_VALUE = 300
_BRACKETS = re.compile(r"\s*([^\W\d][\w .\-/]{0,39}?)\s*\[([^\[\]]*)\]\s*(?:[,;|\n]|$)")
# A key is one to four words and begins with a letter; `http://` is no key.
_KEY = r"[^\W\d][\w\-/.]{0,29}(?: [\w\-/.]{1,29}){0,3}"
_PAIR = re.compile(rf"(?:[-*•]\s+)?({_KEY})\s*(?::(?!//)|=)(.*)", re.DOTALL)
_NEXT = re.compile(rf",\s+(?={_KEY}\s*(?::(?!//)|=))")
_SENTENCES = re.compile(r"[^\W\d]{3,}[.!?…]\s+[^\W\da-z]")


def attributes(text: str) -> Attributes:
    """The attributes that a text consists of, and only of; none where it is anything else. Attributes without a value are left out."""
    if len(text) > _LONGEST_TEXT or not text.strip():
        return []
    if text.lstrip().startswith("{"):
        return _object(text)
    return _bracketed(text) or _key_value_pairs(text)


def _bracketed(text: str) -> Attributes:
    """`name[Alimentum], area[city centre]`; one attribute is enough, for prose is not written so."""
    found, at = [], 0
    while at < len(text) and text[at:].strip():
        match = _BRACKETS.match(text, at)
        if match is None:
            return []
        found.append((match[1], match[2].strip()))
        at = match.end()
    return [(key, value) for key, value in found if value]


def _key_value_pairs(text: str) -> Attributes:
    """`key: value` or `key = value`: two or more, on lines of their own or with `;`, `|` or commas between.

    The separators are tried in that order, and each must part the whole text. Commas may stand in values too: one parts two attributes
    only where a key follows.
    """
    for pieces in (text.splitlines(), text.split(";"), text.split("|"), _NEXT.split(text)):
        filled = [piece for piece in pieces if piece.strip()]
        found = _parse_value(filled)
        if len(found) > 1:
            return [(key, value) for key, value in found if value]
    return []


def _parse_value(pieces: Sequence[str]) -> Attributes:
    """Every piece as one attribute; none where a single piece is not one, or is a passage of prose with a title before it."""
    found = []
    for piece in pieces:
        match = _PAIR.fullmatch(piece.strip())
        value = match[2].strip() if match else ""
        if match is None or len(value) > _LONGEST_VALUE or _SENTENCES.search(value):
            return []
        found.append((match[1], value))
    return found


def _object(text: str) -> Attributes:
    try:
        value = json.loads(text)
        return _leaves(value, "") if isinstance(value, dict) else []
    except (ValueError, RecursionError):
        return []


def _leaves(value: Any, key: str) -> Attributes:
    """The plain values of a JSON value, under keys joined by dots; true and false are yes and no, as people write them."""
    if isinstance(value, dict):
        return [leaf for name, inner in value.items() for leaf in _leaves(inner, f"{key}.{name}" if key else str(name))]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in _leaves(inner, key)]
    if value is None:
        return []
    words = ("yes" if value else "no") if isinstance(value, bool) else str(value).strip()
    return [(key, words)] if words and len(words) <= _LONGEST_VALUE else []


# A small model copies a name that it never saw badly: it writes "turn" where the input says "tavern". Shown a value that it knows in
# that place, it writes as it was taught, and the input's value is put back into what it wrote.

_COPIED = 0.8
"""A key is copied where so large a share of its values stand in the answers as they are."""
_LEAST = 20
"""Pairs that a key must be seen in."""
_MOST_WORDS = 4
_MOST_KNOWN = 64
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_CONTENT = re.compile(r"[^\W\d_]{4,}")


def copied_values(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
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
                repeated[key] += contains_value(value, answer)
                values.setdefault(key, Counter())[value] += 1
    found = [key for key, count in seen.items() if count >= _LEAST and repeated[key] >= _COPIED * count]
    return {key: [value for value, _ in values[key].most_common(_MOST_KNOWN)] for key in found}


@dataclass(frozen=True, slots=True)
class SubstitutedInput:
    """An input with known values in place of others. `values` are the input's own, by what stands for them in `text`."""

    text: str
    values: Mapping[str, str]
    _source: str

    def back(self, answer: str) -> str | None:
        """The text written for `text`, with the input's own values put back; None where words of a placeholder are left, which the input
        does not say."""
        answer = replace_values(answer, self.values, re.IGNORECASE)
        there, given = set(_CONTENT.findall(answer.lower())), set(_CONTENT.findall(self._source.lower()))
        strange = {word for known in self.values for word in _CONTENT.findall(known.lower())} - given
        # "taverns" and "cheaper" say it as "tavern" and "cheap" do.
        left = any(word.startswith(one) and word not in given for word in there for one in strange)
        return None if left else answer

    def there(self, answer: str) -> str:
        """The other way: what was written for the input, with the stand-ins in place of its values."""
        return replace_values(answer, {own: known for known, own in self.values.items()}, re.IGNORECASE)


def substitute_values(source: str, known: Mapping[str, Sequence[str]]) -> SubstitutedInput | None:
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
    return SubstitutedInput(replace_values(source, {own: best for best, own in values.items()}), values, source) if values else None


def contains_value(value: str, text: str) -> bool:
    """Whether a value stands in a text as it is, by itself."""
    return bool(_places(value, text))


def is_words(value: str) -> bool:
    """Letters, one to four words, no yes and no: a value that means itself."""
    pieces = value.split()
    return 0 < len(pieces) <= _MOST_WORDS and all(WORD.fullmatch(piece) for piece in pieces) and value.lower() not in ("yes", "no")


def replace_values(text: str, new: Mapping[str, str], flags: int = 0) -> str:
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
