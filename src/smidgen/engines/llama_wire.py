"""What the engine and its process say to each other: JSON objects, one a line, of bounded length, over the process's pipes."""

from __future__ import annotations

import json
from typing import IO, Any, TypeAlias

LONGEST = 16 * 2**20
"""Bytes of one line. A prompt of 131,072 token ids takes under one MiB."""

Message: TypeAlias = dict[str, Any]


def packed(message: Message) -> bytes:
    """A message as its line. Raises ValueError where it is too long, too deep, or holds what JSON cannot say."""
    try:
        line = json.dumps(message, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if len(line) > LONGEST:
        raise ValueError(f"a message of {len(line)} bytes; the longest is {LONGEST}")
    return line


def receive(stream: IO[bytes], longest: int = LONGEST) -> Message | None:
    """The next message; None at the end, also where the other side ended in the middle of a line.

    Raises ValueError for a line that is too long or is no JSON object. Never reads more than `longest` bytes for one line.
    """
    line = stream.readline(longest + 1)
    if len(line) > longest:
        raise ValueError(f"a line of over {longest} bytes")
    if not line.endswith(b"\n"):
        return None
    try:
        message = json.loads(line)
    except RecursionError as error:
        raise ValueError("a line of too deep a message") from error
    if not isinstance(message, dict):
        raise ValueError(f"a line that is no object but {type(message).__name__}")
    return message
