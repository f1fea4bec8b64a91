"""The last event of a stream that a bundle wrote: in its field `smidgen` the gateway says what the face does not know."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from smidgen.gateway.answer_reading import Reading
from smidgen.server.errors import as_json

EVENTS = "text/event-stream"
_BETWEEN = b"\n\n"
_LINE = b"\n"
_DATA = b"data: "


def text_of(stream: bytes) -> str:
    """What a whole stream's answer says."""
    reading = Reading(EVENTS, most=len(stream) + 1)
    reading.feed(stream)
    reading.end()
    return reading.text


def with_facts(stream: bytes, facts: Mapping[str, Any]) -> bytes:
    """The stream with these facts in the field `smidgen` of the event that ends its text: of a chat completion or a completion the last
    chunk with a choice, of a response that with the whole. One that ends with an error is as it was."""
    events = stream.split(_BETWEEN)
    for place in range(len(events) - 1, -1, -1):
        head, between, line = events[place].rpartition(_LINE)  # of an event with a name, that is the line before
        data = line.removeprefix(_DATA)
        if data in (line, b"[DONE]"):
            continue
        found = json.loads(data)
        whole = found.get("response")
        if isinstance(whole, dict):
            found = {**found, "response": _told(whole, facts)}
        elif found.get("choices"):
            found = _told(found, facts)
        elif "choices" in found:  # the usage
            continue
        else:
            return stream
        events[place] = head + between + _DATA + as_json(found)
        return _BETWEEN.join(events)
    return stream


def _told(value: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    held = value.get("smidgen")
    return {**value, "smidgen": {**(held if isinstance(held, dict) else {}), **facts}}
