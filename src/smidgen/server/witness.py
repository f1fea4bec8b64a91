"""What the small models replied for a request, as it was before any face rounded it: for a door that decides by it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from smidgen.core.replies import Reply

_seen: ContextVar[list[Reply] | None] = ContextVar("smidgen_replies", default=None)


@contextmanager
def witnessed() -> Iterator[list[Reply]]:
    """The replies that are given within the block, in a list that fills."""
    replies: list[Reply] = []
    token = _seen.set(replies)
    try:
        yield replies
    finally:
        _seen.reset(token)


def saw(replies: Sequence[Reply]) -> None:
    """Tell of final replies."""
    seen = _seen.get()
    if seen is not None:
        seen += replies
