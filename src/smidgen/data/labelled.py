"""Numbers that the word before them makes personal, and those of a form that only such have: what the rule for health data names, and where
somebody lives or can be called.

The words are English. What other languages write is left to the redaction model and to the pattern of long numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_NUMBER = r"(?:(?: ?#| ?(?:number|no|nr|num|id|identifier|record|plate)\b)\.?)"
"""A word for a number; it may stick to what it is a number of, as names of fields do (`patientid`)."""
_MOST = "{1,4}"
"""So many of them behind one another: a text of nothing else is not read anew from each of its words."""
_SURE = rf"(?:mrn|ssn|npi|dea|passport|medical record)(?:{_NUMBER}{_MOST}|(?![A-Za-z]))"
_OTHER = (
    r"(?:patient|chart|account|acct|policy|member(?:ship)?|subscriber|beneficiary|insurance|health plan|medicare|medicaid|nhs"
    r"|licen[cs]e|certificate|tax|vehicle|plate)"
)
_SAID = rf"\b(?:{_SURE}|{_OTHER}(?:{_NUMBER}{_MOST}|(?=[\s\"'\\)*_]{{0,3}}[:=#])))"
"""What such a number is called. A word that has other uses counts where a word for a number, or a colon, follows it."""
_GAP = r"[\s\"'\\()*_]{0,3}(?:[:=#]|is\b|was\b)?[\s\"'\\(*_]{0,4}"
"""Between the word and the number: blanks, a colon, the quotes of JSON, the signs of Markdown."""
_VALUE = r"((?=(?:[A-Za-z-]{0,24}\d){3})[A-Za-z0-9][A-Za-z0-9-]{2,24})(?![A-Za-z0-9])"
_COLON = r"(?: ?\([A-Za-z ]{1,12}\))?[\s\"'\\)*_]{0,3}[:=#][\s\"'\\(*_]{0,4}?"
"""The same where there must be a colon or the like: the word has other uses."""
_BEGIN = r"(?:(?<![^\W_])|(?<=[a-z])(?=[A-Z]))"
"""Where a word begins, also in the name of a field: `home_phone`, `homePhone`."""
_PHONE = r"(?:(?:tele|cell[ _-]?|mobile[ _-]?)?phone|tel|cell|mobile|(?:tele)?fax)(?:[ _-]?(?:number|no|nr|num|\d))?\.?"
_BIRTH = r"(?:dob|d\.o\.b\.?|date[ _-]?of[ _-]?birth|birth[ _-]?(?:date|day))"
_DAY = r"(\d{6,8}|\d{1,4}[./ -]\d{1,2}[./ -]\d{1,4})(?![./-]?\d)"
_POSTCODE = rf"(?:(?:zip|postal|post)[ _-]?code{_GAP}|zip{_COLON})"
_PLACE = rf"(?:(?:lat(?:itude)?|lon(?:gitude)?|lng)(?![A-Za-z]){_GAP}|long{_COLON})"
_DEVICE = r"\b(?:serial(?: ?(?:number|no|num)\b\.?)|s/n|imei|imsi|udi|device ?(?:id|identifier|serial)\b)"
_NOTHING = re.compile("")
_DIGIT = re.compile(r"\d")
_CALLED = re.compile(r"phone|tel|cell|mobile|fax|dob|d\.o\.b|birth|code|zip|lat|lon|lng", re.IGNORECASE)
"""What a text must have in it before a pattern is looked for: one look spares it many. What must have such a word has a digit, too."""
_PATTERNS = (
    ("url", _NOTHING, re.compile(r"\b(?:https?://|www\.)[^\s<>\"'`\])}|\\]*[^\s<>\"'`\])}|\\.,;:!?]", re.IGNORECASE)),
    ("id", _DIGIT, re.compile(rf"(?i:{_SAID}{_GAP}){_VALUE}")),
    (
        "id",
        _DIGIT,
        re.compile(r"\b[1-9][AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]\d-?[AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]\d-?[AC-HJKMNP-RT-Y]{2}\d{2}\b"),
    ),
    ("device", _DIGIT, re.compile(rf"(?i:{_DEVICE}{_GAP}){_VALUE}")),
    ("device", _NOTHING, re.compile(r"(?<![0-9A-Fa-f:-])(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:-])")),
    ("phone", _CALLED, re.compile(rf"{_BEGIN}(?i:{_PHONE}{_COLON})(\+?\(?\d(?:[ ()./-]{{0,2}}\d){{4,14}})(?!\d)")),
    ("date", _CALLED, re.compile(rf"{_BEGIN}(?i:{_BIRTH}{_GAP}){_DAY}")),
    ("address", _CALLED, re.compile(rf"{_BEGIN}(?i:{_POSTCODE})(\d{{4,6}}(?:-\d{{3,4}})?|\d{{3}}-\d{{4}})(?!-?\w)")),
    ("place", _CALLED, re.compile(rf"{_BEGIN}(?i:{_PLACE})([+-]?\d{{1,3}}\.\d{{3,}})(?!\.?\d)")),
    ("id", _NOTHING, re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*")),
    ("age", _DIGIT, re.compile(r"(?i)\bage(?:d| of)?(?: (?:in )?years)?[\s:=\"'\\(*]{1,6}(?:is )?((?:9\d|1[012]\d))(?!\d)(?!\.\d)")),
    ("age", _DIGIT, re.compile(r"(?i)(?<![\d.])((?:9\d|1[012]\d))[ -]?(?:years?|yrs?|y)(?:[ /-]?(?:old|of age|o)\b)")),
)
"""The third is the form of US Medicare numbers (MBI); the fifth that of hardware addresses (MAC); the tenth that of tokens which say who
somebody is (JWT). A latitude or a longitude is a place from three decimals on: a hundred metres."""
_VEHICLE = re.compile(r"\b(?=[A-HJ-NPR-Z]*\d)[A-HJ-NPR-Z0-9]{17}\b")
_LETTERS = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))
_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


def spans(text: str) -> Iterator[tuple[str, int, int]]:
    """The kind, the start and the end (exclusive) of each. They may overlap."""
    numbered = _DIGIT.search(text) is not None
    there = {_NOTHING: True, _DIGIT: numbered, _CALLED: numbered and _CALLED.search(text) is not None}
    for kind, needed, pattern in _PATTERNS:
        if there[needed]:
            yield from ((kind, *match.span(match.lastindex or 0)) for match in pattern.finditer(text))
    if numbered:
        yield from (("id", *match.span()) for match in _VEHICLE.finditer(text) if vehicle(match[0]))


def vehicle(text: str) -> bool:
    """The check digit of a vehicle identification number (49 CFR 565.15): the ninth sign, the rest by weights modulo 11."""
    total = sum(weight * (int(sign) if sign.isdigit() else _LETTERS[sign]) for sign, weight in zip(text, _WEIGHTS, strict=True))
    return text[8] == "0123456789X"[total % 11]
