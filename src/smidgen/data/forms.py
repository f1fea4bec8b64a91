"""What has a form, besides that which every redaction looks for: what cards say, and numbers that a word makes personal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from smidgen.data import labelled, payment

_ALL_ALONE = frozenset({"url", "age"})
"""Kinds that a policy asks for: an address on the web says something of few, and so does an age but by the rule for health data."""

Spans = Iterator[tuple[str, int, int]]
"""The kind, the start and the end (exclusive). They may overlap."""


def every(text: str) -> Spans:
    """All of it: a policy says what becomes of each kind."""
    yield from payment.spans(text)
    yield from labelled.spans(text)


def usual(text: str) -> Spans:
    """What no text keeps whose personal data is taken out: not its web addresses and ages."""
    return (span for span in every(text) if span[0] not in _ALL_ALONE)


def usual_with(kinds: Iterable[str]) -> Callable[[str], Spans]:
    """The same with those of web addresses (`url`) and ages (`age`) that are among these kinds: what a policy takes out besides."""
    left = _ALL_ALONE.difference(kinds)
    return lambda text: (span for span in every(text) if span[0] not in left)
