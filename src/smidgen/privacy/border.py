"""The border: masks the personal data of a request before it leaves, found by patterns and by the redaction model."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypedDict

from smidgen.core.errors import EngineError, RedactionError
from smidgen.privacy import text_patterns
from smidgen.privacy.placeholders import Placeholders, placeholders_like
from smidgen.privacy.policy import FILE, KINDS, Action, Policy
from smidgen.privacy.redactor import Redactor, readable
from smidgen.privacy.request_masking import BodyWalk, FieldContext, Mask, adjoining_texts, masking

PIECE = 20_000
"""Characters that are read at once: a fifth of what a tagger reads of a text, so that nothing is ever cut off."""

_KEPT = 16_384
_MOST_SPANS = 256
"""Of one text that is remembered: a few of texts with more would take the memory of thousands."""
MOST_CHARACTERS = 200_000
"""Characters of all texts of a request that are read, where nothing else is said."""
_TOGETHER = 32
"""Texts that the model reads at once."""

Span = tuple[str, int, int]


class _RedactorRule(TypedDict):
    """A policy's rule for a redactor."""

    allowed: frozenset[str]
    beside_person: frozenset[str]


class SpanReader(Protocol):
    """A finder of personal data in many texts: the redaction model."""

    def many(self, texts: Iterable[str], between: Callable[[], None] | None = None) -> Mapping[str, tuple[Span, ...]]:
        """The kind, the start and the end (exclusive) of each piece, by text. `between` is called before each part that is read; what it
        raises ends it."""
        ...


class RequestTooLong(RedactionError):
    """A request with more characters than are read."""


def _nothing() -> None:
    """Nobody waits."""


@dataclass(frozen=True)
class MaskedRequest:
    """A request behind the border.

    Attributes:
        body: as it may leave; None where it is as it came.
        placeholders: to put values back into the answer.
        counts: how often each kind was found that is not allowed.
        blocked: kinds that stop the request; it must not leave where there are any.
        unread: what could not be read, in a few words each.
    """

    body: dict[str, Any] | None
    placeholders: Placeholders
    counts: Counter[str] = field(default_factory=Counter)
    blocked: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


