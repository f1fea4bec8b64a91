"""The in-memory cache of answers: which requests it serves, in which scope and under which key; which answers it stores, and how long.

An answer may be reused only if the request alone determines it, and nothing but the answer is wanted. A request with an unknown field,
or without an owner, is not cached.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from smidgen.gateway.answer_reading import AnswerReader, AnswerUsage
from smidgen.gateway.eligibility import CHAT, COMPLETIONS
from smidgen.gateway.headers import USER_HEADER, client_keys, upstream_headers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

CACHED_PATHS = (CHAT, COMPLETIONS)
"""Paths whose answers are cached."""
SUITED = ""
UNSUITED = "unsuited"
DRAWN = "drawn"
"""Reasons why a request is not cached: `UNSUITED`, its kind; `DRAWN`, it asks for one of many possible answers."""

_DRAWING = frozenset(
    (
        *("model", "temperature", "top_p", "top_k", "min_p", "top_a", "typical_p", "seed", "stop", "stop_token_ids", "ignore_eos", "n"),
        *("max_tokens", "max_completion_tokens", "min_tokens", "presence_penalty", "frequency_penalty", "repetition_penalty"),
        *("length_penalty", "logit_bias", "logprobs", "top_logprobs", "prompt_logprobs", "best_of", "use_beam_search"),
    )
)
_FORM = frozenset(
    (
        *("response_format", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs", "grammar"),
        *("json_schema", "chat_template_kwargs", "add_generation_prompt", "enable_thinking", "thinking", "reasoning", "reasoning_effort"),
        *("verbosity", "tools", "tool_choice", "functions", "function_call", "parallel_tool_calls", "prediction", "service_tier"),
    )
)
TRANSPORT = frozenset(
    ("stream", "stream_options", "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "cache_prompt")
)
"""Fields that say how an answer is sent, or who asks (which is part of the scope). The answer does not depend on them."""
_KNOWN = {
    CHAT: _DRAWING | _FORM | TRANSPORT | {"messages", "metadata", "store"},
    COMPLETIONS: _DRAWING | _FORM | TRANSPORT | {"prompt", "suffix", "echo", "metadata"},
}
_TEXT = ("text", "input_text")


def why_uncacheable(path: str, body: Mapping[str, Any], drawn: bool = False) -> str:
    """One word for why the answer to a request is not cached; empty if it is cached.

    Args:
        path: one of `CACHED_PATHS`.
        body: the request's body.
        drawn: whether sampled answers are cached too. A request without a temperature leaves it to the model; one with a seed wants the
            same answer each time.
    """
    strange = any(value is not None and name not in _KNOWN[path] for name, value in body.items())
    if strange or body.get("n") not in (None, 1) or body.get("best_of") not in (None, 1) or body.get("store"):
        return UNSUITED  # `store`: the upstream stores something, too
    if not all(_is_plain_tool(tool) for tool in _list(body.get("tools"))):
        return UNSUITED
    if not _is_text(path, body):
        return UNSUITED
    temperature = body.get("temperature")
    hot = not (temperature is None or (isinstance(temperature, int | float) and temperature <= 0))
    return DRAWN if hot and body.get("seed") is None and not drawn else SUITED


def _is_text(path: str, body: Mapping[str, Any]) -> bool:
    """Whether all content of the request is text. The content behind a URL may change tomorrow."""
    if path == COMPLETIONS:
        return isinstance(body.get("prompt"), str)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(message, Mapping) for message in messages):
        return False
    return all(_is_plain(message.get("content")) and not message.get("audio") for message in messages)


def _is_plain(content: Any) -> bool:
    if content is None or isinstance(content, str):
        return True
    return isinstance(content, list) and all(
        isinstance(part, Mapping) and part.get("type") in _TEXT and isinstance(part.get("text"), str) for part in content
    )


def _is_plain_tool(tool: Any) -> bool:
    """Whether a tool is the client's own. The upstream's own tools depend on changing data, such as web pages."""
    return isinstance(tool, Mapping) and tool.get("type") == "function"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value is not None else []


_DAYS = 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class CacheDirectives:
    """The `Cache-Control` of a request (RFC 9111).

    `store`: its answer may be stored, or a stored one given. `reuse`: a stored answer may be given. `fresh`: its greatest age in
    seconds."""

    store: bool = True
    reuse: bool = True
    fresh: float = _DAYS


def cache_directives(headers: Iterable[tuple[bytes, bytes]]) -> CacheDirectives:
    """Read `Cache-Control` (`no-store`, `no-cache`, `max-age=SECONDS`), or without it `Pragma: no-cache`. An age that is not a number
    counts as 0: nothing is fresh enough."""
    given = [(name.lower(), value.decode("latin-1").lower()) for name, value in headers]
    words = [word.strip() for name, value in given if name == b"cache-control" for word in value.split(",")]
    if not words:
        words = [word.strip() for name, value in given if name == b"pragma" for word in value.split(",")]
    fresh = _DAYS
    for word in words:
        name, _, value = word.partition("=")
        if name.strip() == "max-age":
            age = value.strip().strip('"')
            fresh = min(fresh, float(age[:9]) if age.isascii() and age.isdigit() else 0.0)
    return CacheDirectives("no-store" not in words, "no-cache" not in words and fresh > 0, fresh)


Sharing = Literal["user", "key", "all"]
"""Who shares answers: one user of one key, one key, or all."""
Scope = list[Any]
"""The owner of a request, as JSON values; requests of equal scope share answers."""

USER_FIELDS = ("user", "safety_identifier")
"""Fields of a request that name its user."""


def cache_scope(sharing: Sharing, headers: Iterable[tuple[bytes, bytes]], body: Mapping[str, Any], apart: bool) -> Scope | None:
    """The scope of a request, from its headers and its body as the client sent them; None if it has none, and is not cached.

    A connection is no scope: a client's pool, or a proxy, sends many people's requests through one.

    Args:
        sharing: the server's setting.
        headers, body: before masking: `[PERSON_1]` is another person in each request.
        apart: whether clients' own keys go upstream. Then the keys always separate scopes: a client without access to the upstream must
            not read answers that another client paid for.
    """
    given = list(headers)
    keys = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in client_keys(given)]
    if sharing == "all":
        return ["all", keys if apart else []]
    if sharing == "key":
        return ["key", keys] if keys else None
    ids = _ids(given, body)
    return ["user", keys, ids] if ids else None


def _ids(headers: list[tuple[bytes, bytes]], body: Mapping[str, Any]) -> list[list[str]]:
    """Each user id in the request, with its field: the header `x-smidgen-user: 7` need not be the `user` 7. Empty if one is not a text."""
    named: list[tuple[str, Any]] = [(name, body.get(name)) for name in USER_FIELDS]
    named += [
        (USER_HEADER.decode("latin-1"), value.decode("utf-8", "backslashreplace")) for name, value in headers if name.lower() == USER_HEADER
    ]
    if not all(value is None or isinstance(value, str) for _, value in named):
        return []
    return [[name, value.strip()] for name, value in named if value is not None and value.strip()]


_LIKE = frozenset(
    (
        *(b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"pragma", b"content-type", b"content-length"),
        *(b"user-agent", b"cookie", b"idempotency-key", b"traceparent", b"tracestate", b"baggage", b"priority", b"dnt"),
        *(b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest", b"x-amzn-trace-id", b"x-cloud-trace-context", b"x-smidgen-via"),
        *(b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-port", b"x-forwarded-proto", b"x-real-ip"),
        *(b"cdn-loop", b"cf-connecting-ip", b"cf-ipcountry", b"cf-ray", b"cf-visitor", b"true-client-ip"),
    )
)
"""Headers that go upstream and do not change an answer, besides the client's own `x-stainless-…`."""
_ITSELF = b"x-stainless-"


