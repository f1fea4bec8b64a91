"""An answer on its way back: values in place of their stand-ins, in one object or in a stream of events. What needs no change keeps every
byte."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from smidgen.gateway.returning_events import Deltas, deltas_of
from smidgen.gateway.stand_ins import StandIns

RESTORED = frozenset({"/chat/completions", "/completions", "/responses"})
"""Behind `/v1`: whose answers are understood."""
MOST = 16_000_000
"""Bytes of an answer in one object, or of one event, that is read; a longer one goes on with its stand-ins."""
_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")


class Mender(Protocol):
    """Takes a body's pieces and gives what goes on."""

    def take(self, piece: bytes) -> bytes:
        """What can go on now."""
        ...

    def rest(self) -> bytes:
        """The rest, at the end of the body."""
        ...


def mender(tail: str, content_type: str, stand_ins: StandIns, body: dict[str, Any]) -> Mender | None:
    """What mends the answer to a masked request; None where it is not understood, or holds no stand-in.

    `tail` is the path behind `/v1`, `body` the request's: it says whether the answer's text is to be JSON.
    """
    if tail not in RESTORED or not stand_ins:
        return None
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        return Whole(stand_ins)
    if kind == "text/event-stream":
        return Events(stand_ins, deltas_of(tail, stand_ins, _wants_json(body)))
    return None


def put_back(value: Any, stand_ins: StandIns, name: str = "") -> Any:
    """A value that JSON can hold, with the values back in all of its texts; in those that are JSON themselves, escaped."""
    if isinstance(value, str):
        return stand_ins.restored(value, escaped=name == "arguments" or _is_json(value)) if "[" in value else value
    if isinstance(value, list):
        return [put_back(inner, stand_ins, name) for inner in value]
    if isinstance(value, dict):
        return {stand_ins.restored(key): put_back(inner, stand_ins, key) for key, inner in value.items()}
    return value


class Whole:
    """An answer that is one object."""

    def __init__(self, stand_ins: StandIns) -> None:
        self._stand_ins = stand_ins
        self._pieces: list[bytes] = []
        self._size = 0

    def take(self, piece: bytes) -> bytes:
        """Nothing, until it is all there; or all of it as it comes, where it is too large to be read."""
        self._size += len(piece)
        self._pieces.append(piece)
        return self._flushed() if self._size > MOST else b""

    def rest(self) -> bytes:
        """The object, or what there is of one that cannot be read."""
        whole = self._flushed()
        return mended(whole, lambda read: put_back(read, self._stand_ins)) if self._size <= MOST else whole

    def _flushed(self) -> bytes:
        whole = b"".join(self._pieces)
        self._pieces = []
        return whole


class Events:
    """An answer that is a stream of events (server-sent events of the WHATWG), one object each."""

    def __init__(self, stand_ins: StandIns, deltas: Deltas) -> None:
        self._stand_ins, self._deltas = stand_ins, deltas
        self._kept = b""
        self._seen = 0

    def take(self, piece: bytes) -> bytes:
        """The events that are whole."""
        self._kept += piece
        done, at = [], 0
        # An end may lie across two pieces: it is looked for from a little before the new one on.
        for end in _END.finditer(self._kept, max(0, self._seen - 3)):
            done.append(self._event(self._kept[at : end.start()], end[0]))
            at = end.end()
        self._kept = self._kept[at:]
        self._seen = len(self._kept)
        if self._seen > MOST:
            done.append(self._kept)
            self._kept, self._seen = b"", 0
        return b"".join(done)

    def rest(self) -> bytes:
        """What came after the last whole event, and what is still held back."""
        last, self._kept = self._kept, b""
        sent = self._event(last, b"") if last else b""
        held = b"".join(_as_event(one) for one in self._deltas.rest())
        if not held or not sent:
            return held + sent
        # What is held back belongs behind a last event that lacks its blank line, and before a piece of one, which is nothing by itself.
        return sent + b"\n\n" + held if _is_event(last) else held + sent

    def _event(self, event: bytes, end: bytes) -> bytes:
        lines = event.splitlines(keepends=True)
        said = [place for place, line in enumerate(lines) if line.startswith(b"data:")]
        if not said:
            return event + end
        if b"".join(lines[place][5:] for place in said).strip() == b"[DONE]":
            return b"".join(_as_event(held) for held in self._deltas.rest()) + event + end
        if len(said) > 1:
            return event + end
        line = lines[said[0]]
        data = line[5:].strip()
        held: list[dict[str, Any]] = []

        def change(read: Any) -> Any:
            before, changed = self._deltas.changed(read) if isinstance(read, dict) else ([], read)
            held.extend(before)
            return put_back(changed, self._stand_ins)

        sent = mended(data, change)
        before = b"".join(_as_event(event_held, _named(lines)) for event_held in held)
        if sent == data:
            return before + event + end
        return before + b"".join([*lines[: said[0]], b"data: ", sent, line[len(line.rstrip(b"\r\n")) :], *lines[said[0] + 1 :], end])


def mended(data: bytes, change: Callable[[Any], Any]) -> bytes:
    """JSON bytes after a change; as they are where nothing changes, or where they are no JSON."""
    try:
        read = json.loads(data)
        changed = change(read)
    except (ValueError, RecursionError):
        return data
    if changed == read:
        return data
    return written(changed)


def written(value: Any) -> bytes:
    """A value as JSON bytes; escaped where a text in it is not valid Unicode."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode("ascii")


def _is_event(lines: bytes) -> bool:
    """Whether lines that end without a blank one are an event all the same."""
    said = b"".join(line[5:] for line in lines.splitlines() if line.startswith(b"data:")).strip()
    try:
        return said == b"[DONE]" or isinstance(json.loads(said), dict)
    except (ValueError, RecursionError):
        return False


def _as_event(value: dict[str, Any], named: bool = False) -> bytes:
    name = f"event: {value['type']}\n".encode() if named and isinstance(value.get("type"), str) else b""
    return name + b"data: " + written(value) + b"\n\n"


def _named(lines: list[bytes]) -> bool:
    return any(line.startswith(b"event:") for line in lines)


def _is_json(text: str) -> bool:
    if text.lstrip()[:1] not in ("{", "["):
        return False
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def _wants_json(body: dict[str, Any]) -> bool:
    """Whether the request asks for a text that is JSON."""
    text = body.get("text")
    for asked in _formats(body.get("response_format"), text.get("format") if isinstance(text, dict) else None):
        if asked.get("type") in ("json_object", "json_schema"):
            return True
    return False


def _formats(*found: Any) -> Iterator[dict[str, Any]]:
    yield from (entry for entry in found if isinstance(entry, dict))
