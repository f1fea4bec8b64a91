"""Names that clients make up, of models and of fields: what of them may be stored. They are not read by the redaction model."""

from __future__ import annotations

import re

from smidgen.data.identifiers import spans

_MODEL = re.compile(r"[\w./:@+-]{1,200}", re.ASCII)
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
_OF_FIELDS = re.compile(r"(the field|the message's field) (.*)", re.DOTALL)
_DATE = re.compile(r"(?<!\d)20[2-9]\d-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01])(?!\d)")
"""That of a model's version: `2025-04-14`, `20250414`."""
_NUMBER = re.compile(r"\d(?:[^A-Za-z\d]*\d){6,}")
"""Seven digits and more, whatever signs are between them: somebody's number."""


def model_name(value: object) -> str:
    """A model's name as a client wrote it; empty where it is none, or could be an address or a number of somebody."""
    return value if isinstance(value, str) and _MODEL.fullmatch(value) and _nobodys(value) else ""


def oddity(what: str | None) -> str:
    """Why a request does not suit, as `gateway.suited` says it. A field may have any text for its name: only a plain one is kept."""
    named = _OF_FIELDS.fullmatch(what or "")
    if named is None:
        return what or ""
    return named[0] if _FIELD.fullmatch(named[2]) and _nobodys(named[2]) else "a field"


def _nobodys(name: str) -> bool:
    return next(spans(name), None) is None and _NUMBER.search(_DATE.sub("-", name)) is None
