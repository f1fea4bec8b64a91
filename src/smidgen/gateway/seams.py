"""Where two texts of a request meet that the large model reads as one: the parts of one message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from smidgen.gateway.structure import TEXT_PARTS

_LISTS = ("content", "output", "summary")


def seams(body: Mapping[str, Any]) -> Iterator[list[str]]:
    """Text parts that follow one another, two and more, in messages and items of a body."""
    for name in ("messages", "input"):
        items = body.get(name)
        for item in items if isinstance(items, list) else ():
            if isinstance(item, Mapping):
                for field in _LISTS:
                    yield from _of(item.get(field))
    yield from _of(body.get("input"))


def _of(parts: Any) -> Iterator[list[str]]:
    """Those of one list of parts. What is no text ends what is read as one."""
    together: list[str] = []
    for part in (*parts, None) if isinstance(parts, list) else ():
        kind, text = (part.get("type"), part.get("text")) if isinstance(part, Mapping) else (None, None)
        if isinstance(kind, str) and kind in TEXT_PARTS and isinstance(text, str):
            together += [text] if text else []
            continue
        if len(together) > 1:
            yield together
        together = []
