"""Texts that repeat themselves without end: notice it while a text is written, and cut the copies off.

A small model that always writes the likeliest word may say one sentence over and over, until it is cut. Of conversation summaries, by a
model trained on 1,300, nearly half of the greedy texts ended so, at the most tokens that an answer may have. The text before the
repetition, and one copy of it, is as good as any other text of the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

LEAST_REPETITION = 160
"""Least characters of repetition that are allowed, whatever the examples contain."""
_COPIES = 3
_SEED = 24
"""Characters at the end of a text whose previous occurrence gives the period."""
_WINDOW = 4_096
_ROOM = 2
_SENTENCE = re.compile(r"[.!?…。]+[\"'”’)]*(?=\s|$)|\n")


class RepetitionWatch:
    """Watches a text for repetition while it comes.

    Args:
        most: most characters of copies (at least three) of one run of characters; 0 for any number.
    """

    def __init__(self, most: int) -> None:
        self._most, self._tail = most, ""

    def feed(self, text: str) -> bool:
        """Add the next piece of text; returns whether the text repeats itself."""
        if not self._most or not text:
            return False
        self._tail = (self._tail + text)[-max(_WINDOW, _COPIES * self._most) :]
        step = period(self._tail)
        return bool(step) and _ends(self._tail, step, max(self._most, _COPIES * step))


def period(text: str) -> int:
    """The distance from a text's end to its previous occurrence, in characters; 0 if there is none."""
    seed = text[-_SEED:]
    if len(seed) < _SEED:
        return 0
    before = text.rfind(seed, 0, len(text) - 1)
    return len(text) - _SEED - before if before >= 0 else 0


def without_repetition(text: str) -> str:
    """A cut text without the copies at its end, except the first, and the rest of the next copy's sentence if it ends there. A text that
    does not end in copies stays unchanged."""
    step = period(text)
    if not step or not _ends(text, step, max(2 * step + _SEED, _COPIES * _SEED)):
        return text
    end = _first(text, step) + step
    once = text[:end].rstrip()
    if _SENTENCE.match(once, len(once) - 1):
        return once
    sentence = _SENTENCE.search(text, end, end + step)
    return text[: sentence.end() if sentence else end].rstrip()


def longest(text: str) -> int:
    """The longest stretch of a text that is copies (at least three) of one run of characters, in characters; 0 if there is none. Stretches
    of copies shorter than 24 characters do not count."""
    found = 0
    for at in (*range(_COPIES * _SEED, len(text), _SEED), len(text)):
        part = text[:at]
        step = period(part)
        if step and _ends(part, step, max(_COPIES * step, _COPIES * _SEED)):
            found = max(found, at - _first(part, step))
    return found


def allowed(answers: Iterable[str]) -> int:
    """Most characters of repetition, given right answers: twice their longest, and at least `LEAST_REPETITION`."""
    return max([LEAST_REPETITION, *(_ROOM * found for answer in answers if (found := longest(answer)))])


def spelt(ids: Sequence[int]) -> str:
    """Token ids as characters, one each, so that these functions work on them."""
    return "".join(chr(0x10000 + number) if number < 0x100000 else "\0" for number in ids)


def _first(text: str, step: int) -> int:
    """The start of the repetition at a text's end."""
    first = len(text) - step
    while first > 0 and text[first - 1] == text[first - 1 + step]:
        first -= 1
    return first


def _ends(text: str, step: int, total: int) -> bool:
    """Whether the last `total` characters repeat with this period."""
    return len(text) >= total and text[-total + step :] == text[-total:-step]
