"""What an upstream's answer says: its text, how it went, and what it cost in tokens, from the bytes that were relayed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from smidgen.core.answer_state import AnswerState
from smidgen.gateway.answer_reading import Reading

_MOST_TOKENS = 2**31 - 1
ANY_ZLIB = 47
"""zlib's word for: gzip or zlib, whichever it is."""
ZLIB_ENCODINGS = ("gzip", "x-gzip", "deflate")
"""Content encodings that it takes."""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer. `text` is that of its one choice, whole; None where it is not one text, or not to its end. Sizes are None where the
    upstream told none. `state` is how it went."""

    text: str | None = None
    finish: str = ""
    tokens_in: int | None = None
    tokens_out: int | None = None
    state: AnswerState = ""


def decoded(body: bytes, encoding: str, most: int) -> bytes | None:
    """A body without its content encoding; None where that is none we know, it is damaged, or there is more than `most` bytes in it."""
    if encoding.strip().lower() in ("", "identity"):
        return body if len(body) <= most else None
    if encoding.strip().lower() not in ZLIB_ENCODINGS:
        return None
    stream = zlib.decompressobj(ANY_ZLIB)
    try:
        plain = stream.decompress(body, most)
    except zlib.error:
        return None
    return plain if stream.eof else None


def said(content_type: str, body: bytes) -> Said:
    """What a whole answer says, streamed or not."""
    reading = Reading(content_type)
    reading.feed(body)
    reading.end()
    state = reading.state
    return Said(
        text=reading.text if state == "whole" else None,
        finish=reading.ending.finish,
        tokens_in=_size(reading.usage.given) if reading.usage else None,
        tokens_out=_size(reading.usage.got) if reading.usage else None,
        state=state,
    )


def _size(value: int) -> int | None:
    """A number of tokens that a database takes."""
    return value if value <= _MOST_TOKENS else None
