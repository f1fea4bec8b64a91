"""Text with a gap: the marks around it in a prompt, the part of it that is read, and how like a filling is to the right one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import SequenceMatcher

MARKS = (
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
)
"""The marks before the text ahead of a gap, before the text behind it, and before the filling: as Qwen and CodeGemma spell them, and as
StarCoder does."""


def read_marks(prompt: str) -> tuple[str, str] | None:
    """The text ahead of the gap and the text behind it in a prompt with marks; None for a prompt without them.

    What stands before the first mark (other files) belongs to the text ahead. A filling that is already begun does, too.
    """
    for first, second, third in MARKS:
        head, found, rest = prompt.partition(first)
        ahead, between, rest = rest.partition(second)
        behind, middle, begun = rest.rpartition(third)
        if found and between and middle:
            return head + ahead + begun, behind
    return None


def read_part(ahead: str, behind: str, reach: Sequence[int]) -> tuple[str, str]:
    """The part of the texts around a gap that a model reads: at most so many characters ahead of it and behind it, in whole lines.

    The text ahead begins at a place that stays while somebody types: it moves on by half of `reach[0]` at a time. So what was read of it
    for one request need not be read again for the next.
    """
    most, after = reach
    start = 0
    if len(ahead) > most:
        step = max(1, most // 2)
        start = -(-(len(ahead) - most) // step) * step
        line = ahead.find("\n", start, start + step)
        start = line + 1 if line >= 0 else start
    end = len(behind)
    if end > after:
        line = behind.rfind("\n", 0, after)
        end = line + 1 if line > 0 else after
    return ahead[start:], behind[:end]


def in_order(texts: tuple[str, str], behind_first: bool) -> tuple[str, str]:
    """The texts ahead of a gap and behind it, in the order in which they are read."""
    return texts[::-1] if behind_first else texts


def without_last(ids: list[int], ahead: str, decode: Callable[[list[int]], str]) -> tuple[list[int], str]:
    """The ids of a prompt that ends with the text ahead of a gap, without its last token, and the text of that one.

    A person stops typing inside what is one token to a model: after the blanks before a word, or in a word. The model writes that token
    anew, held to begin with what is there (token healing). After a line break no token is begun: then all ids, and an empty text.
    """
    last = decode(ids[-1:])
    if not last or "\n" in last or "\r" in last or "\ufffd" in last or not ahead.endswith(last):
        return ids, ""
    return ids[:-1], last


_WORDS = re.compile(r"\w.*\w.*\w")
_LONG = 8
"""Characters from which on a line is taken for repeated without a look at its end."""
_LONGEST = 400
"""Most characters of a repeated text."""


def repeats(ahead: str, behind: str) -> dict[str, int]:
    """The texts with which a filling begins to repeat what stands behind its gap, each with the number of its characters that still belong
    to the filling.

    In a gap inside a line, the rest of the line, and the line's end: such a filling has one line. In any other, the first line behind with
    a word in it: closing brackets may well stand twice.
    """
    rest, _, following = behind.partition("\n")
    if rest.strip() and ahead and not ahead.endswith("\n"):
        return {f"{rest.rstrip()}\n": 0, "\n": 0}
    # In a gap of whole lines the filling's last line has an end of its own.
    after, kept = (behind, 1) if rest.strip() else (following, 0)
    lines = [line.rstrip() for line in after.split("\n")]
    first = next((number for number, line in enumerate(lines) if _WORDS.search(line)), None)
    if first is None:
        return {}
    end = "" if len(lines[first].strip()) >= _LONG else "\n"
    texts = [f"\n{line}{end}" for line in ("\n".join(lines[: first + 1]), lines[first])]
    return {text: kept for text in texts[: 1 if any(lines[:first]) else 2] if len(text) <= _LONGEST}


def rest_of_line(behind: str) -> str:
    """The text behind a gap up to the end of its line, the line break included; a line break where there is none."""
    rest, found, _ = behind.partition("\n")
    return rest + (found or "\n")


def first_of(text: str, ends: Iterable[str]) -> tuple[int, str] | None:
    """The first place in a text at which one of some texts stands, and the longest of those that stand there; None for none."""
    found = min(((at, -len(end), end) for end in ends if (at := text.find(end)) >= 0), default=None)
    return None if found is None else (found[0], found[2])


def without_repeat(text: str, ends: Mapping[str, int]) -> str:
    """A filling up to where it begins to repeat what stands behind its gap; see `repeats`."""
    found = first_of(text, ends)
    return text if found is None else text[: found[0] + ends[found[1]]]


def first_lines(text: str, count: int) -> str:
    """The first lines of a text that are not blank, without blanks at the ends of lines; `count` of them at most."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return "\n".join(lines[:count]).strip()


def is_filled(filling: str, right: str) -> bool:
    """Whether a filling begins with the lines of the right one. Blanks at the ends of lines, blank lines, and what a model writes after
    the lines that are missing do not count."""
    wanted = first_lines(right, len(right) + 1)
    return first_lines(filling, wanted.count("\n") + 1) == wanted


def likeness(filling: str, right: str) -> float:
    """How like the first lines of a filling are to the right one, 0..1: twice the equal characters over all of both, as `difflib`
    finds them (Ratcliff and Obershelp)."""
    wanted = first_lines(right, len(right) + 1)
    return SequenceMatcher(None, first_lines(filling, wanted.count("\n") + 1), wanted, autojunk=False).ratio()
