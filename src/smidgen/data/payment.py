"""What a payment card says, as PCI DSS names it: its number, when it runs out, its security code, its magnetic stripe.

A card's number is found in a longer row of digits, too: `4111 1111 1111 1111 12/27` is one, and what follows is when it runs out.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Sequence

from smidgen.data import split_cards
from smidgen.data.identifiers import luhn

Spans = Iterator[tuple[str, int, int]]
"""The kind, the start and the end (exclusive)."""

_RUN = re.compile(r"(?<!\d)\d(?:[ ./\u00a0\u2010-\u2015_-]{0,2}\d){12,}")
_GROUP = re.compile(r"\d+")
_STRIPE = re.compile(r"%?\b[Bb]\d{12,19}\^[^^\n]{2,45}\^\d{4}[^?\n]{0,80}\??|(?<!\d);?\d{12,19}[=D]\d{7,40}\??")
"""Track 1 and track 2 of ISO/IEC 7813, with their sentinels or without."""
_APART = r"[^A-Za-z0-9]{0,6}"
"""Between a name and what it names: blanks, a colon, brackets, the quotes of JSON."""
_CALLED = (
    r"(?:cvv2?|cvc2?|cvn2?|cav2?|csc|(?-i:CID)|(?:card ?)?(?:security|verification) ?(?:code|value)|(?:karten)?pr(?:ü|ue)f(?:nummer|ziffer)"
    r"|cryptogramme|digits (?:on|from|at) (?:the|its|my) (?:back|front|reverse))"
)
"""What a security code is called. CID in capitals alone: what an image in a mail is called has small letters."""
_PAN = r"\d{4}[ -]?\d{4,6}[ -]?\d{4,5}(?:[ -]?\d{4})?"
_BETWEEN = (
    r"(?:number|nummer|codes?|value|is|ist|was|are|of|for|on|at|the|this|that|my|our|your|his|her|its|it|credit|debit|bank|card|karte|visa"
    rf"|master ?card|amex|back|front|reverse|side|printed|written|reads|says|der|des|auf|ending(?: in| with)? \d{{4}}|{_PAN})"
)
"""Words between its name and the code itself: `the CVV for this card is 123`."""
_CODE = re.compile(
    rf"\b{_CALLED}(?:['\u2019]s\b)?(?:[\s,:(-]{{1,3}}{_BETWEEN}(?![^\W_])){{0,10}}{_APART}(?:is |ist )?(\d{{3,4}})(?![\d.]\d|\d)",
    re.IGNORECASE,
)
_EXPIRY = re.compile(r"(?<![\d/.-])(?:0[1-9]|1[0-2]) ?[/.-] ?(?:20)?\d{2}(?![\d/.-]\d|\d)")
_EXPIRY_SAID = re.compile(
    rf"\b(?:exp(?:iry|ires|iration|\.)?|valid ?(?:thru|until|to)) ?(?:date|on|at)?{_APART}"
    r"(20\d{2}[/.-]\d{2}|\d{2}[ /.-]?(?:20)?\d{2})(?!\d)",
    re.IGNORECASE,
)
_EXPIRY_HALF = re.compile(rf"\bexp(?:iry|ires|iration)?\.? ?(?:month|year){_APART}(\d{{1,2}}|20\d{{2}})(?!\d)", re.IGNORECASE)
"""The month or the year alone, as fields of their own have it (`exp_month`)."""
_NEAR = 80
"""Characters from a card's number within which a month and a year are those when it runs out."""
_MOST, _LEAST = 19, 13
_DIGIT = re.compile(r"\d")


def spans(text: str) -> Spans:
    """Stripes, security codes, numbers and, near a number, when it runs out; what a stripe covers is named by it."""
    if not _DIGIT.search(text):
        return
    stripes = [match.span() for match in _STRIPE.finditer(text)]
    yield from (("track", *stripe) for stripe in stripes)
    cards = [card for card in numbers(text) if not _meets(stripes, card)]
    # In `the CVV for 4111 1111 1111 1111 is wrong` four digits are a group of the card's, and no code.
    codes = (match.span(1) for match in _CODE.finditer(text))
    yield from (("cvv", *code) for code in codes if code[1] - code[0] < 4 or not _meets(cards, code))
    yield from (("card", *card) for card in cards)
    near = 0
    for expiry in sorted(_expiries(text)):
        while near < len(cards) and cards[near][1] + _NEAR < expiry[0]:
            near += 1
        if near < len(cards) and cards[near][0] - _NEAR <= expiry[1]:
            yield ("expiry", *expiry)


def _expiries(text: str) -> set[tuple[int, int]]:
    """Where a month and a year may be those when a card runs out."""
    said = (match.span(1) for pattern in (_EXPIRY_SAID, _EXPIRY_HALF) for match in pattern.finditer(text))
    return {*(match.span() for match in _EXPIRY.finditer(text)), *said}


def _meets(stripes: Sequence[tuple[int, int]], card: tuple[int, int]) -> bool:
    """Whether a stretch overlaps one of these, which are in order and apart: of those that begin before its end, the last one ends last."""
    place = bisect.bisect_left(stripes, (card[1],))
    return place > 0 and stripes[place - 1][1] > card[0]


def numbers(text: str) -> Iterator[tuple[int, int]]:
    """Where card numbers are, in their order and apart: whole groups of digits, 13 to 19 together, that begin as a network's do and whose
    check digit holds. Groups that stand further apart must be a card's by their lengths, too; see `split_cards`."""
    far = list(split_cards.numbers(text))
    if not far:
        yield from _near(text)
        return
    found: list[tuple[int, int]] = []
    for start, end in sorted({*_near(text), *far}):
        if found and start < found[-1][1]:
            start, end = found[-1][0], max(found.pop()[1], end)
        found.append((start, end))
    yield from found


def _near(text: str) -> Iterator[tuple[int, int]]:
    for run in _RUN.finditer(text):
        groups = [(run.start() + group.start(), run.start() + group.end()) for group in _GROUP.finditer(run[0])]
        place = 0
        while place < len(groups):
            found = _number(text, groups, place)
            if found is None:
                place += 1
                continue
            yield groups[place][0], groups[found][1]
            place = found + 1


def _number(text: str, groups: list[tuple[int, int]], first: int) -> int | None:
    """The last group of the longest number that begins with this one; None where none does."""
    if text[groups[first][0]] not in "23456":
        return None
    digits, found = "", None
    for place in range(first, len(groups)):
        digits += text[slice(*groups[place])]
        if len(digits) > _MOST:
            break
        if len(digits) >= _LEAST and luhn(digits):
            found = place
    return found
