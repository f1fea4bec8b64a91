"""What an upstream's answer says: its text, why it ended, and what it cost in tokens, from the bytes that were relayed."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_WHOLE = "stop"
_MOST_TOKENS = 2**31 - 1
_ANY_ZLIB = 47
"""zlib's word for: gzip or zlib, whichever it is."""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer. `text` is that of its one choice, whole; None where it is not one text, or not to its end. Sizes are None where the
    upstream told none."""

    text: str | None = None
    finish: str = ""
    tokens_in: int | None = None
    tokens_out: int | None = None


def decoded(body: bytes, encoding: str, most: int) -> bytes | None:
    """A body without its content encoding; None where that is none we know, it is damaged, or there is more than `most` bytes in it."""
    if encoding.strip().lower() in ("", "identity"):
        return body if len(body) <= most else None
    if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        return None
    stream = zlib.decompressobj(_ANY_ZLIB)
    try:
        plain = stream.decompress(body, most)
    except zlib.error:
        return None
    return plain if stream.eof else None


def said(content_type: str, body: bytes) -> Said:
    """What a whole answer of a chat completion or completion says, streamed or not."""
    if content_type.startswith("text/event-stream"):
        return _streamed(body)
    answer = _object(body)
    if answer is None:
        return Said()
    choices = answer.get("choices")
    one = choices[0] if isinstance(choices, list) and len(choices) == 1 and isinstance(choices[0], Mapping) else {}
    message = one.get("message")
    text = _alone(message) if isinstance(message, Mapping) else one.get("text")
    return _said(text, one.get("finish_reason"), answer.get("usage"))


def _streamed(body: bytes) -> Said:
    """The pieces of a stream put together. An event with an error, or a piece that is not text, makes it no text."""
    pieces: list[str] = []
    finish: Any = None
    usage: Any = None
    plain = True
    for event in _events(body):
        if event is None or "error" in event:
            plain = False
            continue
        usage = event.get("usage") or usage
        choices = event.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            delta = choice.get("delta", {}) if isinstance(choice, Mapping) and choice.get("index", 0) == 0 else None
            piece = None if delta is None else _alone(delta) if isinstance(delta, Mapping) and "text" not in choice else choice.get("text")
            plain = plain and isinstance(piece, str)
            pieces.append(piece if isinstance(piece, str) else "")
            finish = choice.get("finish_reason") or finish if isinstance(choice, Mapping) else finish
    return _said("".join(pieces) if plain else None, finish, usage)


def _events(body: bytes) -> Iterator[dict[str, Any] | None]:
    """The objects of a stream of events; None for one that is no object."""
    for line in body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
        if line.startswith(b"data:"):
            data = line[5:].strip()
            if data and data != b"[DONE]":
                yield _object(data)


def _alone(message: Mapping[str, Any]) -> str | None:
    """The content of a message, or of a piece of one, that is text and nothing else."""
    if message.get("tool_calls") or message.get("function_call") or message.get("refusal"):
        return None
    content = message.get("content", "")
    return "" if content is None else content if isinstance(content, str) else None


def _said(text: Any, finish: Any, usage: Any) -> Said:
    sizes = usage if isinstance(usage, Mapping) else {}
    ended = finish if isinstance(finish, str) else ""
    return Said(
        text=text if isinstance(text, str) and text.strip() and ended == _WHOLE else None,
        finish=ended,
        tokens_in=_size(sizes.get("prompt_tokens")),
        tokens_out=_size(sizes.get("completion_tokens")),
    )


def _size(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS else None


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
