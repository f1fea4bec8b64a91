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
"""Characters to read at once: a fifth of the limit of a tagger, so that nothing is ever cut off."""

_KEPT = 16_384
_MOST_SPANS = 256
"""Most spans of a remembered text: a few texts with more would take the memory of thousands."""
MOST_CHARACTERS = 200_000
"""Default limit of characters to read in all texts of a request."""
_TOGETHER = 32
"""Texts that the model reads at once."""

Span = tuple[str, int, int]


class _RedactorRule(TypedDict):
    """The part of a policy that a redactor needs."""

    allowed: frozenset[str]
    beside_person: frozenset[str]


class SpanReader(Protocol):
    """Finds personal data in many texts: the redaction model."""

    def many(self, texts: Iterable[str], between: Callable[[], None] | None = None) -> Mapping[str, tuple[Span, ...]]:
        """Return the kind, start and end (exclusive) of each finding, by text.

        `between` is called before each part. An exception from it ends the reading.
        """
        ...


class RequestTooLong(RedactionError):
    """A request with more characters than the limit."""


def _nothing() -> None:
    """Do nothing between parts."""


@dataclass(frozen=True)
class MaskedRequest:
    """A request after masking.

    Attributes:
        body: the body to send; None if it is unchanged.
        placeholders: restore the values in the answer.
        counts: number of findings of each kind that is not allowed.
        blocked: kinds that stop the request. It must not be sent if there are any.
        unread: short descriptions of parts that could not be read.
    """

    body: dict[str, Any] | None
    placeholders: Placeholders
    counts: Counter[str] = field(default_factory=Counter)
    blocked: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


class Border:
    """The privacy border. Thread-safe.

    Args:
        policy: the action for each kind.
        model: finds kinds without a pattern; None if the policy allows all of them.
        kinds: kinds that the model knows, besides the usual ones.
        most: most characters in all texts of a request; a longer request raises RequestTooLong.
    """

    def __init__(self, policy: Policy, model: SpanReader | None, kinds: Iterable[str] = (), most: int = MOST_CHARACTERS) -> None:
        self.policy, self._most = policy, most
        self._model = model
        known = {*KINDS, *kinds}
        self._rule = _RedactorRule(allowed=policy.allowed(known), beside_person=policy.beside_person(known))
        self._memory = _SpanMemory()

    def masked(self, body: Mapping[str, Any], seconds: float, between: Callable[[], None] = _nothing) -> MaskedRequest:
        """Mask a body. `between` is called before each slow part. An exception from it ends the masking.

        Placeholders are numbered in the order of the texts, so a continued conversation begins with the same ones.

        Raises RequestTooLong for too many characters, RedactionError for texts that cannot be made safe, EngineError if the model cannot
        run or takes longer than `seconds`.
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
                raise RedactionError("privacy.personal_data_is_split_over_two_parts", value=", ".join(sorted(kinds)))
        blocked = tuple(kind for kind in redactor.counts if self.policy.of(kind) is Action.BLOCK)
        return MaskedRequest(safe if redactor.found else None, Placeholders(redactor.found), redactor.counts, blocked, unread)

    def found(
        self, texts: Iterable[str], seconds: float, coded: Iterable[str] = (), between: Callable[[], None] = _nothing
    ) -> Counter[str]:
        """Count the findings of each kind that is not allowed, in texts that cannot be changed, such as those of a path.

        `coded`: further texts that are not language, which only patterns read. Raises as `masked` does.
        """
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
        """Return the model's findings in each text. Each text is read once, because a conversation comes whole with every turn."""
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
    """Group texts to read together: few, and short in total."""
    batch: list[str] = []
    for text in texts:
        if batch and (len(batch) == _TOGETHER or sum(map(len, batch)) + len(text) > PIECE):
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


def _masking(redactor: Redactor, look: Callable[[], None]) -> tuple[Mask, Mask]:
    """Return the functions that mask a body's texts and its short numbers. The first one checks the time before each text."""
    mask, short = masking(redactor)

    def looked(text: str, label: FieldContext) -> str:
        look()
        return mask(text, label)

    return looked, short


def _looking(until: float, between: Callable[[], None]) -> Callable[[], None]:
    """Return a function to call before each slow part. It calls `between`, and raises EngineError if the time is up."""

    def look() -> None:
        between()
        if time.monotonic() > until:
            raise EngineError("privacy.personal_data_was_not_found_in_time")

    return look


def _too_long(most: int) -> RequestTooLong:
    return RequestTooLong("privacy.request_is_too_long_to_search", most=most)


class _SpanMemory:
    """Remembers the model's findings in the latest texts, by keyed hash. Holds no text. Thread-safe."""

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
