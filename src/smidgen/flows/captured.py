"""Captured: what is stored of traffic has no personal data in it. What cannot be made safe is not stored."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

from smidgen.core.errors import RedactionError
from smidgen.data import forms
from smidgen.data.teacher.privacy import Redactor
from smidgen.flows import stored_text
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
        redactor = Redactor(found.__getitem__, forms=forms.usual)
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
    return None if text is None else stored_text.masked(text, redactor)


def _readable(texts: Iterable[str | None]) -> list[str] | None:
    """The texts that the model is to read; None where one of them cannot be read whole."""
    try:
        return [leaf for text in texts if text is not None for leaf in stored_text.leaves(text)]
    except (RedactionError, RecursionError):
        return None
