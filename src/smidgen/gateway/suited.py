"""Whether a request is of the kind that a bundle was certified on: one text of a user, and nothing else that could change the answer.

What is not known here does not suit: a field that OpenAI adds tomorrow escalates today.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"

_SHARED = frozenset(
    {
        "model",
        "stream",
        "stream_options",
        "temperature",
        "top_p",
        "seed",
        "max_tokens",
        "user",
        "presence_penalty",
        "frequency_penalty",
        "logprobs",
    }
)
_OF = {
    CHAT: _SHARED
    | {
        "messages",
        "max_completion_tokens",
        "top_logprobs",
        "response_format",
        "metadata",
        "store",
        "service_tier",
        "reasoning_effort",
        "verbosity",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "parallel_tool_calls",
    },
    COMPLETIONS: _SHARED | {"prompt"},
}
"""Fields that say how an answer is drawn, billed or sent, and not what is asked. What they do to an answer's score, its facts say."""
_NOTHING: tuple[Any, ...] = (None, [], {}, "", False)
_SYSTEM = ("system", "developer")
_MESSAGE = frozenset({"role", "content", "name"})
_PIECE = frozenset({"type", "text", "cache_control"})
_TEXT = ("text", "input_text")


def unsuited(path: str, body: Mapping[str, Any]) -> str | None:
    """What of a request to one of the two faces does not suit, in a few words; None where it does.

    Words to the system change nothing: a bundle has its own instruction.
    """
    if body.get("n") not in (None, 1):
        return "several choices"
    known = _OF[path] | {"n"}
    strange = next((name for name, value in body.items() if name not in known and not _is_nothing(value)), None)
    if strange is not None:
        return f"the field {strange}"
    if path == COMPLETIONS:
        return None if isinstance(body.get("prompt"), str) else "not one prompt"
    messages = body.get("messages")
    if not isinstance(messages, list) or not all(isinstance(message, Mapping) for message in messages):
        return "no messages"
    if [message.get("role") for message in messages if message.get("role") not in _SYSTEM] != ["user"]:
        return "not one message of a user"
    if messages[-1].get("role") != "user":
        return "words to the system after the user's"
    other = next((name for name, value in messages[-1].items() if name not in _MESSAGE and not _is_nothing(value)), None)
    if other is not None:
        return f"the message's field {other}"
    content = messages[-1].get("content")
    if isinstance(content, str):
        return None
    if not isinstance(content, list) or not all(isinstance(piece, Mapping) for piece in content):
        return "a message without text"
    plain = all(piece.get("type") in _TEXT and isinstance(piece.get("text"), str) and piece.keys() <= _PIECE for piece in content)
    return None if plain else "a piece that is not text"


def text_of(path: str, body: Mapping[str, Any]) -> str:
    """The text that a request is about, as the small model reads it; of one that suits, and of no other."""
    if path == COMPLETIONS:
        return str(body["prompt"])
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else joined(piece["text"] for piece in content)


def joined(pieces: Iterable[str]) -> str:
    """The pieces of a message as one text; an empty one is none."""
    return "\n".join(piece for piece in pieces if piece)


def _is_nothing(value: Any) -> bool:
    return any(value is none or (value == none and type(value) is type(none)) for none in _NOTHING)
