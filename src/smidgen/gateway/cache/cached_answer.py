"""An answer that is kept: one whole object, whether it came as one or as a stream of events; and either of them made of it again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smidgen.gateway.answer_reading import AnswerReader, AnswerUsage
from smidgen.gateway.eligibility import CHAT

EVENTS = "text/event-stream"
_HEAD = frozenset(("id", "object", "created", "model", "system_fingerprint", "service_tier", "provider"))
_BESIDE = frozenset(("choices", "usage", "obfuscation", "timings", "x_groq", "smidgen"))
"""Of a stream's chunks: what each repeats, and what is said otherwise, or is about that one sending. A chunk with anything else is not
understood, and its answer not kept."""
_SAID = ("content", "reasoning_content", "reasoning")
"""Texts of a message that come in pieces."""


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """An answer.

    Attributes:
        body: its object as JSON bytes.
        usage: what it took; None where nobody said.
        sized: whether it says all that its upstream would say of what it took. A stream says it only where it is asked to.
    """

    body: bytes
    usage: AnswerUsage | None
    sized: bool = True


def cacheable_answer(path: str, content_type: str, body: bytes) -> CachedAnswer | None:
    """An answer with the status 200 as it is kept; None of any but one whole text, to its end, that calls no tool, refuses nothing, and
    is understood."""
    reading = AnswerReader(content_type)
    reading.feed(body)
    reading.end()
    if not reading.whole or reading.failed or reading.state != "whole":
        return None
    found = _assembled(path, body) if content_type.startswith(EVENTS) else json.loads(body)
    if found is None or _text(path, found["choices"][0]) != reading.text:
        return None
    return CachedAnswer(_json(found), reading.usage, reading.usage is not None or not content_type.startswith(EVENTS))


def _text(path: str, choice: Mapping[str, Any]) -> object:
    """The text of a choice, in the place where this face has it."""
    message = choice.get("message")
    return (message.get("content") if isinstance(message, Mapping) else None) if path == CHAT else choice.get("text")


def whole_answer(answer: CachedAnswer, facts: Mapping[str, Any]) -> bytes:
    """The answer as one object, with these facts in its field `smidgen`."""
    return _json({**json.loads(answer.body), "smidgen": dict(facts)})


def answer_events(path: str, answer: CachedAnswer, facts: Mapping[str, Any], usage: bool) -> bytes:
    """The answer as a stream of events. `usage`: whether the last one says what it took."""
    found = json.loads(answer.body)
    (choice,) = found["choices"]
    kind = "chat.completion.chunk" if path == CHAT else "text_completion"
    common = {name: value for name, value in found.items() if name not in ("choices", "usage", "smidgen")} | {"object": kind}
    common |= {"usage": None} if usage else {}
    logs = choice.get("logprobs")
    if path == CHAT:
        message = {name: value for name, value in choice["message"].items() if value is not None}
        said: list[dict[str, Any]] = [
            {"delta": {"role": "assistant", "content": ""}, "logprobs": None},
            {"delta": message, "logprobs": logs},
        ]
        last: dict[str, Any] = {"delta": {}}
    else:
        said, last = [{"text": choice["text"], "logprobs": logs}], {"text": ""}
    pieces: list[dict[str, Any]] = [{**common, "choices": [{"index": 0, **one, "finish_reason": None}]} for one in said]
    ending = {"index": 0, **last, "logprobs": None, "finish_reason": choice["finish_reason"]}
    pieces.append({**common, "choices": [ending], "smidgen": dict(facts)})
    if usage:
        pieces.append({**common, "choices": [], "usage": found.get("usage")})
    return b"".join(b"data: " + _json(piece) + b"\n\n" for piece in pieces) + b"data: [DONE]\n\n"


def _assembled(path: str, body: bytes) -> dict[str, Any] | None:
    """The object that a whole stream's chunks make up; None where a chunk has more in it than is understood here."""
    head: dict[str, Any] = {}
    message: dict[str, str] = {}
    text, finish, usage = "", None, None
    for chunk in _chunks(body):
        if any(value is not None and name not in _HEAD | _BESIDE for name, value in chunk.items()):
            return None
        head = {**{name: value for name, value in chunk.items() if name in _HEAD}, **head}
        usage = chunk.get("usage") or usage
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if choice.get("logprobs"):
                return None
            finish = choice.get("finish_reason") or finish
            text += choice.get("text") or ""
            for name, value in (choice.get("delta") or {}).items():
                if name in _SAID and isinstance(value, str):
                    message[name] = message.get(name, "") + value
                elif value and name != "role":
                    return None
    said = {"message": {"role": "assistant", **message}} if path == CHAT else {"text": text}
    kind = "chat.completion" if path == CHAT else "text_completion"
    done = {**head, "object": kind, "choices": [{"index": 0, **said, "logprobs": None, "finish_reason": finish}]}
    return {**done, "usage": usage} if usage else done


def _chunks(body: bytes) -> Iterator[Mapping[str, Any]]:
    """The objects of a stream that was read as whole already: each of its lines is understood."""
    for line in body.replace(b"\r", b"\n").split(b"\n"):
        name, _, value = line.strip().partition(b":")
        if name == b"data" and value.strip() not in (b"", b"[DONE]"):
            yield json.loads(value)


def _json(value: Any) -> bytes:
    """JSON bytes; escaped where a text in it is not valid Unicode."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode("ascii")
