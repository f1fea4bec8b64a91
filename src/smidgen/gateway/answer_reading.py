"""Read an upstream's answer while it passes: its text and its usage, whole or as a stream of events.

OpenAI's three shapes are known: chat completions, completions, responses. An answer of another shape is passed on too, without text or
usage here. A stream reports its usage only if the request asks for it. If the client does not ask, `asking_for_usage` adds the request,
and `UsageEventFilter` removes the usage from the client's stream.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smidgen.core.replies import AnswerState
from smidgen.gateway.json_edits import with_value

MOST_BYTES = 8_000_000
"""Most bytes of a body, or of one line of a stream, that are read."""
_MOST_TEXT = 1_000_000
_MOST_TOKENS = 10**9
"""Largest believable token count. JSON has numbers of any size; sums and databases do not."""


@dataclass(frozen=True, slots=True)
class AnswerUsage:
    """Tokens, as the upstream counted them."""

    given: int
    got: int


class AnswerReader:
    """Reads one answer, fed with its bytes as they come. A body or a line of a stream longer than `most` bytes is not read.

    With `sizes_only`, the text is not read once the usage is known: do not use `written`, `text` and `state` then.

    Attributes:
        usage: tokens; None until the upstream gives them.
        written: bytes of text in all choices, from which the cost is estimated if no usage comes.
        events: chunks of a stream that carried text: each is at least one token.
        failed: whether the answer reports a failure, whatever its status.
        whole: whether it is complete: a JSON document that can be parsed, or a stream with its last event.
        ending: how it ended; see `state`.
    """

    def __init__(self, content_type: str, most: int = MOST_BYTES, *, sizes_only: bool = False) -> None:
        self._most, self._sizes_only = most, sizes_only
        self.usage: AnswerUsage | None = None
        self.written = self.events = 0
        self.whole = False
        self.ending: CompletionEnding | ResponseEnding = CompletionEnding()
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
        """Whether no more text will come: the answer is whole, or the upstream ended it."""
        return self.whole or self._over

    @property
    def text(self) -> str:
        """The text of the first choice."""
        return "".join(self._text)

    @property
    def state(self) -> AnswerState:
        """How the answer ended; meaningful after its end."""
        return self.ending.state(self.text, self.whole, self._long)

    def feed(self, piece: bytes) -> None:
        """Read the next bytes."""
        if self._lost:
            return
        self._pieces.append(piece)
        self._size += len(piece)
        if self._stream and b"\n" in piece:
            *lines, rest = b"".join(self._pieces).split(b"\n")
            self._pieces, self._size = [rest], len(rest)
            for line in lines:
                self._lines(line)
        if self._size > self._most:
            self._lost, self._pieces = True, []

    def end(self) -> None:
        """Read the rest after the last byte has come."""
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
            if is_response(found):
                self._response(found)
            else:
                self._take(found, "message")

    def _lines(self, line: bytes) -> None:
        """Split at carriage returns, each of which also ends a line, and read each line."""
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
        if isinstance(kind, str) and kind.startswith("response."):
            self._event(kind, found)
        else:
            self._take(found, "delta")
        self.events += self.written > before

    def _event(self, kind: str, found: Mapping[str, Any]) -> None:
        """Read an event of a responses stream. The text is joined from its pieces; if the whole text at the end differs, the answer is
        broken."""
        self._of_response()
        if kind in DELTAS and isinstance(found.get("delta"), str):
            self._add(found["delta"], kind == TEXT_DELTA)
        response = found.get("response")
        if kind not in ENDS or not isinstance(response, Mapping):
            return
        said = kind.removeprefix("response.")
        self.whole = said == "completed"
        self._over = True
        self.failed = self.failed or said == "failed"
        self._use(response.get("usage"))
        self._of_response().take(response, said)
        whole = "".join(text for text, told in texts_of(response) if told)
        if not self._text:
            self._add(whole, True)
        elif not self._long and whole != self.text:
            self.ending.broken()

    def _response(self, found: Mapping[str, Any]) -> None:
        """Read a response that came as one object."""
        self._use(found.get("usage"))
        self._of_response().take(found)
        for text, told in texts_of(found):
            self._add(text, told)

    def _of_response(self) -> ResponseEnding:
        """Switch to the ending of a response, once the answer proves to be one. A broken answer stays broken."""
        if not isinstance(self.ending, ResponseEnding):
            broken = self.ending.is_broken
            self.ending = ResponseEnding()
            if broken:
                self.ending.broken()
        return self.ending

    def _take(self, found: Mapping[str, Any], place: str) -> None:
        self._use(found.get("usage"))
        if self._sizes_only and self.usage is not None and self.usage.got:
            return
        if found.get("error"):
            self.ending.broken()
        if isinstance(self.ending, CompletionEnding):
            self.ending.take(found.get("choices"), place)
        for number, text in _choices(found, place):
            self._add(text, number == 0)

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
            self.usage = AnswerUsage(given, got)


def _fails(found: Mapping[str, Any]) -> bool:
    """Whether an answer, or a chunk of one, reports a failure at the provider."""
    choices = found.get("choices")
    given = [choice for choice in choices if isinstance(choice, Mapping)] if isinstance(choices, list) else []
    return bool(found.get("error")) or any(choice.get("error") or choice.get("finish_reason") == "error" for choice in given)


def _choices(found: Mapping[str, Any], place: str) -> Iterator[tuple[int, str]]:
    """The texts of all choices, each with its choice's number; -1 for reasoning, refusals and tool arguments."""
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


