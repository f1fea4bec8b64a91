"""A conversation as one text, for models that take a text: the desk as a bundle answers its last message."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from smidgen.core.conversations import DeskAnswer, DeskConversation, DeskReply, Turn
from smidgen.desk.answering import OPEN, Desk

MOST_MESSAGES = 40
"""Messages of a customer that are read again to find the state of a conversation; earlier ones are forgotten."""
_ANSWER = 500
"""Characters by which an answer is known again."""


def written(messages: Sequence[str | Mapping[str, Any]]) -> str:
    """A customer's messages, or messages of a chat, as one text: the customer's only message alone, or several as JSON, with the start of
    each answer that they got."""
    chat = [{"role": "user", "content": one} if isinstance(one, str) else one for one in messages]
    kept = [
        {"role": one["role"], "content": one["content"] if one["role"] == "user" else one["content"].strip()[:_ANSWER]}
        for one in chat
        if one["role"] in ("user", "assistant")
    ]
    if len(kept) == 1 and kept[0]["role"] == "user" and not kept[0]["content"].lstrip().startswith("["):
        return str(kept[0]["content"])
    return json.dumps(kept, ensure_ascii=False)


def read_messages(text: str) -> list[str]:
    """The customer's messages in a text: a JSON list of chat messages, or one plain message."""
    return [message for message, _ in _read_chat(text)]


def _read_chat(text: str) -> list[tuple[str, str | None]]:
    """The customer's messages in a text, each with the start of the answer that it got; None where the text does not have that."""
    if text.lstrip().startswith("[{"):
        try:
            given = json.loads(text)
        except (ValueError, RecursionError):
            return [(text, None)]
        if isinstance(given, list) and given and all(_is_message(one) for one in given):
            said: list[tuple[str, str | None]] = []
            for one in given:
                if one["role"] == "user":
                    said.append((one["content"], None))
                elif said and one["role"] == "assistant":
                    said[-1] = (said[-1][0], one["content"])
            if said:
                return said
    return [(text, None)]


def _is_message(given: Any) -> bool:
    return isinstance(given, Mapping) and isinstance(given.get("role"), str) and isinstance(given.get("content"), str)


def answer_last(desk: Desk, text: str) -> DeskAnswer:
    """The desk's answer to the last message in a text. For the earlier ones no call is made: they only show what the desk remembers."""
    conversation, last = _replayed(desk, text)
    return desk.answer(conversation, last)


def options_for_last(desk: Desk, text: str) -> list[list[DeskReply]]:
    """The replies that the desk could give to the last message in a text, however unsure it is: see `Desk.options`."""
    conversation, last = _replayed(desk, text)
    return desk.options(conversation, last)


def _replayed(desk: Desk, text: str) -> tuple[DeskConversation, str]:
    """The conversation before the last message in a text, and that message."""
    *before, (last, _) = _read_chat(text)[-MOST_MESSAGES:]
    # Its own id: the failed look-ups of one conversation do not count for another.
    conversation = DeskConversation(hashlib.sha256(text.encode()).hexdigest()[:32], desk.name, "text")
    for message, got in before:
        found = desk.rehearse(conversation, message)
        now, state = datetime.fromtimestamp(0, UTC), found.state
        if got is not None and got != found.reply.text.strip()[:_ANSWER]:
            # Another model answered, as behind a gateway: a later yes means its question, and not the desk's.
            state = {name: value for name, value in state.items() if name not in OPEN}
        turns = (*conversation.turns, Turn("customer", message, now), Turn("desk", found.reply.text, now, reply=found.reply))
        conversation = replace(conversation, turns=turns, state=state, status=found.status)
    return conversation, last
