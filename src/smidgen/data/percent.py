"""A text as whoever decodes addresses reads it: `anna%40example.org` is one of e-mail."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

_CODE = re.compile(r"%[0-9A-Fa-f]{2}")
_WORD = re.compile(r"\S+")
_MOST = 3
"""Times that a text may be encoded over and over."""


def decoded(text: str) -> str:
    """The text with its percent-encoded bytes as characters; in words that have such a plus is a blank, as in a query."""
    for _ in range(_MOST):
        if not _CODE.search(text):
            break
        text = _WORD.sub(lambda word: unquote_plus(word[0]) if _CODE.search(word[0]) else word[0], text)
    return text