def _texts(*found: Any) -> Iterator[str]:
    for value in found:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from (part["text"] for part in value if isinstance(part, Mapping) and isinstance(part.get("text"), str))


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS else None


def _object(content: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


ANY_ZLIB = 47
"""zlib's `wbits` that accepts both gzip and zlib."""
ZLIB_ENCODINGS = ("gzip", "x-gzip", "deflate")
"""Content encodings that zlib reads."""


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """The result of reading an answer. `text` is its one text; None if it is incomplete or not one text. Tokens are None if the upstream
    gave none. `state` is how it ended."""

    text: str | None = None
    finish: str = ""
    tokens_in: int | None = None
    tokens_out: int | None = None
    state: AnswerState = ""


def decompressed(body: bytes, encoding: str, most: int) -> bytes | None:
    """A body without its content encoding; None if that is unknown, the body is damaged, or it unpacks to more than `most` bytes."""
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


def read_answer(content_type: str, body: bytes) -> ReadAnswer:
    """Read a whole answer, streamed or not."""
    reading = AnswerReader(content_type)
    reading.feed(body)
    reading.end()
    state = reading.state
    return ReadAnswer(
        text=reading.text if state == "whole" else None,
        finish=reading.ending.finish,
        tokens_in=reading.usage.given if reading.usage else None,
        tokens_out=reading.usage.got if reading.usage else None,
        state=state,
    )


_FIELD, _OPTION = "stream_options", "include_usage"
_COUNTING = frozenset({b"/chat/completions", b"/completions"})
"""Paths after `/v1` whose streams report their usage only on request."""
_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_MOST = 1_000_000
"""Most bytes of an event that is read; a longer one holds more than usage."""


def asking_for_usage(tail: bytes, body: bytes, read: Mapping[str, Any]) -> bytes | None:
    """The body with a request for usage added, every other byte unchanged; None if this is no such stream or it asks already.

    Args:
        tail: the path after `/v1`.
        body: the request's bytes, an object that names no field twice.
        read: that object, parsed.
    """
    options = read.get(_FIELD)
    if tail not in _COUNTING or not read.get("stream") or not isinstance(options, Mapping | None) or (options or {}).get(_OPTION):
        return None
    return with_value(body, _FIELD, {**(options or {}), _OPTION: True})


class UsageEventFilter:
    """Removes the usage event from a stream, and passes every other byte on. No event waits for the next one."""

    def __init__(self) -> None:
        self._kept = b""

    def take(self, piece: bytes) -> bytes:
        """The complete events to pass on."""
        seen = max(0, len(self._kept) - 3)  # an event's end may span two pieces
        self._kept += piece
        done, at = [], 0
        for end in _END.finditer(self._kept, seen):
            event = self._kept[at : end.end()]
            at = end.end()
            if not _is_usage(event):
                done.append(event)
        self._kept = self._kept[at:]
        if len(self._kept) > _MOST:
            done.append(self._kept)
            self._kept = b""
        return b"".join(done)

    def rest(self) -> bytes:
        """The bytes after the last complete event."""
        last, self._kept = self._kept, b""
        return b"" if _is_usage(last) else last


def _is_usage(event: bytes) -> bool:
    """Whether an event carries usage and nothing else."""
    if b'"usage"' not in event:
        return False
    said = [line[5:] for line in event.splitlines() if line.startswith(b"data:")]
    try:
        found = json.loads(b"".join(said))
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("choices") == [] and isinstance(found.get("usage"), dict)


_WHOLE = "stop"
_CALLING = ("tool_calls", "function_call")
_FILTERED, _FAILED = "content_filter", "error"
_FIRST: tuple[AnswerState, ...] = ("broken", "odd", "tools", "refused")
"""States noted while an answer is read, in order of precedence."""
_PARTS = (None, "text", "output_text")


class CompletionEnding:
    """How a chat completion ended.

    Attributes:
        finish: the upstream's `finish_reason`; empty until it gives one.
    """

    def __init__(self) -> None:
        self.finish = ""
        self._seen: set[AnswerState] = set()
        self._choices = 0

    @property
    def is_broken(self) -> bool:
        """Whether `broken` was called."""
        return "broken" in self._seen

    def broken(self) -> None:
        """Note a failure in the answer, or a part that cannot be read."""
        self._seen.add("broken")

    def take(self, choices: Any, place: str) -> None:
        """Read the choices of an answer (`place` is `message`), or of one chunk of a stream (`delta`)."""
        given = choices if isinstance(choices, list) else []
        if len(given) > 1:
            self._seen.add("odd")
        for choice in given:
            self._choices += 1
            if isinstance(choice, Mapping) and choice.get("index") in (None, 0):
                self._take(choice, place)
            else:
                self._seen.add("odd")

    def state(self, text: str, ended: bool, long: bool) -> AnswerState:
        """The state of the answer. `ended`: whether the transfer was complete; `long`: whether more text came than `text`."""
        if not self._choices or not (ended or self.finish) or self.finish == _FAILED:
            return "broken"
        for state in _FIRST:
            if state in self._seen:
                return state
        if self.finish in _CALLING:
            return "tools"
        if self.finish == _FILTERED:
            return "refused"
        if self.finish != _WHOLE:
            return "cut"  # also without a finish reason: the length may be the cause
        if long:
            return "long"
        return "whole" if text.strip() else "blank"

    def _take(self, choice: Mapping[str, Any], place: str) -> None:
        finish = choice.get("finish_reason")
        self.finish = finish if isinstance(finish, str) and finish else self.finish
        if choice.get("error"):
            self._seen.add("broken")
        message = choice.get(place)
        if isinstance(message, Mapping):
            if message.get("tool_calls") or message.get("function_call"):
                self._seen.add("tools")
            if message.get("refusal"):
                self._seen.add("refused")
            plain = _is_text(message.get("content"))
        else:
            # The last piece of a stream may have neither a message nor a text.
            plain = message is None and isinstance(choice.get("text", "" if place == "delta" else None), str)
        if not plain:
            self._seen.add("odd")


def _is_text(content: Any) -> bool:
    """Whether the content of a message is text and nothing else."""
    if not isinstance(content, list):
        return content is None or isinstance(content, str)
    return all(isinstance(part, Mapping) and part.get("type") in _PARTS and isinstance(part.get("text"), str) for part in content)


TEXT_DELTA = "response.output_text.delta"
DELTAS = frozenset(
    {
        TEXT_DELTA,
        "response.refusal.delta",
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
        "response.reasoning_text.delta",
        "response.reasoning_summary_text.delta",
    }
)
"""Events of a `/v1/responses` stream that carry a piece of text."""
ENDS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
"""The last events of such a stream; each carries the whole response."""

_COMPLETED, _INCOMPLETE = "completed", "incomplete"


def is_response(found: Mapping[str, Any]) -> bool:
    """Whether an object is a response, and not a completion."""
    return found.get("object") == "response" or ("output" in found and "choices" not in found)


def texts_of(response: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Each text of a response, with True if it is part of the answer. Reasoning, refusals and tool arguments are not."""
    for item in _all(response.get("output")):
        told = item.get("type", "message") == "message"
        for part in _all(item.get("content")):
            if isinstance(part.get("text"), str):
                yield part["text"], told and part.get("type", "output_text") == "output_text"
            elif isinstance(part.get("refusal"), str):
                yield part["refusal"], False
        for part in _all(item.get("summary")):
            if isinstance(part.get("text"), str):
                yield part["text"], False
        for name in ("arguments", "input"):
            if isinstance(item.get(name), str):
                yield item[name], False


class ResponseEnding:
    """How a response ended.

    Attributes:
        finish: the upstream's `status`; empty until it gives one.
    """

    def __init__(self) -> None:
        self.finish = ""
        self._seen: set[AnswerState] = set()
        self._over = False
        self._reason = ""

    def broken(self) -> None:
        """Note a failure in the answer, or a part that cannot be read."""
        self._seen.add("broken")

    def take(self, response: Mapping[str, Any], said: str = "") -> None:
        """Read a whole response: a plain answer, or the one in a stream's last event, whose name without `response.` is `said`."""
        self._over = True
        status, details = response.get("status"), response.get("incomplete_details")
        self.finish = status if isinstance(status, str) and status else said
        if said and self.finish != said:
            self.broken()
        reason = details.get("reason") if isinstance(details, Mapping) else None
        self._reason = reason if isinstance(reason, str) else ""
        if response.get("error"):
            self.broken()
        items = response.get("output")
        if not isinstance(items, list):
            self.broken()
            return
        for item in items:
            self._item(item)
        if sum(isinstance(item, Mapping) and item.get("type", "message") == "message" for item in items) > 1:
            self._seen.add("odd")

    def state(self, text: str, ended: bool, long: bool) -> AnswerState:
        """The state of the answer. `ended` is not used: only a whole response shows that it is complete. `long`: more text came than
        `text`."""
        if not self._over:
            return "broken"
        for state in _FIRST:
            if state in self._seen:
                return state
        if self._reason == _FILTERED:
            return "refused"
        if self.finish in ("", _INCOMPLETE) or self._reason:
            return "cut"  # also without a status: the length may be the cause
        if self.finish != _COMPLETED:
            return "broken"
        if long:
            return "long"
        return "whole" if text.strip() else "blank"

    def _item(self, item: Any) -> None:
        kind = item.get("type", "message") if isinstance(item, Mapping) else None
        if not isinstance(item, Mapping) or not isinstance(kind, str):
            self._seen.add("odd")
        elif kind == "message":
            content = item.get("content")
            parts = content if isinstance(content, list) else [None]
            for part in parts:
                shape = part.get("type", "output_text") if isinstance(part, Mapping) else None
                if shape == "refusal":
                    self._seen.add("refused")
                elif shape != "output_text" or not isinstance(part, Mapping) or not isinstance(part.get("text"), str):
                    self._seen.add("odd")
        elif kind.endswith("_call"):
            self._seen.add("tools")
        elif kind != "reasoning":
            self._seen.add("odd")


def _all(found: Any) -> Iterator[Mapping[str, Any]]:
    """The objects in a list; nothing if it is not a list."""
    return (one for one in found if isinstance(one, Mapping)) if isinstance(found, list) else iter(())
