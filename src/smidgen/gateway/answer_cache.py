"""The in-memory cache of answers: which answers are stored, in which form, and for how long."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smidgen.gateway.answer_reading import AnswerReader, AnswerUsage
from smidgen.gateway.cache_rules import CacheKey
from smidgen.gateway.eligibility import CHAT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]


EVENTS = "text/event-stream"
_HEAD = frozenset(("id", "object", "created", "model", "system_fingerprint", "service_tier", "provider"))
_BESIDE = frozenset(("choices", "usage", "obfuscation", "timings", "x_groq", "smidgen"))
"""Fields of a stream's chunks: `_HEAD` are repeated in each chunk, `_BESIDE` are stored elsewhere or dropped. An answer with any other
field is not cached."""
_SAID = ("content", "reasoning_content", "reasoning")
"""Fields of a message whose text comes in pieces."""


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """A cached answer: one whole object, also where it came as a stream of events.

    Attributes:
        body: the object as JSON bytes.
        usage: its tokens; None if the upstream gave none.
        sized: whether it has all the usage that its upstream would give. A stream has it only if the request asked for it.
    """

    body: bytes
    usage: AnswerUsage | None
    sized: bool = True


def cacheable_answer(path: str, content_type: str, body: bytes) -> CachedAnswer | None:
    """The cacheable form of an answer with status 200; None unless it is one complete text without tool calls or a refusal."""
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
    """The text of a choice, from the field that this path uses."""
    message = choice.get("message")
    return (message.get("content") if isinstance(message, Mapping) else None) if path == CHAT else choice.get("text")


def whole_answer(answer: CachedAnswer, facts: Mapping[str, Any]) -> bytes:
    """The answer as one object, with these facts in its field `smidgen`."""
    return _json({**json.loads(answer.body), "smidgen": dict(facts)})


def answer_events(path: str, answer: CachedAnswer, facts: Mapping[str, Any], usage: bool) -> bytes:
    """The answer as a stream of events. `usage`: whether the last event carries its usage."""
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
    """Join a whole stream's chunks into one object; None if a chunk has an unknown field."""
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
    """The objects of a stream that `AnswerReader` found whole, so each of its lines can be parsed."""
    for line in body.replace(b"\r", b"\n").split(b"\n"):
        name, _, value = line.strip().partition(b":")
        if name == b"data" and value.strip() not in (b"", b"[DONE]"):
            yield json.loads(value)


def _json(value: Any) -> bytes:
    """JSON bytes; escaped to ASCII if a text in it is not valid Unicode."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode("ascii")


_OVERHEAD = 1_000
"""Rough bytes of an entry besides its answer, its text and its vector."""
_MOST_COMPARED = 4_096
"""Most entries of one template that a text is compared with: the newest ones."""
_MOST_REQUESTS = 16_384
"""Most requests whose answers can be removed by id: the newest ones."""


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """Bounds of the cache: the number of entries, bytes in total and of one answer, and seconds of life."""

    entries: int
    total: int
    each: int
    seconds: float


@dataclass(slots=True)
class CacheEntry:
    """A cached answer and the time when it came. `vector`: the embedding of the question's text, of length 1; None if only an equal text
    may get the answer."""

    question: CacheKey
    answer: CachedAnswer
    born: float
    vector: Vector | None = None

    @property
    def size(self) -> int:
        """Rough size in bytes."""
        vector = 0 if self.vector is None else self.vector.nbytes
        return _OVERHEAD + len(self.answer.body) + 4 * len(self.question.text) + vector


class AnswerCache:
    """The in-memory cache of answers, for one thread at a time. Drops the least recently used entries first.

    Times are seconds of any clock that never goes back.
    """

    def __init__(self, bounds: CacheLimits) -> None:
        self._bounds = bounds
        self._entries: OrderedDict[bytes, CacheEntry] = OrderedDict()
        self._by_age: OrderedDict[bytes, CacheEntry] = OrderedDict()  # oldest first
        self._requests: OrderedDict[str, tuple[bytes, str]] = OrderedDict()
        self._alike: dict[bytes, OrderedDict[bytes, CacheEntry]] = {}
        self.size = 0

    @property
    def longest(self) -> int:
        """Bytes of the largest answer that is stored."""
        return self._bounds.each

    def __len__(self) -> int:
        return len(self._entries)

    def exact(self, question: CacheKey, now: float, fresh: float = float("inf")) -> CacheEntry | None:
        """The answer to exactly this question, no older than `fresh` seconds; None if there is none."""
        entry = self._entries.get(question.key)
        if entry is None or not self._lives(entry, now) or now - entry.born > fresh:
            return None
        self._entries.move_to_end(question.key)
        return entry

    def alike(self, question: CacheKey, now: float, fresh: float = float("inf")) -> list[CacheEntry]:
        """Entries with a vector for other texts in the same template, the newest last."""
        template = question.template
        found = list(self._alike.get(template, {}).values())[-_MOST_COMPARED:] if template is not None else []
        return [entry for entry in found if self._lives(entry, now) and now - entry.born <= fresh]

    def used(self, entry: CacheEntry) -> None:
        """Mark an entry as just used."""
        if self._entries.get(entry.question.key) is entry:
            self._entries.move_to_end(entry.question.key)

    def put(self, entry: CacheEntry) -> bool:
        """Store an entry, replacing any older answer to its question; False if it is too large."""
        self._drop(entry.question.key)
        if len(entry.answer.body) > self._bounds.each or entry.size > self._bounds.total:
            return False
        self._entries[entry.question.key] = self._by_age[entry.question.key] = entry
        self.size += entry.size
        while len(self._entries) > self._bounds.entries or self.size > self._bounds.total:
            self._drop(next(iter(self._entries)))
        return True

    def set_vector(self, entry: CacheEntry, vector: Vector) -> bool:
        """Give an entry the vector of its text, so that near texts may get its answer. False if the entry was dropped meanwhile."""
        template = entry.question.template
        if template is None or entry.vector is not None or self._entries.get(entry.question.key) is not entry:
            return False
        self.size -= entry.size
        entry.vector = vector
        self.size += entry.size
        self._alike.setdefault(template, OrderedDict())[entry.question.key] = entry
        return True

    def forget(self, now: float) -> None:
        """Drop the entries that are too old."""
        while self._by_age and not self._lives(next(iter(self._by_age.values())), now):
            pass

    def given(self, request: str, entry: CacheEntry, key: str = "") -> None:
        """Note that the request with this id, from the client with this key, got this answer."""
        self._requests[request] = entry.question.key, key
        if len(self._requests) > _MOST_REQUESTS:
            self._requests.popitem(last=False)

    def refuse(self, request: str, key: str | None = None) -> bool:
        """Drop a wrong answer by the id of a request that got it; returns whether an entry was dropped. With a `key`, only the client that
        asked may drop it."""
        question, whose = self._requests.get(request, (None, ""))
        if question is None or (key is not None and key != whose):
            return False
        del self._requests[request]
        known = question in self._entries
        self._drop(question)
        return known

    def _lives(self, entry: CacheEntry, now: float) -> bool:
        """Whether an entry is young enough; drops it if not."""
        if now - entry.born <= self._bounds.seconds:
            return True
        self._drop(entry.question.key)
        return False

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        del self._by_age[key]
        self.size -= entry.size
        template = entry.question.template
        alike = self._alike.get(template) if template is not None else None
        if alike is not None and template is not None:
            alike.pop(key, None)
            if not alike:
                del self._alike[template]
