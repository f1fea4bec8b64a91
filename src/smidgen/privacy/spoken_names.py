"""Names of people that a conversation gives away itself: in introductions, after titles, under letters, in e-mail addresses.

No model is asked, so a name that stands among other words is not found. A capital at its beginning shows that a word may be a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_NAME = r"[^\W\d_a-zß][\w'’-]+"
_NAMES = rf"({_NAME}(?: {_NAME}){{0,2}})"
_CLOSINGS = "regards|wishes|best|cheers|thanks|thank you|sincerely|yours|grüße|grüßen|gruß|danke|lg|mfg|vg"
_SAID = (
    re.compile(rf"\b(?i:my name is|my name's|i am|i'm|this is|it's|mein name ist|ich bin|ich heiße|hier ist|name:) {_NAMES}"),
    re.compile(rf"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof|Herr|Herrn|Frau)\.? {_NAMES}"),
    re.compile(rf"(?:^|[\s,.!?])(?i:{_CLOSINGS})[,.!]?\s+{_NAMES}\W*$", re.MULTILINE),
)
_ADDRESS = re.compile(r"\b([\w.+-]+)@[\w-]+\.[\w.-]+")
_PIECE = re.compile(r"[^\W\d_]{3,}")
_SHORTEST = 2


def names_said(texts: Iterable[str]) -> frozenset[str]:
    """The names in texts, word for word, in small letters."""
    found: set[str] = set()
    for text in texts:
        for pattern in _SAID:
            found |= {word.lower() for match in pattern.finditer(text) for word in match[1].split()}
        found |= {piece.lower() for match in _ADDRESS.finditer(text) for piece in _PIECE.findall(match[1])}
    return frozenset(word for word in found if len(word) >= _SHORTEST)


def without_names(text: str, names: Iterable[str], sign: str) -> str:
    """A text with a sign in place of each of these names."""
    words = sorted(map(re.escape, names), key=len, reverse=True)
    return re.sub(rf"\b(?:{'|'.join(words)})(?:(?:'s|’s|s)\b|\b)", sign, text, flags=re.IGNORECASE) if words else text
