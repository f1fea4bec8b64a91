"""Change one field of a JSON object in bytes: every other byte stays."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


def with_model(body: bytes, model: str) -> bytes:
    """The body with this as its `model`, every other byte unchanged. Raises ValueError if the body is not an object with a model."""
    changed = _replaced(body.decode("utf-8"), "model", model)
    if changed is None:
        raise ValueError("the body names no model")
    return changed.encode("utf-8")


def with_value(body: bytes, field: str, value: Any) -> bytes:
    """The body with this value in a field of its outermost object, every other byte unchanged. A missing field is added at the start.
    Raises ValueError if the body is not an object."""
    text = body.decode("utf-8")
    changed = _replaced(text, field, value)
    if changed is None:
        at = _after(text, 0, "{")
        comma = "" if text[_skipped(text, at)] == "}" else ", "
        changed = f"{text[:at]}{json.dumps(field)}: {json.dumps(value)}{comma}{text[at:]}"
    return changed.encode("utf-8")


def _replaced(text: str, field: str, value: Any) -> str | None:
    """The text of an object with this value wherever the field occurs; None if it does not occur."""
    pieces, done = [], 0
    for start, end in _places(text, field):
        pieces += [text[done:start], json.dumps(value)]
        done = end
    return "".join([*pieces, text[done:]]) if pieces else None


def _places(text: str, field: str) -> Iterator[tuple[int, int]]:
    """Start and end of each value of a field in the outermost object. A field may occur twice, and readers differ in which one counts."""
    at = _after(text, 0, "{")
    if text[_skipped(text, at)] == "}":
        return
    while True:
        name, at = _DECODER.raw_decode(text, _skipped(text, at))
        start = _skipped(text, _after(text, at, ":"))
        _, end = _DECODER.raw_decode(text, start)
        if name == field:
            yield start, end
        at = _skipped(text, end)
        if text[at : at + 1] != ",":
            return
        at += 1


def _skipped(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _after(text: str, at: int, sign: str) -> int:
    at = _skipped(text, at)
    if text[at : at + 1] != sign:
        raise ValueError(f"{sign} is expected at {at}")
    return at + 1
