"""Whether the answer to a request may be kept and given again: where nothing but the request decides it, and nothing but the answer is
wanted.

What is not known here does not suit: a field that an interface adds tomorrow is not cached today.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smidgen.gateway.suited import CHAT, COMPLETIONS

CACHED = (CHAT, COMPLETIONS)
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


def unsuitable(path: str, body: Mapping[str, Any], drawn: bool = False) -> str:
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
