"""What an answer saved is reckoned by texts: those that the large model would have read, and those that it would have written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smidgen.gateway.response_ending import texts_of


def read_of(body: Mapping[str, Any]) -> str:
    """All texts that a request would have the large model read."""
    prompt = body.get("prompt")
    if isinstance(prompt, str):
        return prompt
    asked = body.get("input")
    given = [body["instructions"]] if isinstance(body.get("instructions"), str) else []
    messages = body.get("messages") or (asked if isinstance(asked, list) else ())
    contents = [
        *given,
        *([asked] if isinstance(asked, str) else []),
        *(message.get("content") for message in messages if isinstance(message, Mapping)),
    ]
    pieces = [[{"text": content}] if isinstance(content, str) else content for content in contents]
    return "\n".join(
        str(piece.get("text", "")) for part in pieces if isinstance(part, list) for piece in part if isinstance(piece, Mapping)
    )


def written_of(body: Mapping[str, Any]) -> str:
    """The text of an answer's choices, or of a response's items."""
    if body.get("object") == "response":
        return "".join(text for text, told in texts_of(body) if told)
    choices = body.get("choices", ())
    return "".join(str(choice.get("text") or (choice.get("message") or {}).get("content") or "") for choice in choices)
