"""Texts that repeat themselves without end: notice it while a text is written, and cut the copies off.

A small model that writes the likeliest word each time may say one sentence over and over, until it is cut. Of summaries of
conversations, taught on 1,300, nearly half of the greedy texts ended so, at the most tokens that an answer may have. What stands before
the repetition, and in it once, is as good as any other text of the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

LEAST_REPETITION = 160
"""Characters that a text may go round in circles, whatever the examples do."""
_COPIES = 3
_SEED = 24
"""Characters at the end by whose last occurrence a period is guessed."""
_WINDOW = 4_096
_ROOM = 2
_SENTENCE = re.compile(r"[.!?…。]+[\"'”’)]*(?=\s|$)|\n")


class RepetitionWatch:
    """Watches a text as it comes.

    Args:
        most: how many characters may be copies, three at least, of one run of characters; 0: any number.
    """

    def __init__(self, most: int) -> None:
        self._most, self._tail = most, ""

    def feed(self, text: str) -> bool:
        """Take what comes next; whether the text goes round in circles."""
        if not self._most or not text:
            return False
        self._tail = (self._tail + text)[-max(_WINDOW, _COPIES * self._most) :]
        step = period(self._tail)
        return bool(step) and _ends(self._tail, step, max(self._most, _COPIES * step))


def period(text: str) -> int:
    """Of a text whose end stands in it once more, how many characters before; 0 where it does not."""
    seed = text[-_SEED:]
    if len(seed) < _SEED:
        return 0
    before = text.rfind(seed, 0, len(text) - 1)
    return len(text) - _SEED - before if before >= 0 else 0


def without_repetition(text: str) -> str:
    """A text that was cut, without the copies that it ended in but the first, and what of the next one ends a sentence. One that does not
    end in circles stays as it is."""
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
    """The most characters in a row of a text that are copies, three at least, of one run of characters; 0 where none are. What is shorter
    than 24 characters in all is none."""
    found = 0
    for at in (*range(_COPIES * _SEED, len(text), _SEED), len(text)):
        part = text[:at]
        step = period(part)
        if step and _ends(part, step, max(_COPIES * step, _COPIES * _SEED)):
            found = max(found, at - _first(part, step))
    return found


def allowed(answers: Iterable[str]) -> int:
    """How many characters may go round in circles where these are the right answers: twice what the longest of theirs has, and `LEAST`."""
    return max([LEAST_REPETITION, *(_ROOM * found for answer in answers if (found := longest(answer)))])


def spelt(ids: Sequence[int]) -> str:
    """Token ids as characters, one each, so that what is said here of texts holds of them."""
    return "".join(chr(0x10000 + number) if number < 0x100000 else "\0" for number in ids)


def _first(text: str, step: int) -> int:
    """Where the circle begins that a text ends in."""
    first = len(text) - step
    while first > 0 and text[first - 1] == text[first - 1 + step]:
        first -= 1
    return first


def _ends(text: str, step: int, total: int) -> bool:
    """Whether the last `total` characters go round with this step."""
    return len(text) >= total and text[-total + step :] == text[-total:-step]
