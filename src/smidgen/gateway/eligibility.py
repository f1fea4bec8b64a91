"""Which requests a certified bundle may answer: one text of a user, and nothing else that could change the answer.

A field that is not known here is not eligible: one that OpenAI adds tomorrow escalates today.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smidgen.gateway import messages
from smidgen.gateway.messages import is_nothing, joined, odd_messages

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
RESPONSES = "/v1/responses"
CERTIFIED_PATHS = (CHAT, COMPLETIONS, RESPONSES)
"""The faces at which a certificate decides who answers."""

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
_MESSAGE = frozenset({"role", "content", "name"})
_PIECE = frozenset({"type", "text", "cache_control"})
_TEXT = ("text", "input_text")


def why_ineligible(path: str, body: Mapping[str, Any]) -> str | None:
    """What of a request to one of the faces does not suit, in a few words; None where it does.

    Words to the system change nothing: a bundle has its own instruction. What is to be stored the upstream alone can store.
    """
    if body.get("n") not in (None, 1):
        return "several choices"
    if path == RESPONSES:
        return messages.odd_response_request(body)
    known = _OF[path] | {"n"}
    strange = next((name for name, value in body.items() if name not in known and not is_nothing(value)), None)
    if strange is not None:
        return f"the field {strange}"
    if body.get("store") not in (None, False):  # what is answered here is kept nowhere, and cannot be fetched
        return "the completion is to be stored"
    if path == COMPLETIONS:
        return None if isinstance(body.get("prompt"), str) else "not one prompt"
    return odd_messages(body.get("messages"), fields=_MESSAGE, pieces=_PIECE, kinds=_TEXT)


def text_of(path: str, body: Mapping[str, Any]) -> str:
    """The text that a request is about, as the small model reads it; of one that suits, and of no other."""
    if path == COMPLETIONS:
        return str(body["prompt"])
    if path == RESPONSES:
        asked = body["input"]
        return asked if isinstance(asked, str) else joined(messages.response_pieces(body))
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else joined(piece["text"] for piece in content)
