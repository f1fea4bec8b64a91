"""Numbers of cards whose groups stand further apart than in a row: over a line break, in columns, with a sign between them.

Four numbers of four digits may as well be four numbers. So the groups must be a card's, the first digits a network's, the check digit must
hold, and a word for a card must stand near it, or it must stand alone: the next number is no further one of such a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from smidgen.data.identifiers import luhn

_BLANK = r" \t\r\n\f\v\u00a0\u2000-\u200a\u202f\u3000"
"""Not `\\s`: that has the sign by which a redactor marks what it took out, and two numbers on its sides are not one."""
_APART = rf"[{_BLANK}>,;:|/.*_\"'()\[\]\u00b7\u2022\u2010-\u2015\u2212-]{{1,6}}"
_GROUPS = re.compile(
    rf"(?<!\d)(?=[3-6]|2[2-7])\d{{4}}(?P<a>{_APART})"
    rf"(?:\d{{4}}(?P<b>{_APART})\d{{4}}(?P<c>{_APART})\d{{4}}|\d{{6}}(?P<d>{_APART})\d{{4,5}})(?!\d)"
)
"""Four groups of four; four, six and four or five."""
_THREE_MORE = re.compile(rf"{_APART}\d{{3}}(?!\d)")
"""Of numbers of nineteen digits."""
_NETWORK = re.compile(r"4|5[0-8]|6|222[1-9]|22[3-9]|2[3-6]|27[01]|2720|35(?:2[89]|[3-8])")
"""How numbers of sixteen digits and more begin: Visa; Mastercard and Maestro; Discover, UnionPay, Maestro, RuPay; Mastercard; JCB."""
_SHORTER = {15: re.compile(r"3[47]"), 14: re.compile(r"3[0689]")}
"""And those of American Express and Diners Club."""
_CARD = re.compile(
    r"\b(?:(?:credit|debit|kredit|giro|bank)?(?:cards?|karten?(?:nummer)?)|visa|master ?card|amex|american express|maestro|diners|jcb"
    r"|unionpay|pan|cc|cartes?|tarjetas?|carta)\b",
    re.IGNORECASE,
)
_BEFORE, _AFTER = 100, 40
"""Characters in which a word for a card is looked for."""
_NEXT = re.compile(rf"{_APART}(\d+|\x1c)")
_LAST = re.compile(rf"(\d+|\x1c){_APART}\Z")
_FAR = 24
_MONTH_YEAR = re.compile(r"(?:0[1-9]|1[0-2])\d\d")


def numbers(text: str) -> Iterator[tuple[int, int]]:
    """The start and the end (exclusive) of each, in their order and apart."""
    found = list(_candidates(text))
    for place, (start, end, plain) in enumerate(found):
        before = found[place - 1][1] if place else -1
        after = found[place + 1][0] if place + 1 < len(found) else -1
        if _called(text, start, end) or (plain and _alone(text, start, end, before, after)):
            yield start, end


def _candidates(text: str) -> Iterator[tuple[int, int, bool]]:
    """Where groups are a card's by their digits, and whether what stands between them is what lists do not have."""
    at = 0
    while match := _GROUPS.search(text, at):
        end = _end(text, match)
        marks = [mark for mark in match.group("a", "b", "c", "d") if mark is not None]
        if end is None or len({mark.strip().replace(">", "") for mark in marks} - {""}) > 1:
            at = match.start() + 1
            continue
        at = end
        yield match.start(), end, _plain(marks)


def _end(text: str, match: re.Match[str]) -> int | None:
    """Where the number ends whose first groups these are; None where its digits are no card's."""
    more = _THREE_MORE.match(text, match.end()) if match["b"] is not None else None
    for end in (*([more.end()] if more else []), match.end()):
        digits = "".join(filter(str.isdecimal, text[match.start() : end]))
        begins = _SHORTER.get(len(digits), _NETWORK)
        if begins.match(digits) and luhn(digits):
            return end
    return None


def _plain(marks: Sequence[str]) -> bool:
    """Not a comma and a blank each time, nor a line for each group: so are numbers of any kind written one after the other."""
    lines = sum("\n" in mark for mark in marks)
    return lines < len(marks) and lines <= 1 and not all(re.fullmatch(r"[,;]\s+", mark) for mark in marks)


def _called(text: str, start: int, end: int) -> bool:
    return _CARD.search(text[max(0, start - _BEFORE) : end + _AFTER]) is not None


def _alone(text: str, start: int, end: int, before: int, after: int) -> bool:
    """Whether no number of four digits stands before it or after it, but for the end of another card, the begin of one, or a month and a
    year. What was taken out may have been such a number."""
    last = _LAST.search(text[max(0, start - _FAR) : start])
    following = _NEXT.match(text, end)
    return (last is None or not _listed(last[1]) or start - len(last[0]) + len(last[1]) == before) and (
        following is None or not _listed(following[1]) or following.start(1) == after or _MONTH_YEAR.fullmatch(following[1]) is not None
    )


def _listed(number: str) -> bool:
    return len(number) == 4 or number == "\x1c"
