"""Find personal data by pattern, and keep it only if its checksum holds.

Names and addresses have no pattern. Finding those takes a model.
"""

from __future__ import annotations

import bisect
import ipaddress
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"


@dataclass(frozen=True, slots=True)
class IdentifierKind:
    """A kind of personal data: its name, the pattern that proposes candidates, and the test that decides."""

    name: str
    pattern: re.Pattern[str]
    holds: Callable[[str], bool] = lambda _: True


def identifier_spans(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield (kind, start, end) of each piece of personal data. If several overlap, the kind listed first in `KINDS` wins."""
    taken: list[tuple[int, int]] = []
    for kind in KINDS:
        for match in kind.pattern.finditer(text):
            start, end = match.span()
            # Accepted spans do not overlap, so only the two neighbours can collide.
            place = bisect.bisect_left(taken, (start, end))
            if (place and taken[place - 1][1] > start) or (place < len(taken) and taken[place][0] < end) or not kind.holds(match[0]):
                continue
            taken.insert(place, (start, end))
            yield kind.name, start, end


def luhn(text: str) -> bool:
    """Check the check digit of payment cards (ISO/IEC 7812-1)."""
    digits = [int(character) for character in text if character.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def iban(text: str) -> bool:
    """Check the check digits of an IBAN (ISO 13616, MOD 97-10)."""
    code = re.sub(r"[ -]", "", text).upper()
    if not 15 <= len(code) <= 34:
        return False
    return int("".join(str(int(character, 36)) for character in code[4:] + code[:4])) % 97 == 1


def phone(text: str) -> bool:
    """Check the number of digits of a telephone number (E.164: at most 15)."""
    return 8 <= sum(character.isdigit() for character in text) <= 15


def address(text: str) -> bool:
    """Return True for an IP address of a host, but not of this machine or `0.0.0.0`."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (found.is_unspecified or found.is_loopback)


def social_security(text: str) -> bool:
    """Return True if a US Social Security number can have been issued: no area 000, 666 or 9xx, no group 00, no serial 0000."""
    area, group, serial = text.split("-")
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


def dni(text: str) -> bool:
    """Check the letter of a Spanish DNI or NIE: the number modulo 23."""
    code = text.upper().replace("-", "")
    number = int(code[:-1].replace("X", "0").replace("Y", "1").replace("Z", "2"))
    return _DNI_LETTERS[number % 23] == code[-1]


def nir(text: str) -> bool:
    """Check the key of a French social security number: 97 minus the number modulo 97. Corsica's 2A and 2B count as 19 and 18."""
    code = text.replace(" ", "").upper().replace("2A", "19").replace("2B", "18")
    return len(code) == 15 and code.isdigit() and 97 - int(code[:13]) % 97 == int(code[13:])


_NINO = r"\b(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b"
_NIR = r"\b[12] ?\d{2} ?(?:0[1-9]|1[0-2]) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}\b"
_IPV4 = r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])"
_IPV6 = r"(?<![\w:])(?:[0-9a-fA-F]{1,4}:){2,7}(?::?[0-9a-fA-F]{1,4}){1,6}(?![\w:])"
_PHONE_BEGINS = r"(?<![\w+-])(?<![\W\d_]\.)(?<!\A\.)"
"""A dot before a number makes it a part of another number, except after an abbreviated word: `Tel.030 12345`."""
_PHONE_ABROAD = r"\+\d{1,3}[ .-]?(?:\(0?\d{1,4}\)[ .-]?)?\d(?:[ .-]?\d){5,12}"
_PHONE_HOME = r"\(?0\d{2,4}\)?[ ./-]\d(?:[ .-]?\d){4,9}"
_PHONE_US = r"\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}"

KINDS = (
    IdentifierKind("e-mail", re.compile(r"\b[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,4}[A-Za-z]{2,24}\b")),
    IdentifierKind("IBAN", re.compile(r"\b[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]{4}){2,7}(?:[ -]?[A-Za-z0-9]{1,3})?\b"), iban),
    IdentifierKind("French social security number", re.compile(_NIR), nir),
    IdentifierKind("payment card", re.compile(r"(?<![\d.-])\d(?:[ -]?\d){12,18}(?![\d-])"), luhn),
    IdentifierKind("US social security number", re.compile(r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])"), social_security),
    IdentifierKind("UK national insurance number", re.compile(_NINO)),
    IdentifierKind("Spanish DNI", re.compile(r"\b(?:\d{8}|[XYZ]\d{7})-?[A-Z]\b"), dni),
    IdentifierKind("IP address", re.compile(f"{_IPV4}|{_IPV6}"), address),
    IdentifierKind("telephone number", re.compile(rf"{_PHONE_BEGINS}(?:{_PHONE_ABROAD}|{_PHONE_HOME}|{_PHONE_US})(?![\w-])"), phone),
)
"""Specific kinds come first: the digits of a card number are not tested as a telephone number."""