class Border:
    """The privacy border. Several threads may ask it at a time.

    Args:
        policy: what becomes of each kind.
        model: finds what has no form; None where the policy allows all that only a model finds.
        kinds: those that the model knows, besides the usual ones.
        most: characters of all texts of a request that are read; a longer request raises TooLong.
    """

    def __init__(self, policy: Policy, model: SpanReader | None, kinds: Iterable[str] = (), most: int = MOST_CHARACTERS) -> None:
        self.policy, self._most = policy, most
        self._model = model
        known = {*KINDS, *kinds}
        self._rule = _RedactorRule(allowed=policy.allowed(known), beside_person=policy.beside_person(known))
        self._memory = _SpanMemory()

    def masked(self, body: Mapping[str, Any], seconds: float, between: Callable[[], None] = _nothing) -> MaskedRequest:
        """A body as it may leave. `between` is called before each part of the work that takes long; what it raises ends it.

        Placeholders are counted in the order in which values are found, text after text: a conversation that goes on begins as it did
        before.

        Raises TooLong for more characters than are read, RedactionError for texts that cannot be made safe, EngineError where the model
        cannot run or takes longer than `seconds`.
        """
        look = _looking(time.monotonic() + seconds, between)
        seen: dict[str, None] = {}
        left = self._most

        def see(text: str, _: FieldContext) -> str:
            nonlocal left
            left -= len(text)
            if left < 0:
                raise _too_long(self._most)
            seen[text] = None
            return text

        first = BodyWalk(see)
        first.body(body)
        unread = tuple(dict.fromkeys(first.unread))
        found = Counter({FILE: len(first.unread)} if first.unread and self.policy.of(FILE) is not Action.ALLOW else ())
        if found:
            return MaskedRequest(None, Placeholders({}), found, (FILE,), unread)
        read = self._read(seen, look)
        redactor = Redactor(
            lambda text: read[text] if text in read else self._one(text, look), forms=text_patterns.every_span, **self._rule
        )
        redactor.avoid(place for text in seen for place in placeholders_like(text))
        mask, short = _masking(redactor, look)
        safe = redactor.twice(lambda: BodyWalk(mask, short).body(body))
        for parts in adjoining_texts(safe):
            look()
            if kinds := redactor.over(parts):
                raise RedactionError(
                    "personal data stands in two parts of a message, which are read as one text",
                    value=", ".join(sorted(kinds)),
                    todo="Write what belongs together in one part.",
                )
        blocked = tuple(kind for kind in redactor.counts if self.policy.of(kind) is Action.BLOCK)
        return MaskedRequest(safe if redactor.found else None, Placeholders(redactor.found), redactor.counts, blocked, unread)

    def found(
        self, texts: Iterable[str], seconds: float, coded: Iterable[str] = (), between: Callable[[], None] = _nothing
    ) -> Counter[str]:
        """How often each kind that is not allowed is found in texts that cannot be changed, as those of a path. `coded` are further ones
        that are no language: the model does not read them. Raises as `masked` does."""
        look = _looking(time.monotonic() + seconds, between)
        read = dict.fromkeys(texts)
        by_form = frozenset(coded) - read.keys()
        redactor = Redactor(lambda text: () if text in by_form else self._one(text, look), forms=text_patterns.every_span, **self._rule)
        for text in (*read, *by_form):
            redactor.mask(text)
        return redactor.counts

    def _one(self, text: str, look: Callable[[], None]) -> tuple[Span, ...]:
        return self._read([text], look)[text]

    def _read(self, texts: Iterable[str], look: Callable[[], None]) -> dict[str, tuple[Span, ...]]:
        """The model's findings in each text. A text is read once: a conversation comes whole with every turn."""
        if self._model is None:
            return dict.fromkeys(texts, ())
        found: dict[str, tuple[Span, ...]] = {}
        new = []
        for text in texts:
            readable(text)
            known = self._memory.get(text)
            if known is not None:
                found[text] = known
            elif text.strip():
                new.append(text)
            else:
                found[text] = ()
        for batch in _batches(new):
            look()
            for text, spans in self._model.many(batch, look).items():
                found[text] = spans
                self._memory.put(text, spans)
        return found


def _batches(texts: list[str]) -> Iterator[list[str]]:
    """Texts to be read together: few, and not long in all."""
    batch: list[str] = []
    for text in texts:
        if batch and (len(batch) == _TOGETHER or sum(map(len, batch)) + len(text) > PIECE):
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


def _masking(redactor: Redactor, look: Callable[[], None]) -> tuple[Mask, Mask]:
    """The functions that change a body's texts and its short numbers, with a look before each text."""
    mask, short = masking(redactor)

    def looked(text: str, label: FieldContext) -> str:
        look()
        return mask(text, label)

    return looked, short


def _looking(until: float, between: Callable[[], None]) -> Callable[[], None]:
    """The function to call before each part of the work: raises EngineError where there is no time left, and what `between` raises."""

    def look() -> None:
        between()
        if time.monotonic() > until:
            todo = "Send less at a time, or give it more seconds."
            raise EngineError("personal data was not found in time", value="the request", todo=todo)

    return look


def _too_long(most: int) -> RequestTooLong:
    todo = f"Send at most {most:,} characters, or ask for a larger --privacy-max-chars."
    return RequestTooLong("the request is too long to be looked through for personal data", value=f"over {most:,} characters", todo=todo)


class _SpanMemory:
    """The model's findings in the texts that it read last. It holds their keyed hashes, and no text. Several threads use it."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._found: OrderedDict[bytes, tuple[Span, ...]] = OrderedDict()

    def get(self, text: str) -> tuple[Span, ...] | None:
        name = self._name(text)
        with self._lock:
            if name in self._found:
                self._found.move_to_end(name)
            return self._found.get(name)

    def put(self, text: str, spans: tuple[Span, ...]) -> None:
        if len(spans) > _MOST_SPANS:
            return
        name = self._name(text)
        with self._lock:
            self._found[name] = spans
            while len(self._found) > _KEPT:
                self._found.popitem(last=False)

    def _name(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode("utf-8"), digest_size=16, key=self._key).digest()
