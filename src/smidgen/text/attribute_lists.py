"""Texts that are lists of attributes, such as `name[Aromi], area[riverside]`: parse them, and replace unknown values by known ones.

A model that copies values letter for letter (names, addresses) does better with values that it knows from training. So an unknown value
is replaced by a known one before the model sees it, and restored in the answer.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Attributes: TypeAlias = list[tuple[str, str]]
"""(key, value) in the order of the text. A key that occurs twice, or holds a JSON list, has one entry for each value."""

_LONGEST_TEXT = 20_000
_LONGEST_VALUE = 300
_BRACKETS = re.compile(r"\s*([^\W\d][\w .\-/]{0,39}?)\s*\[([^\[\]]*)\]\s*(?:[,;|\n]|$)")
# A key is one to four words and begins with a letter; `http://` is not a key.
_KEY = r"[^\W\d][\w\-/.]{0,29}(?: [\w\-/.]{1,29}){0,3}"
_PAIR = re.compile(rf"(?:[-*•]\s+)?({_KEY})\s*(?::(?!//)|=)(.*)", re.DOTALL)
_NEXT = re.compile(rf",\s+(?={_KEY}\s*(?::(?!//)|=))")
_SENTENCES = re.compile(r"[^\W\d]{3,}[.!?…]\s+[^\W\da-z]")


def attributes(text: str) -> Attributes:
    """The attributes of a text that consists of attributes only; else none. Attributes without a value are left out."""
    if len(text) > _LONGEST_TEXT or not text.strip():
        return []
    if text.lstrip().startswith("{"):
        return _object(text)
    return _bracketed(text) or _key_value_pairs(text)


def written(pairs: Iterable[tuple[str, str]]) -> str:
    """Attributes as one text, `name: Oak stool; colour: red`, which `attributes` can read. Those without a value are left out."""
    found = []
    for key, value in pairs:
        words = " ".join(value.replace(";", ",").split())
        if words:
            found.append(f"{_key(key)}: {words}")
    return "; ".join(found)


def _key(name: str) -> str:
    """A column's name as a key: `Price (£)` becomes `Price`."""
    words = re.sub(r"[^\w\-/. ]", " ", name.replace("_", " ")).split()
    while words and not words[0][0].isalpha():
        words = words[1:]
    return " ".join(word[:30] for word in words[:4]) or "attribute"


def _bracketed(text: str) -> Attributes:
    """Parse `name[Alimentum], area[city centre]`. One attribute is enough, because prose does not have this form."""
    found, at = [], 0
    while at < len(text) and text[at:].strip():
        match = _BRACKETS.match(text, at)
        if match is None:
            return []
        found.append((match[1], match[2].strip()))
        at = match.end()
    return [(key, value) for key, value in found if value]


def _key_value_pairs(text: str) -> Attributes:
    """Parse `key: value` or `key = value`: two or more, on separate lines or separated by `;`, `|` or commas.

    The separators are tried in that order, and each must divide the whole text. Values may contain commas too: a comma separates two
    attributes only if a key follows.
    """
    for pieces in (text.splitlines(), text.split(";"), text.split("|"), _NEXT.split(text)):
        filled = [piece for piece in pieces if piece.strip()]
        found = _parse_value(filled)
        if len(found) > 1:
            return [(key, value) for key, value in found if value]
    return []


def _parse_value(pieces: Sequence[str]) -> Attributes:
    """Each piece as one attribute; none if any piece is not one, or is a passage of prose with a title before it."""
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
    """The plain values of a JSON value, under keys joined by dots; true and false become yes and no."""
    if isinstance(value, dict):
        return [leaf for name, inner in value.items() for leaf in _leaves(inner, f"{key}.{name}" if key else str(name))]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in _leaves(inner, key)]
    if value is None:
        return []
    words = ("yes" if value else "no") if isinstance(value, bool) else str(value).strip()
    return [(key, words)] if words and len(words) <= _LONGEST_VALUE else []


# A small model copies an unknown name badly: it writes "turn" where the input says "tavern". So it is shown a known value instead,
# and writes well; then the input's value is restored in its answer.

_COPIED = 0.8
"""Share of a key's values that must occur unchanged in the answers for the key to count as copied."""
_LEAST = 20
"""Least pairs in which a key must occur."""
_MOST_WORDS = 4
_MOST_KNOWN = 64
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_CONTENT = re.compile(r"[^\W\d_]{4,}")


def copied_values(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The keys whose values are texts that answers repeat letter for letter, each with its values, the most frequent first, at most 64.

    Args:
        pairs: of an input and an answer. Inputs that are not attribute lists are ignored.
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
    """An input with some values replaced by known ones. `values` maps each replacement in `text` to the input's own value."""

    text: str
    values: Mapping[str, str]
    _source: str

    def back(self, answer: str) -> str | None:
        """Restore the input's own values in the answer to `text`; None if words of a replacement are left that the input does not
        contain."""
        answer = replace_values(answer, self.values, re.IGNORECASE)
        there, given = set(_CONTENT.findall(answer.lower())), set(_CONTENT.findall(self._source.lower()))
        strange = {word for known in self.values for word in _CONTENT.findall(known.lower())} - given
        # "taverns" and "cheaper" contain "tavern" and "cheap".
        left = any(word.startswith(one) and word not in given for word in there for one in strange)
        return None if left else answer

    def there(self, answer: str) -> str:
        """The reverse of `back`: replace the input's own values in a text by the known ones."""
        return replace_values(answer, {own: known for known, own in self.values.items()}, re.IGNORECASE)


def substitute_values(source: str, known: Mapping[str, Sequence[str]]) -> SubstitutedInput | None:
    """The input with unknown values replaced by known ones; None if all are known, or no replacement fits.

    Args:
        known: as `copied_values` gives them. The most similar value is used: one that takes the same article, has as many words, is
            frequent.
    """
    values = dict[str, str]()
    for key, value in attributes(source):
        if value in known.get(key, (value,)) or not is_words(value) or len(_anywhere(value, source)) != 1:
            continue
        # Two values that share a word, in any case, could not be told apart in an answer.
        free = [other for other in known[key] if not any(_anywhere(other, text) or _anywhere(text, other) for text in (source, *values))]
        if free:
            best = min(free, key=lambda other: (_vowel(other) != _vowel(value), abs(len(other.split()) - len(value.split()))))
            values[best] = value
    return SubstitutedInput(replace_values(source, {own: best for best, own in values.items()}), values, source) if values else None


def contains_value(value: str, text: str) -> bool:
    """Whether a value occurs in a text unchanged, as whole words."""
    return bool(_places(value, text))


def is_words(value: str) -> bool:
    """Whether a value is one to four words of letters, and not yes or no: a value that stands for itself."""
    pieces = value.split()
    return 0 < len(pieces) <= _MOST_WORDS and all(WORD.fullmatch(piece) for piece in pieces) and value.lower() not in ("yes", "no")


def replace_values(text: str, new: Mapping[str, str], flags: int = 0) -> str:
    """The text with each old value replaced by its new one; with re.IGNORECASE in any case. All at once, because a replacement may contain
    another old value."""
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