# Card numbers with unusual separators: a line break, columns, or a sign between the groups. Four numbers of four digits may also be just
# that. So the group lengths must be a card's, the first digits a network's, and the check digit must hold. In addition, a word for a card
# must be near, or the number must stand alone.

_BLANK = r" \t\r\n\f\v\u00a0\u2000-\u200a\u202f\u3000"
"""Not `\\s`, which includes the character that a redactor leaves for a removed value: numbers on its two sides are separate."""
_BETWEEN_GROUPS = rf"[{_BLANK}>,;:|/.*_\"'()\[\]\u00b7\u2022\u2010-\u2015\u2212-]{{1,6}}"
_GROUPS = re.compile(
    rf"(?<!\d)(?=[3-6]|2[2-7])\d{{4}}(?P<a>{_BETWEEN_GROUPS})"
    rf"(?:\d{{4}}(?P<b>{_BETWEEN_GROUPS})\d{{4}}(?P<c>{_BETWEEN_GROUPS})\d{{4}}|\d{{6}}(?P<d>{_BETWEEN_GROUPS})\d{{4,5}})(?!\d)"
)
"""Four groups of four; or four, six and four or five."""
_THREE_MORE = re.compile(rf"{_BETWEEN_GROUPS}\d{{3}}(?!\d)")
"""The last group of a number of nineteen digits."""
_NETWORK = re.compile(r"4|5[0-8]|6|222[1-9]|22[3-9]|2[3-6]|27[01]|2720|35(?:2[89]|[3-8])")
"""First digits of numbers of sixteen or more digits: Visa; Mastercard and Maestro; Discover, UnionPay, Maestro, RuPay; Mastercard; JCB."""
_SHORTER = {15: re.compile(r"3[47]"), 14: re.compile(r"3[0689]")}
"""First digits of American Express and Diners Club, by length."""
_CARD_WORD = re.compile(
    r"\b(?:(?:credit|debit|kredit|giro|bank)?(?:cards?|karten?(?:nummer)?)|visa|master ?card|amex|american express|maestro|diners|jcb"
    r"|unionpay|pan|cc|cartes?|tarjetas?|carta)\b",
    re.IGNORECASE,
)
_BEFORE, _AFTER = 100, 40
"""Characters before and after a number to search for a word for a card."""
_NEXT = re.compile(rf"{_BETWEEN_GROUPS}(\d+|\x1c)")
_LAST = re.compile(rf"(\d+|\x1c){_BETWEEN_GROUPS}\Z")
_FAR = 24
_MONTH_YEAR = re.compile(r"(?:0[1-9]|1[0-2])\d\d")


def split_card_numbers(text: str) -> Iterator[tuple[int, int]]:
    """Yield the start and end (exclusive) of each such number, in order, without overlap."""
    found = list(_candidates(text))
    for place, (start, end, plain) in enumerate(found):
        before = found[place - 1][1] if place else -1
        after = found[place + 1][0] if place + 1 < len(found) else -1
        if _is_called_card(text, start, end) or (plain and _alone(text, start, end, before, after)):
            yield start, end


def _candidates(text: str) -> Iterator[tuple[int, int, bool]]:
    """Yield spans whose digits are a card's, and whether their separators are unlike those of a list."""
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
    """Return the end of the number that starts with these groups; None if its digits are not a card's."""
    more = _THREE_MORE.match(text, match.end()) if match["b"] is not None else None
    for end in (*([more.end()] if more else []), match.end()):
        digits = "".join(filter(str.isdecimal, text[match.start() : end]))
        begins = _SHORTER.get(len(digits), _NETWORK)
        if begins.match(digits) and luhn(digits):
            return end
    return None


def _plain(marks: Sequence[str]) -> bool:
    """Return False for separators of a list of numbers: a comma and a blank each time, or a line break each time."""
    lines = sum("\n" in mark for mark in marks)
    return lines < len(marks) and lines <= 1 and not all(re.fullmatch(r"[,;]\s+", mark) for mark in marks)


