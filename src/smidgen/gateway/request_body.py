"""The body of a request, as bytes that stay as they are: what model it names, and the same bytes with another one in its place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


def parsed(body: bytes) -> dict[str, Any] | None:
    """The object that the body is; None where it is none. Of a field that it names twice the last one counts, and another reader may take
    the first: whoever must be sure of what is sent reads it with `leaving.read_once`."""
    try:
        found = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def with_model(body: bytes, model: str) -> bytes:
    """The body with this as its `model`, and every other byte as it was. Raises ValueError where it is not an object that names one."""
    text = body.decode("utf-8")
    pieces, done = [], 0
    for start, end in _places(text, "model"):
        pieces += [text[done:start], json.dumps(model)]
        done = end
    if not pieces:
        raise ValueError("the body names no model")
    return "".join([*pieces, text[done:]]).encode("utf-8")


def _places(text: str, field: str) -> Iterator[tuple[int, int]]:
    """Where the values of a field of the outermost object begin and end; it may stand there twice, and readers differ in what counts."""
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
