"""A desk's reply as JSON, as a model's output shows it. What a customer must not see (facts, ids of calls) is not in it."""

from __future__ import annotations

from typing import Any

from smidgen.core.conversations import DeskReply


def reply_output(reply: DeskReply) -> dict[str, Any]:
    """The reply as an output: `outcome`, `text`, and where there are some `member`, `intent`, `citations`, `cards` and `call`."""
    shown: dict[str, Any] = {"outcome": reply.outcome, "text": reply.text}
    if reply.member:
        shown["member"] = reply.member
    if reply.intent:
        shown["intent"] = reply.intent
    if reply.citations:
        shown["citations"] = [
            {"document": cited.document, "title": cited.title, "heading": cited.heading, "text": cited.text, "start": cited.start}
            | ({"url": cited.url} if cited.url else {})
            | ({"page": cited.page} if cited.page is not None else {})
            for cited in reply.citations
        ]
    if reply.cards:
        shown["cards"] = [{"kind": card.kind, "title": card.title, "items": [dict(item) for item in card.items]} for card in reply.cards]
    if reply.call is not None:
        shown["call"] = {"tool": reply.call.tool, "arguments": dict(reply.call.arguments), "words": reply.call.words}
    elif isinstance(made := reply.facts.get("call"), dict):
        shown["call"] = {"tool": made.get("tool"), "arguments": made.get("arguments")}
    return shown
