"""A conversation as the visitor's frame sees it: no scores, no members, no facts for the business."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from smidgen.core.conversations import DeskConversation, DeskReply, ProposedCall, Turn

_SENTENCE = re.compile(r"(?<=[.!?…])\s+(?=\S)|\n+")
_LONGEST_PIECE = 240
_MOST_PIECES = 200


def message_turn(conversation: str, message: str) -> str:
    """The id of the turn of a message that the frame named: the same message sent twice is the same turn."""
    return _turn(conversation, "message", message)


def decision_turn(conversation: str, call: str, yes: bool) -> str:
    """The id of the turn that says yes or no to a proposed call."""
    return _turn(conversation, "yes" if yes else "no", call)


def _turn(conversation: str, kind: str, name: str) -> str:
    return hashlib.sha256("\0".join((conversation, kind, name)).encode("utf-8")).hexdigest()[:24]


def turns_json(conversation: DeskConversation, turns: Sequence[Turn], thumbs: Mapping[str, str]) -> list[dict[str, Any]]:
    """Turns of a conversation. `thumbs`: the visitor's verdict by turn."""
    return [_turn_json(conversation, turn, thumbs.get(turn.id)) for turn in turns]


def _turn_json(conversation: DeskConversation, turn: Turn, thumb: str | None) -> dict[str, Any]:
    told: dict[str, Any] = {"id": turn.id, "author": turn.author, "text": turn.text, "time": turn.time.isoformat()}
    if turn.reply is not None:
        told |= {"reply": _reply_json(conversation, turn.id, turn.reply), "thumb": thumb}
    return told


def _reply_json(conversation: DeskConversation, turn: str, reply: DeskReply) -> dict[str, Any]:
    told: dict[str, Any] = {"outcome": reply.outcome}
    if reply.citations:
        told["citations"] = [
            {"title": one.title, "heading": one.heading, "text": one.text, "passage": one.passage, "page": one.page, "url": one.url}
            for one in reply.citations
        ]
    if reply.cards:
        told["cards"] = [{"kind": one.kind, "title": one.title, "items": [dict(item) for item in one.items]} for one in reply.cards]
    if reply.call is not None:
        told["call"] = _call_json(conversation, turn, reply.call)
    return told


def _call_json(conversation: DeskConversation, turn: str, call: ProposedCall) -> dict[str, Any]:
    """A proposed call. It waits until the customer writes something else, or decides."""
    place = next((at for at, one in enumerate(conversation.turns) if one.id == turn), -1)
    later = {one.id for one in conversation.turns[place + 1 :] if one.author == "customer"}
    decided = next((yes for yes in (True, False) if decision_turn(conversation.id, call.id, yes) in later), None)
    return {"id": call.id, "words": call.words, "arguments": dict(call.arguments), "decided": decided, "waits": not later}


def pieces(text: str) -> list[str]:
    """A text in pieces to show one after the other, mostly sentences. Joined they are the text."""
    found, begin = [], 0
    for gap in _SENTENCE.finditer(text):
        found.append(text[begin : gap.end()])
        begin = gap.end()
    found.append(text[begin:])
    short = [sentence[at : at + _LONGEST_PIECE] for sentence in found for at in range(0, len(sentence), _LONGEST_PIECE)]
    return [*short[:_MOST_PIECES], *filter(None, ["".join(short[_MOST_PIECES:])])]
