"""Captured: what is stored of traffic has no personal data in it. What cannot be made safe is not stored."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from smidgen.core.errors import RedactionError
from smidgen.data.teacher.leaves import changed, leaves
from smidgen.data.teacher.privacy import Redactor, readable
from smidgen.flows.redaction import Found, finder
from smidgen.store.traffic.shapes import Audited, Exchange, Feedback

Names = Callable[[str], Collection[str]]
"""Of a bundle by its name: the names that it answers with, labels and fields, which are nobody's."""


class Finding(Protocol):
    """What finds personal data in several texts, read together."""

    def many(self, texts: Iterable[str]) -> Mapping[str, Found]:
        """Of each text, what is personal in it."""
        ...


class Scrubber:
    """Takes personal data out of what is to be stored, with stand-ins that are the same within one request.

    Args:
        names: what must stay as it is.
        finding: the model; by default the one that comes with smidgen, on one thread. Raises BundleError where there is none.
    """

    def __init__(self, names: Names = lambda asked: (), finding: Finding | None = None) -> None:
        self._names = names
        self._finding: Finding = finder(threads=1) if finding is None else finding

    def exchanges(self, given: Sequence[Exchange]) -> list[Exchange | None]:
        """Each request with stand-ins; None for one that cannot be made safe. Raises EngineError where the model cannot run."""
        texts = [_readable((one.input, one.answer, one.local_output)) for one in given]
        found = self._finding.many({text for own in texts if own is not None for text in own})
        return [self._exchange(one, found) if own is not None else None for one, own in zip(given, texts, strict=True)]

    def feedback(self, said: Feedback, asked: str) -> Feedback:
        """The same with stand-ins. A correction that was changed is marked: the request's own stand-ins are not known any more, so that it
        may not fit its text. Raises RedactionError where it cannot be made safe, EngineError where the model cannot run."""
        texts = _readable((said.corrected, said.comment))
        if texts is None:
            raise RedactionError(
                "the feedback holds what cannot be read for personal data", value=said.request_id, todo="Send shorter, plain text."
            )
        redactor = self._redactor(asked, self._finding.many(texts))
        safe = redactor.twice(
            lambda: dataclasses.replace(said, corrected=_masked(said.corrected, redactor), comment=_masked(said.comment, redactor))
        )
        return dataclasses.replace(safe, altered=said.altered or safe.corrected != said.corrected)

    def audited(self, found: Audited, asked: str) -> Audited | None:
        """The same where there is no personal data in it; None where there is, or it cannot be made safe: the request's own stand-ins are
        not known any more, so that it would not fit its text. Raises EngineError where the model cannot run."""
        texts = _readable((found.answer,))
        if texts is None:
            return None
        redactor = self._redactor(asked, self._finding.many(texts))
        try:
            return found if redactor.twice(lambda: _masked(found.answer, redactor)) == found.answer else None
        except (RedactionError, RecursionError):
            return None

    def _exchange(self, one: Exchange, found: Mapping[str, Found]) -> Exchange | None:
        redactor = self._redactor(one.asked, found)
        try:
            return redactor.twice(functools.partial(_safe, one, redactor))
        except (RedactionError, RecursionError):
            return None

    def _redactor(self, asked: str, found: Mapping[str, Found]) -> Redactor:
        redactor = Redactor(found.__getitem__)
        redactor.keep(*self._names(asked))
        return redactor


def _safe(one: Exchange, redactor: Redactor) -> Exchange:
    input = _masked(one.input, redactor)
    return dataclasses.replace(
        one,
        input=input,
        answer=_masked(one.answer, redactor),
        local_output=_masked(one.local_output, redactor),
        altered=one.altered or input != one.input,
    )


def _masked(text: str | None, redactor: Redactor) -> str | None:
    """A text with stand-ins. In JSON each text is read for itself: as one text, an escape would stick to the words beside it."""
    if text is None:
        return None
    value = _parsed(text)
    if value is text:
        return redactor.mask(text)
    safe = changed(value, redactor.mask)
    return text if safe == value else json.dumps(safe, ensure_ascii=False)


def _parsed(text: str) -> Any:
    """The value that a text is as JSON, where that is an object, a list or a text; else the text. Raises RedactionError for an object that
    has a name twice: only the last would be read."""
    if text.lstrip()[:1] not in ("{", "[", '"'):
        return text
    try:
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return text


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise RedactionError("an object has a name twice", value=f"{len(pairs)} fields", todo="Give each name once.")
    return found


def _readable(texts: Iterable[str | None]) -> list[str] | None:
    """The texts that the model is to read; None where one of them cannot be read whole."""
    try:
        found = list(_leaves(texts))
        for text in found:
            readable(text)
    except (RedactionError, RecursionError):
        return None
    return found


def _leaves(texts: Iterable[str | None]) -> Iterator[str]:
    for text in texts:
        if text is not None:
            yield from leaves(_parsed(text))