def _is_called_card(text: str, start: int, end: int) -> bool:
    return _CARD_WORD.search(text[max(0, start - _BEFORE) : end + _AFTER]) is not None


def _alone(text: str, start: int, end: int, before: int, after: int) -> bool:
    """Return True if no number of four digits stands next to it, except a part of another card, or a month and a year.

    A removed value may have been such a number.
    """
    last = _LAST.search(text[max(0, start - _FAR) : start])
    following = _NEXT.match(text, end)
    return (last is None or not _listed(last[1]) or start - len(last[0]) + len(last[1]) == before) and (
        following is None or not _listed(following[1]) or following.start(1) == after or _MONTH_YEAR.fullmatch(following[1]) is not None
    )


def _listed(number: str) -> bool:
    return len(number) == 4 or number == "\x1c"


Spans = Iterator[tuple[str, int, int]]
"""Kind, start and end (exclusive) of each finding."""

_RUN = re.compile(r"(?<!\d)\d(?:[ ./\u00a0\u2010-\u2015_-]{0,2}\d){12,}")
_GROUP = re.compile(r"\d+")
_STRIPE = re.compile(r"%?\b[Bb]\d{12,19}\^[^^\n]{2,45}\^\d{4}[^?\n]{0,80}\??|(?<!\d);?\d{12,19}[=D]\d{7,40}\??")
"""Track 1 and track 2 of a magnetic stripe (ISO/IEC 7813), with or without sentinels."""
_APART = r"[^A-Za-z0-9]{0,6}"
"""Separator between a name and its value: blanks, a colon, brackets, the quotes of JSON."""
_CALLED = (
    r"(?:cvv2?|cvc2?|cvn2?|cav2?|csc|(?-i:CID)|(?:card ?)?(?:security|verification) ?(?:code|value)|(?:karten)?pr(?:ü|ue)f(?:nummer|ziffer)"
    r"|cryptogramme|digits (?:on|from|at) (?:the|its|my) (?:back|front|reverse))"
)
"""Names of a security code. CID only in capitals: in small letters it names an image in a mail."""
_PAN = r"\d{4}[ -]?\d{4,6}[ -]?\d{4,5}(?:[ -]?\d{4})?"
_BETWEEN = (
    r"(?:number|nummer|codes?|value|is|ist|was|are|of|for|on|at|the|this|that|my|our|your|his|her|its|it|credit|debit|bank|card|karte|visa"
    rf"|master ?card|amex|back|front|reverse|side|printed|written|reads|says|der|des|auf|ending(?: in| with)? \d{{4}}|{_PAN})"
)
"""Words between the name and the code: `the CVV for this card is 123`."""
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
"""The month or the year alone, as in separate fields (`exp_month`)."""
_NEAR = 80
"""A month and a year this close to a card number, in characters, are its expiry."""
_MOST, _LEAST = 19, 13
_DIGIT = re.compile(r"\d")


def card_spans(text: str) -> Spans:
    """Yield stripes, security codes, card numbers and, near a number, expiry dates. Findings inside a stripe count as the stripe."""
    if not _DIGIT.search(text):
        return
    stripes = [match.span() for match in _STRIPE.finditer(text)]
    yield from (("track", *stripe) for stripe in stripes)
    cards = [card for card in card_numbers(text) if not _meets(stripes, card)]
    # In `the CVV for 4111 1111 1111 1111 is wrong`, four digits are a group of the card number, not a code.
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
    """Return spans of a month and a year that may be an expiry date."""
    said = (match.span(1) for pattern in (_EXPIRY_SAID, _EXPIRY_HALF) for match in pattern.finditer(text))
    return {*(match.span() for match in _EXPIRY.finditer(text)), *said}


def _meets(stripes: Sequence[tuple[int, int]], card: tuple[int, int]) -> bool:
    """Return True if a span overlaps one of these ordered, disjoint spans: only the last one that begins before its end can."""
    place = bisect.bisect_left(stripes, (card[1],))
    return place > 0 and stripes[place - 1][1] > card[0]


def card_numbers(text: str) -> Iterator[tuple[int, int]]:
    """Yield the spans of card numbers, in order, without overlap.

    A number is whole groups of digits, 13 to 19 in total, that begin as a network's do and whose check digit holds. If groups are further
    apart, their lengths must be a card's, too; see `split_card_numbers`.
    """
    far = list(split_card_numbers(text))
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
    """Return the last group of the longest number that begins with this group; None if there is none."""
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
