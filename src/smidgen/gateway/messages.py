"""The messages of a request, in a chat completion and in `/v1/responses`: whether they are one text of a user, and which text that is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

# Messages that are one text of a user: what faces that take a conversation have in common.

SYSTEM_ROLES = ("system", "developer")
"""Who words to the system are from."""

_NOTHING: tuple[Any, ...] = (None, [], {}, "", False)


def odd_messages(messages: Any, *, fields: Collection[str], pieces: Collection[str], kinds: Collection[str]) -> str | None:
    """What keeps messages from being one text of a user, in a few words; None where they are one, with words to the system before it.

    Args:
        messages: as the request has them.
        fields: what a user's message may have.
        pieces: what a piece of its content may have.
        kinds: of which types such a piece may be.
    """
    if not isinstance(messages, list) or not all(isinstance(message, Mapping) for message in messages):
        return "no messages"
    if [message.get("role") for message in messages if message.get("role") not in SYSTEM_ROLES] != ["user"]:
        return "not one message of a user"
    said = messages[-1]
    if said.get("role") != "user":
        return "words to the system after the user's"
    other = next((name for name, value in said.items() if name not in fields and not is_nothing(value)), None)
    if other is not None:
        return f"the message's field {other}"
    content = said.get("content")
    if isinstance(content, str):
        return None
    if not isinstance(content, list) or not all(isinstance(piece, Mapping) for piece in content):
        return "a message without text"
    plain = all(piece.get("type") in kinds and isinstance(piece.get("text"), str) and piece.keys() <= set(pieces) for piece in content)
    return None if plain else "a piece that is not text"


def joined(pieces: Iterable[str]) -> str:
    """The pieces of a message as one text; an empty one is none."""
    return "\n".join(piece for piece in pieces if piece)


def is_nothing(value: Any) -> bool:
    """Whether a field with this value says nothing."""
    return any(value is none or (value == none and type(value) is type(none)) for none in _NOTHING)


# A request to `/v1/responses` (OpenAI's Responses API): whether it is one text of a user, which text that is, and what else it says.

LOCAL_RESPONSE_ID = "resp_smidgen_"
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


def odd_response_request(body: Mapping[str, Any]) -> str | None:
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


def response_pieces(body: Mapping[str, Any]) -> list[str]:
    """The pieces of the user's one text, of a request that suits."""
    asked = body["input"]
    content = asked if isinstance(asked, str) else asked[-1]["content"]
    return [content] if isinstance(content, str) else [piece["text"] for piece in content]


def system_messages(body: Mapping[str, Any], roles: tuple[str, ...]) -> list[Any]:
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
