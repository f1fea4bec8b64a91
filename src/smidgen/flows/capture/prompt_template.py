"""The kind of a prompt: its template without the dates, numbers and names that vary in the words to the system."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from smidgen.text.prompt_patterns import without_variables

_VARIES = "varies"
"""What no template begins with."""
_PARTS = 3


def prompt_kind(template: str, masked: Callable[[str], str] = lambda words: words) -> str:
    """What stays of a template (`server/exchange.py` makes it): itself where nothing in it varies.

    Args:
        template: as JSON: the path, the words to the system as JSON, the rest.
        masked: takes what is personal out of some words, in which nothing else varies any more.
    """
    read = _read(template)
    if read is None:
        return template
    path, words, rest = read
    stays = _changed(words, lambda text: without_variables(masked(without_variables(text))))
    return template if stays == words else json.dumps([_VARIES, path, stays, rest], ensure_ascii=False, sort_keys=True)


def masked_pieces(template: str) -> Iterator[str]:
    """The words to the system that `kind` has masked, piece by piece."""
    read = _read(template)
    yield from map(without_variables, _texts(read[1]) if read is not None else ())


def _read(template: str) -> tuple[Any, Any, Any] | None:
    """The path, the words to the system and the rest; None for what has no such words, or is no template."""
    try:
        found = json.loads(template) if template[:1] == "[" else None
        if not isinstance(found, list) or len(found) != _PARTS or not isinstance(found[1], str) or not found[1]:
            return None
        return found[0], json.loads(found[1]), found[2]
    except (ValueError, RecursionError):
        return None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            if name != "type":
                yield from _texts(one)


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    """The words with each of their texts changed; names of fields and kinds of parts stay as they are."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_changed(one, change) for one in value]
    if isinstance(value, dict):
        return {name: one if name == "type" else _changed(one, change) for name, one in value.items()}
    return value
