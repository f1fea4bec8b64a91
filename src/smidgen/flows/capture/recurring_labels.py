"""Find recurring answers: a short answer that many different texts got is a label, and says nothing about a person."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import secrets
import sys
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from smidgen.core.placeholders import PLACEHOLDER
from smidgen.flows.certify import losses
from smidgen.store.traffic.records import Exchange, LateLabel

LONGEST = 60
"""Most characters of a label."""
MOST_KNOWN = 10_000
"""Most known labels of a key."""
WAIT_SECONDS = 7 * 86_400.0
"""Seconds that an unknown answer waits for the next text with this answer."""
_MOST_KEYS = 1_024
"""Most keys. When there are more, the one unused longest goes, preferably one without known labels."""
_MOST_PENDING = 2_048
"""Most unknown answers of a key. When there are more, those unused longest go."""
_MOST_LATE, _MOST_LATE_OF_KEY, _MOST_LATE_OF_ALL = 64, 8_192, 50_000
"""Most rows that wait: for one answer, for a key, and for all keys. Further rows stay masked."""
_RECENT, _MOST_RECENT_KEYS = 64, 16
"""Requests of a key whose texts are compared to find shared parts, and most such keys."""
_LONGEST_SYSTEM, _LONGEST_INPUT = 16_000, 8_000
_LISTED = 2
"""Fewest other answers in the part that texts share for that part to count as a list of labels."""
_OTHER_SYSTEMS = 8
"""Most requests with other system prompts to compare a request with: comparing long ones takes time."""
_SEVERAL = 2
_SAME_USER = 50
"""Requests that all name the same user before that name is taken for a program's."""
_MOST_FIELDS, _DEEPEST = 50, 8
"""Most values of an object to look at, and most levels."""
_WORD = re.compile(r"[^\W_]+")
_DIGITS = re.compile(r"\d+")


@dataclass(slots=True)
class _PendingLabel:
    """An answer that is not known yet: hashes of the texts and users with this answer, and the rows that were stored masked."""

    last: float
    texts: set[bytes] = field(default_factory=set)
    users: set[bytes] = field(default_factory=set)
    late: list[LateLabel] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _AskedTexts:
    """A question (system prompt and text) with its answer."""

    system: str
    input: str
    label: str


@dataclass(slots=True)
class _KeyAnswers:
    """The answers of one key."""

    known: dict[str, None] = field(default_factory=dict)
    pending: OrderedDict[str, _PendingLabel] = field(default_factory=OrderedDict)
    user: bytes = b""
    several_users: bool = False
    named: int = 0
    waiting: int = 0


