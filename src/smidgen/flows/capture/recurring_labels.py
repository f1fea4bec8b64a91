"""Answers that recur are labels: a short answer that many different texts got says nothing about anybody."""

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
"""Characters of a label."""
MOST_KNOWN = 10_000
"""Labels of a key; no more become known."""
WAIT_SECONDS = 7 * 86_400.0
"""The time that an unknown answer waits for the next text that gets it."""
_MOST_KEYS = 1_024
"""Keys; of more, the one that came longest ago is let go, of which no label is known if there is such a one."""
_MOST_PENDING = 2_048
"""Answers of a key that are not known yet; of more, those that came longest ago are let go."""
_MOST_LATE, _MOST_LATE_OF_KEY, _MOST_LATE_OF_ALL = 64, 8_192, 50_000
"""Rows that wait for one answer, for all of a key, and of all keys. A row that must not wait stays masked."""
_RECENT, _MOST_RECENT_KEYS = 64, 16
"""Requests of a key whose texts are compared, to see what is the same in several of them."""
_LONGEST_SYSTEM, _LONGEST_INPUT = 16_000, 8_000
_LISTED = 2
"""Other answers that must stand in the part that texts share, for it to be a list of labels."""
_OTHER_SYSTEMS = 8
"""Requests with other words to the system that a request is compared with: to compare long ones takes time."""
_SEVERAL = 2
_SAME_USER = 50
"""Requests that all name one user, before that is taken for the name of a program."""
_MOST_FIELDS, _DEEPEST = 50, 8
"""Values of an object that are looked at, and levels of it."""
_WORD = re.compile(r"[^\W_]+")
_DIGITS = re.compile(r"\d+")


@dataclass(slots=True)
class _PendingLabel:
    """An answer that is not known yet: the texts and the users that got it, hashed, and the rows that were stored masked."""

    last: float
    texts: set[bytes] = field(default_factory=set)
    users: set[bytes] = field(default_factory=set)
    late: list[LateLabel] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _AskedTexts:
    """A question, the words to the system and the text, with its answer."""

    system: str
    input: str
    label: str


@dataclass(slots=True)
class _KeyAnswers:
    """The answers known of one key."""

    known: dict[str, None] = field(default_factory=dict)
    pending: OrderedDict[str, _PendingLabel] = field(default_factory=OrderedDict)
    user: bytes = b""
    several_users: bool = False
    named: int = 0
    waiting: int = 0


class RecurringLabels:
    """Finds answers that recur. Used by one thread.

    Args:
        texts: how many different texts must get an answer; 0: none ever becomes known.
        personal: whether an answer has the form of personal data.
        clock: seconds, never going back.
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
        """Labels that became known and are not in the store yet, each with its key."""
        self.late: list[LateLabel] = []
        """The texts that were stored masked, in their own words."""

    def know(self, labels: Iterable[tuple[str, str]]) -> None:
        """Know these, each with its key, and no others any more."""
        for one in self._keys.values():
            one.known.clear()
        for key, label in (*labels, *self.new):
            self._of(key).known[label] = None

    def labels(self, key: str) -> Collection[str]:
        """Those of a key."""
        found = self._keys.get(key)
        return found.known.keys() if found is not None else ()

    def is_value(self, key: str, field: str, said: str) -> bool:
        """Whether what stands in a field of an answer is a label there."""
        return _in_field(field, spell_label(said)) in self.labels(key)

    def saw(self, one: Exchange, personal: Collection[str] = ()) -> None:
        """Count a request, before personal data is taken out of it. `personal`: what in its answer is taken for personal data."""
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
        """Count a text for a label, which was said as `asked.label`."""
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
        """Put this right when it turns out that it is a label; it was stored masked."""
        label = self._label(late.said)
        if label and label not in self.labels(key):
            mine = self._of(key)
            rows = self._waiting(mine, label).late
            if len(rows) < _MOST_LATE and mine.waiting < _MOST_LATE_OF_KEY and self._rows_waiting < _MOST_LATE_OF_ALL:
                rows.append(late)
                mine.waiting += 1
                self._rows_waiting += 1

    def settled(self) -> None:
        """Note that what became known is stored."""
        self.new.clear()
        self.late.clear()

    def _label(self, answer: str | None) -> str:
        """The label that an answer may be; empty where it is none."""
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
        """The labels that values of an object may be, each in its field; with the value. A field whose name may be somebody's has none."""
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
        """The answer among those that wait, as the newest; those that waited too long are let go."""
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
        """Count the rows of an answer out: it waits no more."""
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
        """Whether an answer that stands in what was asked stands there in a list of labels."""
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
    """A label of one field, apart from those that are whole answers, which have no line break."""
    return f"{field}\n{label}"


def spell_label(label: str) -> str:
    """A label as labels are compared."""
    return label.strip().removesuffix(".").strip().casefold()


def _shown(label: str, text: str) -> bool:
    """Whether a label, or all of its words, stand in a text."""
    folded, words = _read(text)
    return label in folded or set(_WORD.findall(label)) <= words


@functools.lru_cache(128)
def _read(text: str) -> tuple[str, frozenset[str]]:
    """A text as labels are spelt, and its words. Words to the system come again and again."""
    folded = text.casefold()
    return folded, frozenset(_WORD.findall(folded))


def _shared(one: _AskedTexts, other: _AskedTexts) -> Iterator[str]:
    """The words that two requests share, whole ones: those to the system where they are equal, else their beginning and end; those of
    the texts."""
    if one.system == other.system:
        yield one.system
    else:
        yield from _ends(one.system, other.system)
    yield from _ends(one.input, other.input)


def _ends(one: str, other: str) -> Iterator[str]:
    """The beginning and the end that two texts share, in whole words."""
    begins = _common(one, other)
    yield begins[: max(begins.rfind(" "), begins.rfind("\n")) + 1]
    ends = _common(one[::-1], other[::-1])[::-1]
    cut = [place for sign in " \n" if (place := ends.find(sign)) >= 0]
    yield ends[min(cut) :] if cut else ""


def _common(one: str, other: str) -> str:
    """The beginning that two texts share."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return one[:low]
