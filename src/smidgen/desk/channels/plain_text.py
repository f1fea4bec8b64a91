"""A reply as plain text, for channels without cards: its words, its facts and its sources."""

from __future__ import annotations

from collections.abc import Iterator

from smidgen.core.conversations import Card, Citation, OutgoingMessage

_PLACES = ("name", "price", "url", "image", "reason")
_MOST_ITEMS = 10
_MOST_SOURCES = 3


def plain_text(message: OutgoingMessage, most: int) -> str:
    """The text of a message with its cards and sources, at most `most` characters long."""
    reply = message.reply
    parts = [message.text.strip()]
    if reply is not None:
        parts += [part for card in reply.cards if (part := _card(card))]
        sources = list(dict.fromkeys(_source(one) for one in reply.citations if one.url or one.title))[:_MOST_SOURCES]
        if sources:
            parts.append("\n".join(sources))
    return fitted("\n\n".join(part for part in parts if part), most)


def fitted(text: str, most: int) -> str:
    """A text cut at the end of a word, if it is longer than `most` characters."""
    if len(text) <= most:
        return text
    cut = text[: most - 2]
    end = max(cut.rfind(" "), cut.rfind("\n"))
    return (cut[:end] if end > most // 2 else cut).rstrip() + " …"


def _card(card: Card) -> str:
    if card.kind == "products":
        lines = [
            line
            for item in card.items[:_MOST_ITEMS]
            if (line := " · ".join(str(item[key]) for key in _PLACES if item.get(key) and key != "image"))
        ]
        return "\n".join(f"- {line}" for line in lines)
    rows = [[f"{name}: {value}" for name, value in item.items() if value not in ("", None)] for item in card.items[:_MOST_ITEMS]]
    return "\n\n".join("\n".join(row) for row in rows if row)


def _source(one: Citation) -> str:
    words = " · ".join(_named(one))
    return f"{words}: {one.url}" if words and one.url else words or one.url


def _named(one: Citation) -> Iterator[str]:
    yield from (part for part in (one.title, one.heading.rpartition(" > ")[2]) if part)
