"""A conversation's shapes as JSON, for the database and for APIs; and the bounds on their sizes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, get_args

from smidgen.core.conversations import Author, Card, Citation, DeskReply, Facts, Outcome, ProposedCall, Turn
from smidgen.core.errors import DataError, shown

MOST_TEXT = 20_000
"""Longest text of a message, in characters. A longer one is cut."""
MOST_NAME = 500
"""Longest name, id or address."""
MOST_FACTS = 100_000
"""Longest facts or state, as JSON."""
MOST_REPLY = 400_000
"""Longest reply, as JSON."""
_OUTCOMES: tuple[str, ...] = get_args(Outcome)
_AUTHORS: tuple[str, ...] = get_args(Author)


def reply_to_json(reply: DeskReply) -> dict[str, Any]:
    """A reply as a JSON object; what is empty is left out."""
    told: dict[str, Any] = {"outcome": reply.outcome, "text": reply.text, "score": reply.score}
    if reply.member:
        told["member"] = reply.member
    if reply.intent:
        told["intent"] = reply.intent
    if reply.citations:
        told["citations"] = [_citation_to_json(one) for one in reply.citations]
    if reply.cards:
        told["cards"] = [{"kind": one.kind, "title": one.title, "items": [dict(item) for item in one.items]} for one in reply.cards]
    if reply.call is not None:
        call = reply.call
        told["call"] = {"id": call.id, "tool": call.tool, "arguments": dict(call.arguments), "words": call.words}
    if reply.facts:
        told["facts"] = dict(reply.facts)
    if reply.language:
        told["language"] = reply.language
    return told


def reply_from_json(told: Mapping[str, Any]) -> DeskReply:
    """The reply of a JSON object. Raises DataError for one that is no reply."""
    try:
        if told["outcome"] not in _OUTCOMES:
            raise ValueError(f"the outcome {told['outcome']!r}")
        call = told.get("call")
        return DeskReply(
            outcome=told["outcome"],
            text=str(told["text"]),
            member=str(told.get("member", "")),
            intent=str(told.get("intent", "")),
            score=float(told.get("score", 1.0)),
            citations=tuple(Citation(**one) for one in told.get("citations", ())),
            cards=tuple(Card(one["kind"], one["title"], tuple(dict(item) for item in one["items"])) for one in told.get("cards", ())),
            call=ProposedCall(call["id"], call["tool"], dict(call["arguments"]), call["words"]) if call else None,
            facts=dict(told.get("facts", {})),
            language=str(told.get("language", "")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable("a stored reply", error) from None


def turn_to_json(turn: Turn) -> dict[str, Any]:
    """A turn as a JSON object."""
    told: dict[str, Any] = {"id": turn.id, "author": turn.author, "text": turn.text, "time": turn.time.astimezone(UTC).isoformat()}
    return told if turn.reply is None else {**told, "reply": reply_to_json(turn.reply)}


def turn_from_json(told: Mapping[str, Any]) -> Turn:
    """The turn of a JSON object. Raises DataError for one that is no turn."""
    try:
        if told["author"] not in _AUTHORS:
            raise ValueError(f"the author {told['author']!r}")
        time = datetime.fromisoformat(told["time"])
        reply = reply_from_json(told["reply"]) if told.get("reply") else None
        return Turn(told["author"], str(told["text"]), time, str(told.get("id", "")), reply)
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable("a stored turn", error) from None


def facts_text(facts: Facts, name: str, most: int = MOST_FACTS) -> str:
    """Facts as JSON text. Raises DataError if they are no JSON, or longer than `most` characters."""
    try:
        text = json.dumps(dict(facts), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError("desk.part_cannot_be_stored", value=str(error)[:200], name=name) from None
    if len(text) > most:
        raise DataError("desk.part_is_too_long_to_be_stored", value=len(text), name=name, most=most)
    return clean(text)


def reply_text(reply: DeskReply) -> str:
    """A reply as JSON text. Raises DataError if it is no JSON, or too long."""
    return facts_text(reply_to_json(reply), "a reply", MOST_REPLY)


def clean(text: str, most: int | None = None) -> str:
    """A text as every database takes it: without NUL and broken surrogates; cut at `most` characters."""
    cut = text if most is None else text[:most]
    return cut.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _citation_to_json(one: Citation) -> dict[str, Any]:
    told: dict[str, Any] = {"document": one.document, "title": one.title, "text": one.text, "start": one.start, "end": one.end}
    further = {"heading": one.heading, "page": one.page, "url": one.url, "passage": one.passage}
    return told | {name: value for name, value in further.items() if value not in ("", None)}


def _unreadable(name: str, error: Exception) -> DataError:
    return DataError("desk.stored_part_cannot_be_read", value=shown(str(error)), name=name)
