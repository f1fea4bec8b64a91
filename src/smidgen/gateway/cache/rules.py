"""What may be cached, and for whom: the fields of a request, the client's `Cache-Control`, and who shares answers.

An answer may be kept and given again where nothing but the request decides it, and nothing but the answer is wanted. A field that is not
known here makes a request unsuitable. One that does not say whose it is has no scope, and no cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from smidgen.gateway.eligibility import CHAT, COMPLETIONS
from smidgen.gateway.headers import USER_HEADER, client_keys

# Whether the answer to a request may be kept and given again: where nothing but the request decides it, and nothing but the answer is
# wanted.

CACHED_PATHS = (CHAT, COMPLETIONS)
"""Paths whose answers are understood here."""
SUITED = ""
UNSUITED = "unsuited"
DRAWN = "drawn"
"""Why not: it is of another kind, or it asks for one of many possible answers."""

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
"""Fields that say how an answer is sent, or who asks, which the scope has: they are no part of what is asked."""
_KNOWN = {
    CHAT: _DRAWING | _FORM | TRANSPORT | {"messages", "metadata", "store"},
    COMPLETIONS: _DRAWING | _FORM | TRANSPORT | {"prompt", "suffix", "echo", "metadata"},
}
_TEXT = ("text", "input_text")


def why_uncacheable(path: str, body: Mapping[str, Any], drawn: bool = False) -> str:
    """Why the answer to a request is not cached, in a word; empty where it is.

    Args:
        path: of one of the two faces.
        body: the request's.
        drawn: whether answers are cached that the request asks to be drawn. One that says nothing of its temperature has left that to the
            model; one that gives a seed wants the same answer each time.
    """
    strange = any(value is not None and name not in _KNOWN[path] for name, value in body.items())
    if strange or body.get("n") not in (None, 1) or body.get("best_of") not in (None, 1) or body.get("store"):
        return UNSUITED  # `store`: the upstream is to keep something, too
    if not all(_is_plain_tool(tool) for tool in _list(body.get("tools"))):
        return UNSUITED
    if not _is_text(path, body):
        return UNSUITED
    temperature = body.get("temperature")
    hot = not (temperature is None or (isinstance(temperature, int | float) and temperature <= 0))
    return DRAWN if hot and body.get("seed") is None and not drawn else SUITED


def _is_text(path: str, body: Mapping[str, Any]) -> bool:
    """Whether all that is to be read is in the request, as text: what an address shows may be another picture tomorrow."""
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
    """Whether a tool is the client's own: the upstream's look into a world that changes."""
    return isinstance(tool, Mapping) and tool.get("type") == "function"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value is not None else []


# What a client says of caching in its headers (RFC 9111), and an upstream of its answer.

_DAYS = 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class CacheDirectives:
    """`store`: whether the answer may be kept, and one that is kept be given; `reuse`: whether one may be given; `fresh`: in seconds, how
    old it may be."""

    store: bool = True
    reuse: bool = True
    fresh: float = _DAYS


def cache_directives(headers: Iterable[tuple[bytes, bytes]]) -> CacheDirectives:
    """What `Cache-Control` says: `no-store`, `no-cache`, `max-age=SECONDS`; without it `Pragma: no-cache`. An age that is no number is none
    at all: nothing is fresh enough for it."""
    given = [(name.lower(), value.decode("latin-1").lower()) for name, value in headers]
    words = [word.strip() for name, value in given if name == b"cache-control" for word in value.split(",")]
    if not words:
        words = [word.strip() for name, value in given if name == b"pragma" for word in value.split(",")]
    fresh = _DAYS
    for word in words:
        name, _, value = word.partition("=")
        if name.strip() == "max-age":
            said = value.strip().strip('"')
            fresh = min(fresh, float(said[:9]) if said.isascii() and said.isdigit() else 0.0)
    return CacheDirectives("no-store" not in words, "no-cache" not in words and fresh > 0, fresh)


# Whose answers a request may be given: nobody's but those of its own scope. What does not say whose it is has no scope, and no cache.

Sharing = Literal["user", "key", "all"]
"""Who shares answers: the requests of one user of one key, those of one key, or all."""
Scope = list[Any]
"""Whose a request is, as values that JSON holds: two scopes are one only where they are equal."""

USER_FIELDS = ("user", "safety_identifier")
"""Fields of a request that say who asks."""


def scope(sharing: Sharing, headers: Iterable[tuple[bytes, bytes]], body: Mapping[str, Any], apart: bool) -> Scope | None:
    """The scope of a request, from its headers and its body as the client sent them; None where it has none.

    A connection is no scope: a client's pool, or a proxy, sends many people's requests through one. So a request that names nobody is
    nobody's, and is neither kept nor answered from what is kept.

    Args:
        sharing: what the owner of the server said.
        headers, body: before anything was masked: `[PERSON_1]` is somebody else in each request.
        apart: whether clients' own keys go upstream. Then they separate in any case: who has no right to the upstream must not read what
            somebody else has paid for.
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
    """Each id that the request gives, by where it stands: `x-smidgen-user: 7` need not be the `user` 7. Blanks around one count nowhere.
    None at all where one is not a text: what it stands for is not known."""
    named: list[tuple[str, Any]] = [(name, body.get(name)) for name in USER_FIELDS]
    named += [
        (USER_HEADER.decode("latin-1"), value.decode("utf-8", "backslashreplace")) for name, value in headers if name.lower() == USER_HEADER
    ]
    if not all(value is None or isinstance(value, str) for _, value in named):
        return []
    return [[name, value.strip()] for name, value in named if value is not None and value.strip()]
