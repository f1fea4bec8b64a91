"""The answers that are kept, in memory alone: bounded in number, bytes and age. What was used longest ago goes first."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smidgen.gateway.cache.cached_answer import CachedAnswer
from smidgen.gateway.cache.key import CacheKey

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]


_BESIDE = 1_000
"""Bytes of an entry besides its answer, its text and its vector, about."""
_MOST_COMPARED = 4_096
"""Entries of one template that a text is compared with: the newest."""
_MOST_REQUESTS = 16_384
"""Requests whose answers can still be taken out by their ids: the newest."""


@dataclass(frozen=True, slots=True)
class CacheLimits:
    """How much is kept: entries, bytes in all and of one answer, seconds."""

    entries: int
    total: int
    each: int
    seconds: float


@dataclass(slots=True)
class CacheEntry:
    """A kept answer, and when it came, on the clock that is asked with. `vector` is that of the question's text, of length 1; None where it
    is given to nobody else's words."""

    question: CacheKey
    answer: CachedAnswer
    born: float
    vector: Vector | None = None

    @property
    def size(self) -> int:
        """Bytes, about."""
        vector = 0 if self.vector is None else self.vector.nbytes
        return _BESIDE + len(self.answer.body) + 4 * len(self.question.text) + vector


class AnswerCache:
    """The cache of answers, in memory. It is asked by one thread at a time. Nothing of it is ever written down.

    Times are seconds of any clock that never goes back.
    """

    def __init__(self, bounds: CacheLimits) -> None:
        self._bounds = bounds
        self._entries: OrderedDict[bytes, CacheEntry] = OrderedDict()
        self._by_age: OrderedDict[bytes, CacheEntry] = OrderedDict()  # the oldest first, however often it is used
        self._requests: OrderedDict[str, tuple[bytes, str]] = OrderedDict()
        self._alike: dict[bytes, OrderedDict[bytes, CacheEntry]] = {}
        self.size = 0

    @property
    def longest(self) -> int:
        """Bytes of the largest answer that is kept."""
        return self._bounds.each

    def __len__(self) -> int:
        return len(self._entries)

    def exact(self, question: CacheKey, now: float, fresh: float = float("inf")) -> CacheEntry | None:
        """The answer to this very question, no older than `fresh` seconds; None where there is none."""
        entry = self._entries.get(question.key)
        if entry is None or not self._lives(entry, now) or now - entry.born > fresh:
            return None
        self._entries.move_to_end(question.key)
        return entry

    def alike(self, question: CacheKey, now: float, fresh: float = float("inf")) -> list[CacheEntry]:
        """Answers to other texts in the same template, the newest last; those that have a vector."""
        template = question.template
        found = list(self._alike.get(template, {}).values())[-_MOST_COMPARED:] if template is not None else []
        return [entry for entry in found if self._lives(entry, now) and now - entry.born <= fresh]

    def used(self, entry: CacheEntry) -> None:
        """It was given: it goes later."""
        if self._entries.get(entry.question.key) is entry:
            self._entries.move_to_end(entry.question.key)

    def put(self, entry: CacheEntry) -> bool:
        """Keep it, in the place of what its question had before; False for one that is too large to be kept."""
        self._drop(entry.question.key)
        if len(entry.answer.body) > self._bounds.each or entry.size > self._bounds.total:
            return False
        self._entries[entry.question.key] = self._by_age[entry.question.key] = entry
        self.size += entry.size
        while len(self._entries) > self._bounds.entries or self.size > self._bounds.total:
            self._drop(next(iter(self._entries)))
        return True

    def placed(self, entry: CacheEntry, vector: Vector) -> bool:
        """Its text has this vector: from now on others may come near it. False, and nothing else, where it was let go meanwhile."""
        template = entry.question.template
        if template is None or entry.vector is not None or self._entries.get(entry.question.key) is not entry:
            return False
        self.size -= entry.size
        entry.vector = vector
        self.size += entry.size
        self._alike.setdefault(template, OrderedDict())[entry.question.key] = entry
        return True

    def forget(self, now: float) -> None:
        """Let go what is too old."""
        while self._by_age and not self._lives(next(iter(self._by_age.values())), now):
            pass

    def given(self, request: str, entry: CacheEntry, key: str = "") -> None:
        """The request with this id, of the client with this key, has this answer."""
        self._requests[request] = entry.question.key, key
        if len(self._requests) > _MOST_REQUESTS:
            self._requests.popitem(last=False)

    def refuse(self, request: str, key: str | None = None) -> bool:
        """Let go the answer that this request has: it is wrong. Whether there was one. With a `key` only where that client asked."""
        question, whose = self._requests.get(request, (None, ""))
        if question is None or (key is not None and key != whose):
            return False
        del self._requests[request]
        known = question in self._entries
        self._drop(question)
        return known

    def _lives(self, entry: CacheEntry, now: float) -> bool:
        """Whether it is young enough; one that is not is let go."""
        if now - entry.born <= self._bounds.seconds:
            return True
        self._drop(entry.question.key)
        return False

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        del self._by_age[key]
        self.size -= entry.size
        template = entry.question.template
        alike = self._alike.get(template) if template is not None else None
        if alike is not None and template is not None:
            alike.pop(key, None)
            if not alike:
                del self._alike[template]
