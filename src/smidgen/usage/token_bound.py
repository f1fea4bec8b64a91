"""The most tokens that a request can take, by its body: the amount to reserve before it is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

WRITING_PATHS = frozenset({b"/chat/completions", b"/completions", b"/responses"})
READING_PATHS = frozenset({b"/embeddings"})
_FREE = frozenset({"GET", "HEAD", "DELETE"})
"""Methods whose requests make no model write."""
_FRAME = 1024
"""Tokens that a provider adds before all messages, including its instructions for tools. Around each message it adds fewer tokens than
JSON has signs there."""
_LIMITS = {
    b"/chat/completions": ("max_tokens", "max_completion_tokens"),
    b"/completions": ("max_tokens",),
    b"/responses": ("max_output_tokens",),
}
"""The fields that limit an answer, by path. A field that a path does not know limits nothing there."""
_ELSEWHERE = frozenset(
    {"previous_response_id", "conversation", "file_id", "file_url", "image_url", "input_audio", "image_file", "file_data"}
)
_PARTS = frozenset({"image_url", "input_image", "input_audio", "input_file", "file", "image_file", "image", "audio", "video_url"})
_FORMS = frozenset({"tools", "functions", "response_format", "text", "metadata", "logit_bias"})
"""Fields whose inner names are the client's own."""
_OWN_TOOLS = frozenset({"function", "custom"})
_PRICED: dict[str, tuple[Any, ...]] = {
    "web_search_options": (None,),
    "prediction": (None,),
    "modalities": (None, ["text"]),
    "audio": (None,),
    "service_tier": (None, "auto", "default", "flex"),
}
"""Fields that change the price, with the values that do not."""
_MOST_CHOICES, _SHOWN = 128, 60
_MOST_TOKENS = 10**12
"""More tokens than any budget pays for, that can still be counted."""
_SHARED = frozenset(
    (
        *("model", "stream", "stream_options", "user", "metadata", "store", "safety_identifier", "service_tier", "seed", "background"),
        *("prompt_cache_key", "prompt_cache_retention", "temperature", "top_p", "top_k", "min_p", "typical_p", "top_logprobs", "logprobs"),
        *("presence_penalty", "frequency_penalty", "repetition_penalty", "logit_bias", "stop", "stop_token_ids", "ignore_eos", "n"),
        *("max_tokens", "max_completion_tokens", "max_output_tokens", "min_tokens", "best_of", "reasoning_effort", "verbosity"),
        *("parallel_tool_calls", "add_generation_prompt", "cache_prompt", "enable_thinking", "skip_special_tokens", *_PRICED),
        *("chat_template_kwargs", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs", "grammar"),
    )
)
_KNOWN = {
    b"/chat/completions": _SHARED | {"messages", "tools", "tool_choice", "functions", "function_call", "response_format"},
    b"/completions": _SHARED | {"prompt", "suffix", "echo"},
    b"/responses": _SHARED
    | _ELSEWHERE
    | {"input", "instructions", "tools", "tool_choice", "text", "reasoning", "include", "truncation", "prompt", "max_tool_calls"},
    b"/embeddings": frozenset({"model", "input", "dimensions", "encoding_format", "user", "truncate_prompt_tokens"}),
}
"""Fields that say how an answer is sampled, and those that `token_bound` takes into account. The cost of any other field is unknown."""


@dataclass(frozen=True, slots=True)
class TokenBound:
    """The most tokens that are read, and that are written."""

    given: int
    got: int


def is_free(method: str, tail: bytes) -> bool:
    """Whether a request costs nothing by the token, whatever its body."""
    return method in _FREE or tail in (b"/moderations", b"/models")


def token_bound(tail: bytes, body: Mapping[str, Any], size: int, unsaid: int) -> TokenBound | str:
    """The most tokens that a request can take, or the reason why that is unknown, a clause.

    A token of today's tokenizers is at least one byte; JSON writes a text in no fewer bytes than it has.

    Args:
        tail: the path after `/v1`.
        body: the request.
        size: its bytes.
        unsaid: the most tokens of an answer if the request sets no limit.
    """
    if tail not in WRITING_PATHS | READING_PATHS:
        return "what this path costs is not known"
    reason = next(_unseen(body), None)
    if reason is not None:
        return reason
    strange = next((name for name, value in body.items() if value is not None and name not in _KNOWN[tail]), None)
    if strange is not None:
        return f"what the field {strange[:_SHOWN]} costs is not known"
    given = size + _FRAME
    if tail in READING_PATHS:
        return TokenBound(given, 0)
    limits = [body[name] for name in _LIMITS[tail] if body.get(name) is not None]
    if not all(isinstance(limit, int) and not isinstance(limit, bool) and limit > 0 for limit in limits):
        limits = []  # the upstream may refuse it or not: nothing is known
    prompt = body.get("prompt")
    texts = len(prompt) if tail == b"/completions" and isinstance(prompt, list) and not all(isinstance(p, int) for p in prompt) else 1
    counts = [body[name] for name in ("n", "best_of") if body.get(name) is not None]
    if not all(isinstance(count, int) and not isinstance(count, bool) and 1 <= count <= _MOST_CHOICES for count in counts):
        return "the number of its choices is none"
    copies = max(1, texts) * max([1, *counts])
    got = (max(limits) if limits else unsaid) * copies
    return TokenBound(given, got) if got <= _MOST_TOKENS else "it asks for more tokens than can be counted"


def _unseen(value: Any, depth: int = 0) -> Iterator[str]:
    """Reasons why the request's cost is unbounded: it refers to content that is not text in it, or asks for more than writing."""
    if depth > 40:
        yield "it is nested too deeply"
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if name in _ELSEWHERE and inner not in (None, "", [], {}):
                yield f"the field {name} brings in what does not stand in it as text"
            elif name == "background" and inner:
                yield "what runs in the background is not seen to its end"
            elif depth == 0 and name == "prompt" and isinstance(inner, Mapping):
                yield "a stored prompt does not stand in it"
            elif depth == 0 and name == "tools" and isinstance(inner, list):
                for tool in inner:
                    kind = tool.get("type", "function") if isinstance(tool, Mapping) else None
                    if kind not in _OWN_TOOLS:
                        yield "a tool of the upstream's own has a price of its own"
            elif depth == 0 and name in _PRICED and inner not in _PRICED[name]:
                yield f"the field {name} has a price of its own"
            elif name == "type" and isinstance(inner, str) and inner in _PARTS:
                yield f"a part of the type {inner} is not text"
            if not (depth == 0 and name in _FORMS):
                yield from _unseen(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            if isinstance(inner, Mapping | list):
                yield from _unseen(inner, depth + 1)
