"""Restore an answer: replace placeholders by their values, in one object or in a stream of events.

Parts without a change keep every byte. The end of a piece of a stream may be held back until the next one, because it may be the beginning
of a placeholder.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from smidgen.privacy.placeholders import Placeholders, PlaceholderStream

_CODED = ("arguments",)
"""Fields that hold JSON."""
_PARTS = ("content", "thinking")
"""Fields that may be lists of parts."""
_MOST_FLOWS = 4096
"""Most texts of one answer to follow. In further ones, placeholders cut by a piece boundary stay."""


class DeltaRestorer(Protocol):
    """Restores the events of one route."""

    def changed(self, event: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Return events to send first, and the event with the values restored."""
        ...

    def rest(self) -> Iterator[dict[str, Any]]:
        """Yield events with the held-back text, at the end."""
        ...


def delta_restorer(tail: str, placeholders: Placeholders, is_json: bool) -> DeltaRestorer:
    """Return the restorer for a path `tail` under `/v1`. `is_json`: the answer's text must be JSON."""
    return ResponseDeltas(placeholders, is_json) if tail == "/responses" else CompletionDeltas(placeholders, is_json)


@dataclass(frozen=True, slots=True)
class _ListPart:
    """The part of a list that a piece belongs to: by its index, else all parts of its type are one."""

    kind: str
    index: int | None

    @classmethod
    def of(cls, part: dict[str, Any]) -> _ListPart:
        """Return the part that a piece belongs to."""
        kind, index = part.get("type"), part.get("index")
        return cls(kind if isinstance(kind, str) else "text", index if isinstance(index, int) else None)

    def within(self, parts: list[Any]) -> dict[str, Any]:
        """Return the last such part of a list, appended if there is none."""
        for part in reversed(parts):
            if isinstance(part, dict) and _ListPart.of(part) == self:
                return part
        parts.append({"type": self.kind} if self.index is None else {"type": self.kind, "index": self.index})
        found: dict[str, Any] = parts[-1]
        return found


class _PlaceholderStreams:
    """The texts of an answer, by their place in it."""

    def __init__(self, placeholders: Placeholders, is_json: bool) -> None:
        self._placeholders, self._is_json = placeholders, is_json
        self.found: dict[tuple[Any, ...], PlaceholderStream] = {}

    def of(self, place: tuple[Any, ...]) -> PlaceholderStream | None:
        if place not in self.found:
            if len(self.found) >= _MOST_FLOWS:
                return None
            told = place[-1] in ("content", "text")
            self.found[place] = PlaceholderStream(self._placeholders, place[-1] in _CODED or (told and (self._is_json or None)))
        return self.found[place]

    def take(self, place: tuple[Any, ...], piece: str) -> str:
        flow = self.of(place)
        return piece if flow is None else flow.take(piece)

    def rest(self, place: tuple[Any, ...]) -> str:
        flow = self.found.pop(place, None)
        return "" if flow is None else flow.rest()