@dataclass(frozen=True, slots=True)
class CacheKey:
    """The key of a cached answer.

    Attributes:
        key: hash of the whole request: the body without its `TRANSPORT` fields, the model, the headers that can change an answer, and the
            scope.
        template: hash of all that without the last text; None if there is no single last text.
        text: the user's last message, or the prompt; empty without a template.
    """

    key: bytes
    template: bytes | None
    text: str


class CacheKeys:
    """Makes the keys of requests. The hashes are keyed by a secret of this process, so that nobody can test a guessed request."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def question(
        self,
        scope: Scope,
        path: str,
        query: bytes,
        headers: Iterable[tuple[bytes, bytes]],
        body: Mapping[str, Any],
        model: str,
    ) -> CacheKey:
        """The key of a request.

        Args:
            scope: the request's.
            path: one of `CACHED_PATHS`; `query` follows it.
            headers: the client's. Only those that could change the answer enter the key.
            body: as it is sent, masked.
            model: the name that the upstream is asked for.
        """
        fields = {name: value for name, value in body.items() if name not in TRANSPORT} | {"model": model}
        around = [scope, path, query.decode("latin-1"), _headers_that_count(headers)]
        key = self._hash(["whole", *around, fields])
        found = _split_text(path, fields)
        if found is None:
            return CacheKey(key, None, "")
        template, text = found
        return CacheKey(key, self._hash(["template", *around, template]), text)

    def _hash(self, value: list[Any]) -> bytes:
        written = json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")
        return hashlib.blake2b(written, digest_size=32, key=self._secret).digest()


def _headers_that_count(headers: Iterable[tuple[bytes, bytes]]) -> list[list[str]]:
    """The headers that go upstream and could change an answer: an organisation, a version, and every unknown one."""
    sent = upstream_headers(headers, None, own_authorization=False)
    return sorted(
        [name.decode("latin-1"), value.decode("latin-1")] for name, value in sent if name not in _LIKE and not name.startswith(_ITSELF)
    )


def _split_text(path: str, fields: Mapping[str, Any]) -> tuple[dict[str, Any], str] | None:
    """A request without its last text, and that text; None if there is none."""
    if path == COMPLETIONS:
        return {name: value for name, value in fields.items() if name != "prompt"}, str(fields["prompt"])
    *before, last = fields["messages"]
    content = last.get("content")
    if last.get("role") != "user" or not isinstance(content, str):
        return None
    message = {name: value for name, value in last.items() if name != "content"}
    return {**{name: value for name, value in fields.items() if name != "messages"}, "messages": [before, message]}, content


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
        parts: list[dict[str, Any]] = [
            {"delta": {"role": "assistant", "content": ""}, "logprobs": None},
            {"delta": message, "logprobs": logs},
        ]
        last: dict[str, Any] = {"delta": {}}
    else:
        parts, last = [{"text": choice["text"], "logprobs": logs}], {"text": ""}
    pieces: list[dict[str, Any]] = [{**common, "choices": [{"index": 0, **one, "finish_reason": None}]} for one in parts]
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
    content = {"message": {"role": "assistant", **message}} if path == CHAT else {"text": text}
    kind = "chat.completion" if path == CHAT else "text_completion"
    done = {**head, "object": kind, "choices": [{"index": 0, **content, "logprobs": None, "finish_reason": finish}]}
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
