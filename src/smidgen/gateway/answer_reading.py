"""Reading an upstream's answer while it passes: its text and what it took in tokens, whole or as a stream of events.

OpenAI's three shapes are known: chat completions, completions, responses. What is not understood is passed on all the same; then there is
no usage here, and the text is empty. Whoever needs to know what an answer says reads it here: those who count its cost,
who audit by it, and who store it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smidgen.core.answer_state import AnswerState
from smidgen.gateway.answer_ending import Ending

MOST_BYTES = 8_000_000
"""Longest body, or line of a stream, that is read."""
_MOST_TEXT = 1_000_000
_DELTAS = ("response.output_text.delta", "response.function_call_arguments.delta", "response.reasoning_summary_text.delta")


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the upstream counted them."""

    given: int
    got: int


class Reading:
    """One answer, fed with its bytes as they come.

    Attributes:
        usage: what it took; None while, or where, it does not say.
        written: bytes of text that were written, in all choices: what tells of the cost where there is no usage.
        events: of a stream, how many brought text: a token at least each.
        failed: whether it says of itself that it failed, whatever its status was.
        whole: whether it came to its end: a JSON document that can be read, a stream that said so.
        ending: how it went, of a chat completion or completion; see `state`.
    """

    def __init__(self, content_type: str) -> None:
        self.usage: Usage | None = None
        self.written = self.events = 0
        self.whole = False
        self.ending = Ending()
        self._stream = content_type.startswith("text/event-stream")
        self._pieces: list[bytes] = []
        self._over = False
        self.failed = False
        self._size = 0
        self._text: list[str] = []
        self._kept = 0
        self._lost = self._long = False

    @property
    def ended(self) -> bool:
        """Whether nothing more will be written: it is whole, or the upstream said that it ends here."""
        return self.whole or self._over

    @property
    def text(self) -> str:
        """The text of the first choice."""
        return "".join(self._text)

    @property
    def state(self) -> AnswerState:
        """How a chat completion or completion went, when it has ended. Of the responses' kind it says nothing that is of use."""
        return self.ending.state(self.text, self.whole, self._long)

    def feed(self, piece: bytes) -> None:
        """The next bytes."""
        if self._lost:
            return
        self._pieces.append(piece)
        self._size += len(piece)
        if self._stream and b"\n" in piece:
            *lines, rest = b"".join(self._pieces).split(b"\n")
            self._pieces, self._size = [rest], len(rest)
            for line in lines:
                self._lines(line)
        if self._size > MOST_BYTES:
            self._lost, self._pieces = True, []

    def end(self) -> None:
        """There is no more."""
        rest = b"".join(self._pieces)
        self._pieces = []
        if self._lost:
            return
        if self._stream:
            self._lines(rest)
            return
        found = _object(rest)
        if found is not None:
            self.whole = True
            self.failed = _fails(found)
            self._take(found, "message")

    def _lines(self, line: bytes) -> None:
        """A line, or several: a carriage return alone ends one, too."""
        for one in line.split(b"\r"):
            self._line(one)

    def _line(self, line: bytes) -> None:
        name, _, value = line.strip().partition(b":")
        if name != b"data" or not value:
            return
        if value.strip() == b"[DONE]":
            self.whole = True
            return
        found = _object(value)
        if found is None:
            self.ending.broken()
            return
        kind = found.get("type")
        self.failed = self.failed or kind == "error" or _fails(found)
        before = self.written
        if kind in _DELTAS and isinstance(found.get("delta"), str):
            self._add(found["delta"], kind == _DELTAS[0])
        elif kind in ("response.completed", "response.incomplete", "response.failed") and isinstance(found.get("response"), Mapping):
            self.whole = kind == "response.completed"
            self._over = True
            self.failed = self.failed or kind == "response.failed"
            self._use(found["response"].get("usage"))
        else:
            self._take(found, "delta")
        self.events += self.written > before

    def _take(self, found: Mapping[str, Any], place: str) -> None:
        self._use(found.get("usage"))
        if found.get("error"):
            self.ending.broken()
        self.ending.take(found.get("choices"), place)
        for number, text in _choices(found, place):
            self._add(text, number == 0)
        for text in _outputs(found.get("output")):
            self._add(text, True)

    def _add(self, text: str, first: bool) -> None:
        self.written += len(text.encode("utf-8", "replace"))
        self._long = self._long or (first and self._kept + len(text) > _MOST_TEXT)
        if first and self._kept < _MOST_TEXT:
            self._text.append(text[: _MOST_TEXT - self._kept])
            self._kept += len(self._text[-1])

    def _use(self, usage: Any) -> None:
        if not isinstance(usage, Mapping):
            return
        given = _count(usage.get("prompt_tokens", usage.get("input_tokens")))
        got = _count(usage.get("completion_tokens", usage.get("output_tokens", 0)))
        if given is not None and got is not None:
            self.usage = Usage(given, got)


def _fails(found: Mapping[str, Any]) -> bool:
    """Whether an answer, or a piece of one, tells of a failure of the provider's."""
    choices = found.get("choices")
    given = [choice for choice in choices if isinstance(choice, Mapping)] if isinstance(choices, list) else []
    return bool(found.get("error")) or any(choice.get("error") or choice.get("finish_reason") == "error" for choice in given)


def _choices(found: Mapping[str, Any], place: str) -> Iterator[tuple[int, str]]:
    """The texts of choices, each with its choice's number: what was said, thought, refused, or given to a tool."""
    choices = found.get("choices")
    for place_in, choice in enumerate(choices if isinstance(choices, list) else ()):
        if not isinstance(choice, Mapping):
            continue
        index = choice.get("index", place_in)
        number = index if isinstance(index, int) else place_in
        message = choice.get(place)
        said = message if isinstance(message, Mapping) else {}
        for text in _texts(choice.get("text"), said.get("content")):
            yield number, text
        tools = said.get("tool_calls")
        called = [call.get("function") for call in tools if isinstance(call, Mapping)] if isinstance(tools, list) else []
        beside = [said.get(name) for name in ("reasoning_content", "reasoning", "refusal")]
        for text in _texts(*beside, *(function.get("arguments") for function in called if isinstance(function, Mapping))):
            yield -1, text


def _outputs(output: Any) -> Iterator[str]:
    """The texts of a response's items."""
    for item in output if isinstance(output, list) else ():
        if isinstance(item, Mapping):
            yield from _texts(item.get("content"), item.get("arguments"))


def _texts(*found: Any) -> Iterator[str]:
    for value in found:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (part["text"] for part in value if isinstance(part, Mapping) and isinstance(part.get("text"), str))


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _object(content: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
