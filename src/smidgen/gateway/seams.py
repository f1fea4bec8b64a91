"""Where two texts of a request meet that the large model reads as one: the parts of one message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from smidgen.gateway.structure import TEXT_PARTS

_NEAR = 1_000
"""Characters on each side of a seam: no pattern reaches further."""
_LISTS = ("content", "output", "summary")


def seams(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The end of what stands before and the begin of what stands after each place where a text part follows another one, in messages and
    items of a body."""
    for name in ("messages", "input"):
        items = body.get(name)
        for item in items if isinstance(items, list) else ():
            if isinstance(item, Mapping):
                for field in _LISTS:
                    yield from _of(item.get(field))
    yield from _of(body.get("input"))


def _of(parts: Any) -> Iterator[tuple[str, str]]:
    """Of one list of parts. What is no text ends what is read as one."""
    before = ""
    for part in parts if isinstance(parts, list) else ():
        kind, text = (part.get("type"), part.get("text")) if isinstance(part, Mapping) else (None, None)
        if not isinstance(kind, str) or kind not in TEXT_PARTS or not isinstance(text, str):
            before = ""
            continue
        if before and text:
            yield before, text[:_NEAR]
        before = (before + text)[-_NEAR:]
