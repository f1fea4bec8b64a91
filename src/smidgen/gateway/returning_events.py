"""The pieces of a text in a stream of events: each is changed on its way, and the end of one may be held back until the next one comes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from smidgen.gateway.stand_ins import Flow, StandIns

_CODED = ("arguments",)
"""Fields that are JSON."""
_PARTS = ("content", "thinking")
"""Fields that may be lists of parts."""
_MOST_FLOWS = 4096
"""Texts of one answer that are followed; those of further ones go on with their stand-ins where pieces cut them."""


class Deltas(Protocol):
    """What knows the events of one route."""

    def changed(self, event: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The event with the values back in its pieces, and events that must go before it."""
        ...

    def rest(self) -> Iterator[dict[str, Any]]:
        """Events with what is held back, at the end."""
        ...


def deltas_of(tail: str, stand_ins: StandIns, is_json: bool) -> Deltas:
    """Of the route `tail`, a path behind `/v1`. `is_json` says that the answer's text is to be JSON."""
    return Typed(stand_ins, is_json) if tail == "/responses" else Choices(stand_ins, is_json)


@dataclass(frozen=True, slots=True)
class _Part:
    """Which of a list's parts a piece is of: what it says itself, or all parts of its type, one after the other."""

    kind: str
    index: int | None

    @classmethod
    def of(cls, part: dict[str, Any]) -> _Part:
        """Of a piece of it."""
        kind, index = part.get("type"), part.get("index")
        return cls(kind if isinstance(kind, str) else "text", index if isinstance(index, int) else None)

    def within(self, parts: list[Any]) -> dict[str, Any]:
        """The last such part of a list, put there where there is none."""
        for part in reversed(parts):
            if isinstance(part, dict) and _Part.of(part) == self:
                return part
        parts.append({"type": self.kind} if self.index is None else {"type": self.kind, "index": self.index})
        found: dict[str, Any] = parts[-1]
        return found


class _Flows:
    """The texts of an answer by where they stand."""

    def __init__(self, stand_ins: StandIns, is_json: bool) -> None:
        self._stand_ins, self._is_json = stand_ins, is_json
        self.found: dict[tuple[Any, ...], Flow] = {}

    def of(self, place: tuple[Any, ...]) -> Flow | None:
        if place not in self.found:
            if len(self.found) >= _MOST_FLOWS:
                return None
            told = place[-1] in ("content", "text")
            self.found[place] = Flow(self._stand_ins, place[-1] in _CODED or (told and (self._is_json or None)))
        return self.found[place]

    def take(self, place: tuple[Any, ...], piece: str) -> str:
        flow = self.of(place)
        return piece if flow is None else flow.take(piece)

    def rest(self, place: tuple[Any, ...]) -> str:
        flow = self.found.pop(place, None)
        return "" if flow is None else flow.rest()


class Choices:
    """Chat completions and completions: `choices`, each with a `delta` or a `text`, and a `finish_reason` in its last piece."""

    def __init__(self, stand_ins: StandIns, is_json: bool) -> None:
        self._flows = _Flows(stand_ins, is_json)
        self._last: dict[str, Any] = {}

    def changed(self, event: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """What was held back of a choice goes with its last piece."""
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
        """One event for each choice that never said its end."""
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
        """Every text in it, by its field; tools' by their number, parts' by theirs."""
        for name, value in delta.items():
            if isinstance(value, str) and name not in ("role", "id", "type", "name"):
                delta[name] = self._flows.take((*place, name), value)
            elif name in ("function_call", "function", "custom") and isinstance(value, dict):
                self._delta((*place, name), value)
            elif name in _PARTS and isinstance(value, list):
                for part in value:
                    if isinstance(part, dict):
                        self._delta((*place, name, _Part.of(part)), part)
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
                at = step.within(at) if isinstance(step, _Part) else _call(at, step) if isinstance(step, int) else _inner(at, step)
            at[place[-1]] = (at.get(place[-1]) or "") + rest


class Typed:
    """The events of `/v1/responses`: `response.output_text.delta` with a piece, `….done` with the whole. They are numbered; where one is
    put between two, those behind it are numbered on."""

    def __init__(self, stand_ins: StandIns, is_json: bool) -> None:
        self._flows = _Flows(stand_ins, is_json)
        self._last: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._number = self._added = 0

    def changed(self, event: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """What was held back of a text goes before the event that says its end."""
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
        """One event for each text that never said its end."""
        yield from map(self._further, self._held(list(self._flows.found)))

    def _numbered(self, event: dict[str, Any]) -> dict[str, Any]:
        """An event of the upstream's, numbered behind those that were put before it."""
        number = event.get("sequence_number")
        if not isinstance(number, int):
            return event
        self._number = number + self._added
        return {**event, "sequence_number": self._number} if self._added else event

    def _further(self, event: dict[str, Any]) -> dict[str, Any]:
        """One that is put there, with the next number."""
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
    """What a field holds, a list of calls or parts or an object; put there where it is none. A text that stands there becomes a part."""
    found = value.get(name)
    if name in ("tool_calls", *_PARTS):
        said = [{"type": "text", "text": found}] if name in _PARTS and isinstance(found, str) and found else []
        value[name] = found if isinstance(found, list) else said
        return value[name]
    value[name] = found if isinstance(found, dict) else {}
    return value[name]


def _call(calls: Any, number: int) -> dict[str, Any]:
    """The tool call of a number in a list of such, put there where it is not."""
    for call in calls:
        if isinstance(call, dict) and call.get("index") == number:
            return call
    calls.append({"index": number})
    found: dict[str, Any] = calls[-1]
    return found