class RecurringLabels:
    """Finds recurring answers. For use by one thread.

    Args:
        texts: number of different texts with the same answer before it is known; 0: never.
        personal: whether an answer has the form of personal data.
        clock: monotonic seconds.
    """

    def __init__(
        self, texts: int, personal: Callable[[str], bool] = lambda answer: False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._least, self._personal, self._clock = texts, personal, clock
        self._keys: OrderedDict[str, _KeyAnswers] = OrderedDict()
        self._recent: OrderedDict[str, deque[_AskedTexts]] = OrderedDict()
        self._secret = secrets.token_bytes(16)
        self._rows_waiting = 0
        self.new: list[tuple[str, str]] = []
        """Labels that became known and are not stored yet, each with its key."""
        self.late: list[LateLabel] = []
        """Rows that were stored masked, with their original answers."""

    def know(self, labels: Iterable[tuple[str, str]]) -> None:
        """Replace the known labels by these, each with its key."""
        for one in self._keys.values():
            one.known.clear()
        for key, label in (*labels, *self.new):
            self._of(key).known[label] = None

    def labels(self, key: str) -> Collection[str]:
        """Return the known labels of a key."""
        found = self._keys.get(key)
        return found.known.keys() if found is not None else ()

    def is_value(self, key: str, field: str, said: str) -> bool:
        """Return True if the value of an answer's field is a known label of that field."""
        return _in_field(field, spell_label(said)) in self.labels(key)

    def saw(self, one: Exchange, personal: Collection[str] = ()) -> None:
        """Count a request, before it is redacted. `personal`: the pieces of its answer that look like personal data."""
        if one.answered_by != "upstream" or one.status != 200 or one.answer_state != "whole" or one.input is None or one.answer is None:
            return
        found = {label: label} if (label := self._label(one.answer)) else self._values(one.answer, personal)
        if not found:
            return
        mine = self._of(one.key)
        user = self._hash(one.user.strip()) if one.user and one.user.strip() else b""
        mine.several_users = mine.several_users or bool(user and mine.user and user != mine.user)
        mine.user, mine.named = mine.user or user, mine.named + bool(user)
        system = sys.intern(one.system.replace("\\n", "\n"))
        for label, value in found.items():
            self._count(one, mine, label, _AskedTexts(system, one.input, value), user, personal)

    def _count(self, one: Exchange, mine: _KeyAnswers, label: str, asked: _AskedTexts, user: bytes, personal: Collection[str]) -> None:
        """Count a text for a label. `asked.label` is the answer as given."""
        pieces = [spell_label(piece) for piece in personal if piece.casefold() in asked.label]
        shown = any(_shown(piece, asked.system) or _shown(piece, asked.input) for piece in (asked.label, *pieces))
        counts = label not in mine.known and (not shown or self._listed(one.key, asked))
        self._remember(one.key, asked)
        if not counts or len(mine.known) >= MOST_KNOWN:
            return
        pending = self._waiting(mine, label)
        if len(pending.texts) < self._least:
            pending.texts.add(self._hash(_DIGITS.sub("0", " ".join(asked.input.casefold().split()))))
        if user and len(pending.users) < _SEVERAL:
            pending.users.add(user)
        one_users = len(pending.users) == 1 and (mine.several_users or mine.named < _SAME_USER)
        if len(pending.texts) >= self._least and not one_users:
            self._let_go(mine, mine.pending.pop(label))
            mine.known[label] = None
            self.new.append((one.key, label))
            self.late += pending.late

    def wait(self, key: str, late: LateLabel) -> None:
        """Unmask this masked row later if its answer turns out to be a label."""
        label = self._label(late.said)
        if label and label not in self.labels(key):
            mine = self._of(key)
            rows = self._waiting(mine, label).late
            if len(rows) < _MOST_LATE and mine.waiting < _MOST_LATE_OF_KEY and self._rows_waiting < _MOST_LATE_OF_ALL:
                rows.append(late)
                mine.waiting += 1
                self._rows_waiting += 1

    def settled(self) -> None:
        """Record that the new labels and rows are stored."""
        self.new.clear()
        self.late.clear()

    def _label(self, answer: str | None) -> str:
        """Return the label that an answer may be; empty if it cannot be one."""
        if answer is None or not self._least or len(answer) > 4 * LONGEST:
            return ""
        said = losses.unwrap_field(answer)
        label = spell_label(said)
        may = (
            0 < len(label) <= LONGEST
            and label[0] not in "{["
            and "\n" not in label
            and _WORD.search(label)
            and not PLACEHOLDER.search(said)
        )
        return label if may and not self._personal(said) else ""

    def _values(self, answer: str, personal: Collection[str]) -> dict[str, str]:
        """Return the labels that values of an object may be, each with its field, mapped to the value.

        A field whose name may be a person's has none.
        """
        if not self._least or answer.lstrip()[:1] != "{":
            return {}
        try:
            left: list[tuple[str, Any, int]] = [("", json.loads(answer), 0)]
        except (ValueError, RecursionError):
            return {}
        found: dict[str, str] = {}
        while left and len(found) < _MOST_FIELDS:
            field, value, depth = left.pop()
            if isinstance(value, dict) and depth < _DEEPEST:
                left += [(name, inner, depth + 1) for name, inner in value.items() if not any(piece in name for piece in personal)]
            elif isinstance(value, list) and depth < _DEEPEST:
                left += [(field, inner, depth + 1) for inner in value]
            elif isinstance(value, str) and field and len(field) <= LONGEST and "\n" not in field and (label := self._label(value)):
                found[_in_field(field, label)] = label
        return found

    def _of(self, key: str) -> _KeyAnswers:
        found = self._keys.setdefault(key, _KeyAnswers())
        self._keys.move_to_end(key)
        while len(self._keys) > _MOST_KEYS:
            others = (name for name, one in self._keys.items() if not one.known and one is not found)
            gone = self._keys.pop(next(others, next(iter(self._keys))))
            self._rows_waiting -= gone.waiting
        return found

    def _waiting(self, mine: _KeyAnswers, label: str) -> _PendingLabel:
        """Return the pending entry of an answer, as the newest. Entries that waited too long are dropped."""
        now = self._clock()
        while mine.pending and now - next(iter(mine.pending.values())).last > WAIT_SECONDS:
            self._let_go(mine, mine.pending.popitem(last=False)[1])
        found = mine.pending.setdefault(label, _PendingLabel(now))
        found.last = now
        mine.pending.move_to_end(label)
        while len(mine.pending) > _MOST_PENDING:
            self._let_go(mine, mine.pending.popitem(last=False)[1])
        return found

    def _let_go(self, mine: _KeyAnswers, pending: _PendingLabel) -> None:
        """Subtract the rows of an answer that no longer waits."""
        mine.waiting -= len(pending.late)
        self._rows_waiting -= len(pending.late)

    def _remember(self, key: str, asked: _AskedTexts) -> None:
        if len(asked.system) > _LONGEST_SYSTEM or len(asked.input) > _LONGEST_INPUT:
            return
        self._recent.setdefault(key, deque(maxlen=_RECENT)).append(asked)
        self._recent.move_to_end(key)
        while len(self._recent) > _MOST_RECENT_KEYS:
            self._recent.popitem(last=False)

    def _listed(self, key: str, asked: _AskedTexts) -> bool:
        """Return True if an answer that occurs in the question occurs there in a list of labels."""
        others: set[str] = set()
        compared = 0
        for other in reversed(self._recent.get(key, ())):
            same = other.system == asked.system
            if other.label == asked.label or other.label in others or (same and other.input == asked.input):
                continue
            compared += not same
            if not same and compared > _OTHER_SYSTEMS:
                continue
            if any(_shown(asked.label, part) and _shown(other.label, part) for part in _shared(asked, other)):
                others.add(other.label)
                if len(others) >= _LISTED:
                    return True
        return False

    def _hash(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode("utf-8", "replace"), key=self._secret, digest_size=12).digest()


def _in_field(field: str, label: str) -> str:
    """Return the key of a field's label. Whole answers have no line break, so the keys differ from theirs."""
    return f"{field}\n{label}"


def spell_label(label: str) -> str:
    """Normalise a label for comparison."""
    return label.strip().removesuffix(".").strip().casefold()


def _shown(label: str, text: str) -> bool:
    """Return True if a label, or each of its words, occurs in a text."""
    folded, words = _read(text)
    return label in folded or set(_WORD.findall(label)) <= words


@functools.lru_cache(128)
def _read(text: str) -> tuple[str, frozenset[str]]:
    """Return a case-folded text and its words. Cached, because system prompts repeat."""
    folded = text.casefold()
    return folded, frozenset(_WORD.findall(folded))


def _shared(one: _AskedTexts, other: _AskedTexts) -> Iterator[str]:
    """Yield the whole words that two requests share: equal system prompts, or their common beginning and end; those of the texts."""
    if one.system == other.system:
        yield one.system
    else:
        yield from _ends(one.system, other.system)
    yield from _ends(one.input, other.input)


def _ends(one: str, other: str) -> Iterator[str]:
    """Yield the beginning and the end that two texts share, in whole words."""
    begins = _common(one, other)
    yield begins[: max(begins.rfind(" "), begins.rfind("\n")) + 1]
    ends = _common(one[::-1], other[::-1])[::-1]
    cut = [place for sign in " \n" if (place := ends.find(sign)) >= 0]
    yield ends[min(cut) :] if cut else ""


def _common(one: str, other: str) -> str:
    """Return the common prefix of two texts."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return one[:low]