class CompletionDeltas:
    """Chat completions and completions: `choices`, each with a `delta` or a `text`, and a `finish_reason` in its last piece."""

    def __init__(self, placeholders: Placeholders, is_json: bool) -> None:
        self._flows = _PlaceholderStreams(placeholders, is_json)
        self._last: dict[str, Any] = {}

    def changed(self, event: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Restore the pieces of all choices. The last piece of a choice gets the held-back text."""
        choices = event.get("choices")
        if not isinstance(choices, list) or not any(isinstance(choice, dict) for choice in choices):
            return [], event
        self._last = {name: value for name, value in event.items() if name not in ("choices", "usage")}
        done = copy.deepcopy(event)
        for choice in done["choices"]:
            if isinstance(choice, dict):
                self._choice(choice)
        return [], done

    def rest(self) -> Iterator[dict[str, Any]]:
        """Yield one event for each choice without a last piece."""
        for index in dict.fromkeys(place[0] for place in self._flows.found):
            choice: dict[str, Any] = {"index": index, "finish_reason": None}
            self._end(index, choice)
            if choice.get("delta") or choice.get("text"):
                yield {**self._last, "choices": [choice]}

    def _choice(self, choice: dict[str, Any]) -> None:
        index = choice.get("index")
        index = index if isinstance(index, int) else 0
        if isinstance(choice.get("text"), str):
            choice["text"] = self._flows.take((index, "text"), choice["text"])
        delta = choice.get("delta")
        if isinstance(delta, dict):
            self._delta((index,), delta)
        if choice.get("finish_reason") is not None:
            self._end(index, choice)

    def _delta(self, place: tuple[Any, ...], delta: dict[str, Any]) -> None:
        """Restore every text in a delta by its field. Tool calls and parts are told apart by their index."""
        for name, value in delta.items():
            if isinstance(value, str) and name not in ("role", "id", "type", "name"):
                delta[name] = self._flows.take((*place, name), value)
            elif name in ("function_call", "function", "custom") and isinstance(value, dict):
                self._delta((*place, name), value)
            elif name in _PARTS and isinstance(value, list):
                for part in value:
                    if isinstance(part, dict):
                        self._delta((*place, name, _ListPart.of(part)), part)
            elif name == "tool_calls" and isinstance(value, list):
                for call in value:
                    if isinstance(call, dict):
                        number = call.get("index")
                        self._delta((*place, name, number if isinstance(number, int) else 0), call)

    def _end(self, index: int, choice: dict[str, Any]) -> None:
        for place in [place for place in self._flows.found if place[0] == index]:
            rest = self._flows.rest(place)
            if not rest:
                continue
            if place[1:] == ("text",):
                choice["text"] = (choice.get("text") or "") + rest
                continue
            delta = choice.get("delta")
            choice["delta"] = delta if isinstance(delta, dict) else {}
            at: Any = choice["delta"]
            for step in place[1:-1]:
                at = step.within(at) if isinstance(step, _ListPart) else _call(at, step) if isinstance(step, int) else _inner(at, step)
            at[place[-1]] = (at.get(place[-1]) or "") + rest


class ResponseDeltas:
    """Events of `/v1/responses`: `response.output_text.delta` with a piece, `….done` with the whole.

    They are numbered. Inserted events shift the numbers of those after them.
    """

    def __init__(self, placeholders: Placeholders, is_json: bool) -> None:
        self._flows = _PlaceholderStreams(placeholders, is_json)
        self._last: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._number = self._added = 0

    def changed(self, event: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Restore an event. Held-back text goes before the event that ends its text."""
        before, sent = self._changed(event)
        return [self._further(held) for held in before], self._numbered(sent)

    def _changed(self, event: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        kind = event.get("type")
        if not isinstance(kind, str):
            return [], event
        name, _, what = kind.rpartition(".")
        place = self._place(event, name)
        if what == "delta" and isinstance(event.get("delta"), str):
            if len(self._last) < _MOST_FLOWS or place in self._last:
                self._last[place] = event
                return [], {**event, "delta": self._flows.take(place, event["delta"])}
            return [], event
        if what == "done":
            return list(self._held([place])), event
        if what in ("completed", "incomplete", "failed"):
            return list(self._held(list(self._flows.found))), event
        return [], event

    def rest(self) -> Iterator[dict[str, Any]]:
        """Yield one event for each text without an end."""
        yield from map(self._further, self._held(list(self._flows.found)))

    def _numbered(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return an event of the upstream with its number shifted by the inserted ones."""
        number = event.get("sequence_number")
        if not isinstance(number, int):
            return event
        self._number = number + self._added
        return {**event, "sequence_number": self._number} if self._added else event

    def _further(self, event: dict[str, Any]) -> dict[str, Any]:
        """Return an inserted event with the next number."""
        if not isinstance(event.get("sequence_number"), int):
            return event
        self._added += 1
        self._number += 1
        return {**event, "sequence_number": self._number}

    def _held(self, places: list[tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
        for place in places:
            rest = self._flows.rest(place)
            last = self._last.pop(place, None)
            if rest and last is not None:
                yield {**last, "delta": rest}

    def _place(self, event: dict[str, Any], name: str) -> tuple[Any, ...]:
        where = [event.get(key) for key in ("item_id", "output_index", "content_index", "summary_index")]
        field = "arguments" if name.endswith("arguments") else "text" if name == "response.output_text" else "other"
        return (name, *(step if isinstance(step, str | int) else None for step in where), field)


def _inner(value: dict[str, Any], name: str) -> Any:
    """Return the value of a field, a list or an object, created if missing. A text becomes a part of a list."""
    found = value.get(name)
    if name in ("tool_calls", *_PARTS):
        said = [{"type": "text", "text": found}] if name in _PARTS and isinstance(found, str) and found else []
        value[name] = found if isinstance(found, list) else said
        return value[name]
    value[name] = found if isinstance(found, dict) else {}
    return value[name]


def _call(calls: Any, number: int) -> dict[str, Any]:
    """Return the tool call with an index in a list, appended if missing."""
    for call in calls:
        if isinstance(call, dict) and call.get("index") == number:
            return call
    calls.append({"index": number})
    found: dict[str, Any] = calls[-1]
    return found


RESTORED_PATHS = frozenset({"/chat/completions", "/completions", "/responses"})
"""Paths under `/v1` whose answers can be restored."""
MOST = 16_000_000
"""Most bytes of an answer in one object, or of one event. A longer one keeps its placeholders."""
_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")


class Restorer(Protocol):
    """Restores a body that comes in pieces."""

    def take(self, piece: bytes) -> bytes:
        """Add a piece and return the part that can be sent."""
        ...

    def rest(self) -> bytes:
        """Return the rest, at the end of the body."""
        ...


def restorer(tail: str, content_type: str, placeholders: Placeholders, body: dict[str, Any]) -> Restorer | None:
    """Return the restorer of the answer to a masked request; None for an unknown route, or without placeholders.

    `tail`: the path under `/v1`. `body`: the request's, which shows whether the answer's text must be JSON.
    """
    if tail not in RESTORED_PATHS or not placeholders:
        return None
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/json":
        return ObjectRestorer(placeholders)
    if kind == "text/event-stream":
        return StreamRestorer(placeholders, delta_restorer(tail, placeholders, _wants_json(body)))
    return None


def restored_value(value: Any, placeholders: Placeholders, name: str = "") -> Any:
    """Restore the values in all strings of a JSON value. Inside strings that are JSON themselves, they are escaped."""
    if isinstance(value, str):
        return placeholders.restored(value, escaped=name == "arguments" or _is_json(value)) if "[" in value else value
    if isinstance(value, list):
        return [restored_value(inner, placeholders, name) for inner in value]
    if isinstance(value, dict):
        return {placeholders.restored(key): restored_value(inner, placeholders, key) for key, inner in value.items()}
    return value


class ObjectRestorer:
    """Restores an answer that is one object."""

    def __init__(self, placeholders: Placeholders) -> None:
        self._placeholders = placeholders
        self._pieces: list[bytes] = []
        self._size = 0

    def take(self, piece: bytes) -> bytes:
        """Collect pieces and return nothing until the end; if the answer is too large, return all of it unchanged."""
        self._size += len(piece)
        self._pieces.append(piece)
        return self._flushed() if self._size > MOST else b""

    def rest(self) -> bytes:
        """Return the restored object, or the collected bytes if they cannot be read."""
        whole = self._flushed()
        return changed_json(whole, lambda read: restored_value(read, self._placeholders)) if self._size <= MOST else whole

    def _flushed(self) -> bytes:
        whole = b"".join(self._pieces)
        self._pieces = []
        return whole


class StreamRestorer:
    """Restores an answer that is a stream of events (WHATWG server-sent events), one object each."""

    def __init__(self, placeholders: Placeholders, deltas: DeltaRestorer) -> None:
        self._placeholders, self._deltas = placeholders, deltas
        self._kept = b""
        self._seen = 0

    def take(self, piece: bytes) -> bytes:
        """Return the complete events."""
        self._kept += piece
        done, at = [], 0
        # The end of an event may be split over two pieces, so the search starts a little before the new one.
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
        """Return the bytes after the last complete event, and the held-back text."""
        last, self._kept = self._kept, b""
        sent = self._event(last, b"") if last else b""
        held = b"".join(_as_event(one) for one in self._deltas.rest())
        if not held or not sent:
            return held + sent
        # Held-back text goes after a last event that only lacks its blank line, and before an incomplete event.
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
            return restored_value(changed, self._placeholders)

        sent = changed_json(data, change)
        before = b"".join(_as_event(event_held, _named(lines)) for event_held in held)
        if sent == data:
            return before + event + end
        return before + b"".join([*lines[: said[0]], b"data: ", sent, line[len(line.rstrip(b"\r\n")) :], *lines[said[0] + 1 :], end])


def changed_json(data: bytes, change: Callable[[Any], Any]) -> bytes:
    """Apply a change to JSON bytes. They stay if nothing changes, or if they are not JSON."""
    try:
        read = json.loads(data)
        changed = change(read)
    except (ValueError, RecursionError):
        return data
    if changed == read:
        return data
    return json_bytes(changed)


def json_bytes(value: Any) -> bytes:
    """Encode a value as JSON bytes; escaped if a string in it is not valid Unicode."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode("ascii")


def _is_event(lines: bytes) -> bool:
    """Return True if lines without a final blank line are a complete event."""
    said = b"".join(line[5:] for line in lines.splitlines() if line.startswith(b"data:")).strip()
    try:
        return said == b"[DONE]" or isinstance(json.loads(said), dict)
    except (ValueError, RecursionError):
        return False


def _as_event(value: dict[str, Any], named: bool = False) -> bytes:
    name = f"event: {value['type']}\n".encode() if named and isinstance(value.get("type"), str) else b""
    return name + b"data: " + json_bytes(value) + b"\n\n"


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
    """Return True if the request asks for JSON text."""
    text = body.get("text")
    for asked in _formats(body.get("response_format"), text.get("format") if isinstance(text, dict) else None):
        if asked.get("type") in ("json_object", "json_schema"):
            return True
    return False


def _formats(*found: Any) -> Iterator[dict[str, Any]]:
    yield from (entry for entry in found if isinstance(entry, dict))
