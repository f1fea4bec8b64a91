"""Reads texts that are nothing but attributes: `name[Aromi], area[riverside]`, `colour: oak; size: 45 cm`, or a JSON object.

Strict: either the whole text is of one of these forms, or it has no attributes. A sentence with a colon in it is prose.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
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
    return _bracketed(text) or _pairs(text)


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


def _pairs(text: str) -> Attributes:
    """`key: value` or `key = value`: two or more, on lines of their own or with `;`, `|` or commas between.

    The separators are tried in that order, and each must part the whole text. Commas may stand in values too: one parts two attributes
    only where a key follows.
    """
    for pieces in (text.splitlines(), text.split(";"), text.split("|"), _NEXT.split(text)):
        filled = [piece for piece in pieces if piece.strip()]
        found = _read(filled)
        if len(found) > 1:
            return [(key, value) for key, value in found if value]
    return []


def _read(pieces: Sequence[str]) -> Attributes:
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
