"""A conversation as one text, for models that take a text: the desk as a bundle answers its last message."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from smidgen.apps.desk.desk import Desk
from smidgen.core.conversations import DeskAnswer, DeskConversation, DeskReply, Turn

MOST_MESSAGES = 40
"""Messages of a customer that are read again to find the state of a conversation; earlier ones are forgotten."""


def written(messages: Sequence[str]) -> str:
    """A customer's messages as one text: the message alone, or several as JSON."""
    if len(messages) == 1 and not messages[0].lstrip().startswith("["):
        return messages[0]
    return json.dumps([{"role": "user", "content": message} for message in messages], ensure_ascii=False)


def read_messages(text: str) -> list[str]:
    """The customer's messages in a text: a JSON list of chat messages, or one plain message."""
    if text.lstrip().startswith("[{"):
        try:
            given = json.loads(text)
        except (ValueError, RecursionError):
            return [text]
        if isinstance(given, list) and given and all(_is_message(one) for one in given):
            said = [str(one["content"]) for one in given if one["role"] == "user"]
            if said:
                return said
    return [text]


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
    *before, last = read_messages(text)[-MOST_MESSAGES:]
    # Its own id: the failed look-ups of one conversation do not count for another.
    conversation = DeskConversation(hashlib.sha256(text.encode()).hexdigest()[:32], desk.name, "text")
    for message in before:
        found = desk.rehearse(conversation, message)
        now = datetime.fromtimestamp(0, UTC)
        turns = (*conversation.turns, Turn("customer", message, now), Turn("desk", found.reply.text, now, reply=found.reply))
        conversation = replace(conversation, turns=turns, state=found.state, status=found.status)
    return conversation, last
