"""Personal data that can be told by its form: found by pattern, kept only where its checksum holds.

Names and addresses have no form; finding those takes a model.
"""

from __future__ import annotations

import bisect
import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"


@dataclass(frozen=True, slots=True)
class IdentifierKind:
    """A kind of personal data: its name, the pattern that proposes, and the test that decides."""

    name: str
    pattern: re.Pattern[str]
    holds: Callable[[str], bool] = lambda _: True


def identifier_spans(text: str) -> Iterator[tuple[str, int, int]]:
    """(kind, start, end) of each piece of personal data; of overlapping ones the kind listed first in `KINDS`."""
    taken: list[tuple[int, int]] = []
    for kind in KINDS:
        for match in kind.pattern.finditer(text):
            start, end = match.span()
            # None of those that were taken overlap, so that only its two neighbours can be in the way.
            place = bisect.bisect_left(taken, (start, end))
            if (place and taken[place - 1][1] > start) or (place < len(taken) and taken[place][0] < end) or not kind.holds(match[0]):
                continue
            taken.insert(place, (start, end))
            yield kind.name, start, end


def luhn(text: str) -> bool:
    """The check digit of payment cards (ISO/IEC 7812-1)."""
    digits = [int(character) for character in text if character.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def iban(text: str) -> bool:
    """The check digits of an IBAN (ISO 13616, MOD 97-10)."""
    code = re.sub(r"[ -]", "", text).upper()
    if not 15 <= len(code) <= 34:
        return False
    return int("".join(str(int(character, 36)) for character in code[4:] + code[:4])) % 97 == 1


def phone(text: str) -> bool:
    """Whether it has as many digits as a telephone number (E.164: at most 15)."""
    return 8 <= sum(character.isdigit() for character in text) <= 15


def address(text: str) -> bool:
    """Whether it is an IP address of a host, not of this machine or of documentation's `0.0.0.0`."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (found.is_unspecified or found.is_loopback)


def social_security(text: str) -> bool:
    """Whether a US Social Security number can have been issued: no area 000, 666 or 9xx, no group 00, no serial 0000."""
    area, group, serial = text.split("-")
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


def dni(text: str) -> bool:
    """The letter of a Spanish DNI or NIE: the number modulo 23."""
    code = text.upper().replace("-", "")
    number = int(code[:-1].replace("X", "0").replace("Y", "1").replace("Z", "2"))
    return _DNI_LETTERS[number % 23] == code[-1]


def nir(text: str) -> bool:
    """The key of a French social security number: 97 minus the number modulo 97. Corsica's 2A and 2B count as 19 and 18."""
    code = text.replace(" ", "").upper().replace("2A", "19").replace("2B", "18")
    return len(code) == 15 and code.isdigit() and 97 - int(code[:13]) % 97 == int(code[13:])


_NINO = r"\b(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]\b"
_NIR = r"\b[12] ?\d{2} ?(?:0[1-9]|1[0-2]) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}\b"
_IPV4 = r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])"
_IPV6 = r"(?<![\w:])(?:[0-9a-fA-F]{1,4}:){2,7}(?::?[0-9a-fA-F]{1,4}){1,6}(?![\w:])"
_PHONE_BEGINS = r"(?<![\w+-])(?<![\W\d_]\.)(?<!\A\.)"
"""A dot before a number makes it the rest of another one, but for that of a word cut short: `Tel.030 12345`."""
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
"""More specific kinds first: digits that are a card number are not looked at as a telephone number."""
