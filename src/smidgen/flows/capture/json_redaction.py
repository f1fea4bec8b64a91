"""Redact a text that may be JSON: each of its texts and numbers by itself, told by the name of its field and a card's number beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from smidgen.core.errors import RedactionError
from smidgen.privacy.redactor import Redactor, readable
from smidgen.privacy.request_masking import BodyWalk, FieldContext, masking

# A text that is to be stored: its personal data is taken out, and in JSON that of each of its texts and numbers, which the names of
# their fields tell.


def texts_to_read(text: str) -> list[str]:
    """What there is to be read in it: itself, or where it is JSON its texts, names of fields with them.

    Raises RedactionError for what cannot be read whole: a text that is too long, holds half a character or bytes, or is nested too deeply,
    and an object that has a name twice, for only the last would be kept.
    """
    _refuse_repeated_names(text)
    found: dict[str, None] = {}
    walk = BodyWalk(lambda text, _: found.setdefault(text) or text, names=True)
    walk.text(text, FieldContext())
    if walk.unread:
        raise RedactionError("a text holds what cannot be read", value=walk.unread[0], todo="Leave it out.")
    for one in found:
        readable(one)
    return list(found)


def mask_text(text: str, redactor: Redactor, kept: Callable[[str, str], bool] = lambda text, field: False) -> str:
    """The text with stand-ins; JSON stays JSON. Where it is `kept`, or one of its texts (with the name of its field) or names of fields is,
    that stays as it is. Raises RedactionError where one of its texts cannot be made safe."""
    mask, short = masking(redactor)
    return BodyWalk(lambda text, label: text if kept(text, label.name) else mask(text, label), short, names=True).text(text, FieldContext())


def _refuse_repeated_names(text: str) -> None:
    """Raise RedactionError for JSON in which an object has a name twice."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            json.loads(text, object_pairs_hook=_pairs)
        except (ValueError, RecursionError):
            return


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RedactionError("an object has a name twice", value=f"{len(pairs)} fields", todo="Give each name once.")
    return found
