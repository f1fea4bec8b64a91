"""What a stream took in tokens, where nobody but this server asked for it: the wish on the way out, and its answer on the way back.

A stream says its usage, hidden reasoning with it, only where the request asks for that. Without it nobody knows what was billed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from smidgen.gateway.request_body import with_value

_FIELD, _WISH = "stream_options", "include_usage"
_COUNTING = frozenset({b"/chat/completions", b"/completions"})
"""Behind `/v1`. Other streams say it unasked."""
_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_MOST = 1_000_000
"""Bytes of one event that is read; a longer one has more in it than usage."""


def asking_for_usage(tail: bytes, body: bytes, read: Mapping[str, Any]) -> bytes | None:
    """A body that also asks for the usage, every other byte as it was; None for what is no stream of the kind, or asks for it already.

    Args:
        tail: the path behind `/v1`.
        body: the request's bytes, an object that names no field twice.
        read: the same object.
    """
    options = read.get(_FIELD)
    if tail not in _COUNTING or not read.get("stream") or not isinstance(options, Mapping | None) or (options or {}).get(_WISH):
        return None
    return with_value(body, _FIELD, {**(options or {}), _WISH: True})


class UsageEventFilter:
    """Takes the pieces of a stream and gives what goes on: every byte but those of the event that has usage, and no choice. No event waits
    for the next one."""

    def __init__(self) -> None:
        self._kept = b""

    def take(self, piece: bytes) -> bytes:
        """The events that are whole, and that are to go on."""
        seen = max(0, len(self._kept) - 3)  # an end may lie across two pieces
        self._kept += piece
        done, at = [], 0
        for end in _END.finditer(self._kept, seen):
            event = self._kept[at : end.end()]
            at = end.end()
            if not _counts(event):
                done.append(event)
        self._kept = self._kept[at:]
        if len(self._kept) > _MOST:
            done.append(self._kept)
            self._kept = b""
        return b"".join(done)

    def rest(self) -> bytes:
        """What came after the last whole event."""
        last, self._kept = self._kept, b""
        return b"" if _counts(last) else last


def _counts(event: bytes) -> bool:
    """Whether an event is there for the usage alone."""
    if b'"usage"' not in event:
        return False
    said = [line[5:] for line in event.splitlines() if line.startswith(b"data:")]
    try:
        found = json.loads(b"".join(said))
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("choices") == [] and isinstance(found.get("usage"), dict)
