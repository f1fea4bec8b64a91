"""Messages that are one text of a user: what faces that take a conversation have in common."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

SYSTEM = ("system", "developer")
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
    if [message.get("role") for message in messages if message.get("role") not in SYSTEM] != ["user"]:
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
