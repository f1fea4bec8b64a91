"""A request to `/v1/responses` (OpenAI's Responses API): whether it is one text of a user, which text that is, and what else it says.

What is not known here does not suit, as in `suited`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smidgen.gateway.one_message import is_nothing, odd_messages

LOCAL_ID = "resp_smidgen_"
"""How the id of a response that was made here begins. Nothing is kept under it."""

_KNOWN = frozenset(
    {
        *("model", "input", "instructions", "stream", "stream_options", "temperature", "top_p", "max_output_tokens", "text", "reasoning"),
        *("user", "safety_identifier", "metadata", "store", "service_tier", "parallel_tool_calls", "truncation"),
        *("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"),
    }
)
"""Fields that say how an answer is drawn, billed or sent, and not what is asked. `include` and `top_logprobs` are not among them: they ask
for what no local answer has."""
_INNER = {"text": frozenset({"format", "verbosity"}), "reasoning": frozenset({"effort"})}
"""Of those that are objects, what they may hold. A summary of its reasoning no bundle can give."""
_ITEM = frozenset({"type", "role", "content"})
_PIECE = frozenset({"type", "text"})


def odd(body: Mapping[str, Any]) -> str | None:
    """What of a request does not suit, in a few words; None where it does.

    `instructions`, and words to the system before the user's, change nothing: a bundle has its own. Where `store` is left out the answer is
    not stored, and says so (`store: false`); where it is asked for, the upstream is who can.
    """
    strange = next((name for name, value in body.items() if name not in _KNOWN and not is_nothing(value)), None)
    if strange is not None:
        return f"the field {strange}"
    if body.get("store") not in (None, False):
        return "the response is to be stored"
    if not isinstance(body.get("instructions", ""), str | None):
        return "the field instructions"
    for name, known in _INNER.items():
        value = body.get(name)
        if is_nothing(value):
            continue
        if not isinstance(value, Mapping) or any(inner not in known and not is_nothing(said) for inner, said in value.items()):
            return f"the field {name}"
    asked = body.get("input")
    if isinstance(asked, str):
        return None
    if isinstance(asked, list) and any(isinstance(item, Mapping) and item.get("type", "message") != "message" for item in asked):
        return "an item that is no message"
    return odd_messages(asked, fields=_ITEM, pieces=_PIECE, kinds=("input_text",))


def pieces_of(body: Mapping[str, Any]) -> list[str]:
    """The pieces of the user's one text, of a request that suits."""
    asked = body["input"]
    content = asked if isinstance(asked, str) else asked[-1]["content"]
    return [content] if isinstance(content, str) else [piece["text"] for piece in content]


def said_to_system(body: Mapping[str, Any], roles: tuple[str, ...]) -> list[Any]:
    """The words to the system as they stand there: `instructions`, and what items of these roles say."""
    asked = body.get("input")
    items = asked if isinstance(asked, list) else []
    given = [body.get("instructions"), *(item.get("content") for item in items if isinstance(item, Mapping) and item.get("role") in roles)]
    return [words for words in given if not is_nothing(words)]


def response_format(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """`text.format` as a chat completion's `response_format` has it; None where none is asked for."""
    text = body.get("text")
    wanted = text.get("format") if isinstance(text, Mapping) else None
    if not isinstance(wanted, Mapping) or wanted.get("type") != "json_schema":
        return dict(wanted) if isinstance(wanted, Mapping) else None
    return {"type": "json_schema", "json_schema": {name: value for name, value in wanted.items() if name != "type"}}
