"""Patterns that find personal data: numbers that the word before them makes personal, and data with an unmistakable form.

They cover the kinds that the rule for health data names, and addresses and telephone numbers. The words are English. The redaction model,
and the pattern of long numbers, cover other languages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from smidgen.privacy import identifiers

_NUMBER = r"(?:(?: ?#| ?(?:number|no|nr|num|id|identifier|record|plate)\b)\.?)"
"""A word for a number. It may be attached to the thing that it numbers, as in field names (`patientid`)."""
_MOST = "{1,4}"
"""Most such words in a row, so that a text of only these words is not scanned again from each of them."""
_SURE = rf"(?:mrn|ssn|npi|dea|passport|medical record)(?:{_NUMBER}{_MOST}|(?![A-Za-z]))"
_WHOSE = (
    r"(?:patient|chart|account|acct|policy|member(?:ship)?|subscriber|beneficiary|health plan|medicare|medicaid|nhs|licen[cs]e"
    r"|certificate|plate)"
)
_OFTEN = r"(?:insurance|tax|vehicle)"
"""After these words, a number alone may be a sum or a model."""
_NUMBERED = rf"(?:{_SURE}|(?:{_WHOSE}|{_OFTEN})(?:{_NUMBER}{_MOST}|(?=[\s\"'\\)*_]{{0,3}}[:=#])))"
"""Words for such a number. An ambiguous word counts only before a word for a number or a colon; otherwise the value must look like an
id."""
_CALLED = (
    *("mrn", "ssn", "npi", "dea", "passport", "record", "patient", "chart", "account", "acct", "policy", "member", "subscriber"),
    *("beneficiary", "health plan", "medicare", "medicaid", "nhs", "licen", "certificate", "plate", "insurance", "tax", "vehicle"),
)
"""Each of these patterns contains one of these words."""
_SAYS = r"(?:(?:of|for|on|at) [^\n.;:!?\d]{1,40}? )?(?:is|was)\b"
"""A verb, also after the owner of the number: `the MRN of Anna Schmidt is 558812`."""
_GAP = rf"(?:['\u2019]s\b)?[\s\"'\\()*_]{{0,3}}(?:[:=#]|{_SAYS})?[\s\"'\\(*_]{{0,4}}"
"""Between the word and the number: blanks, a colon, a verb, the quotes of JSON, the signs of Markdown."""
_THEN = rf"(?:['\u2019]s\b)?[\s\"'\\(*_]{{1,4}}(?:{_SAYS}[\s\"'\\(*_]{{1,4}})?"
"""The separator if there is no colon."""
_VALUE = r"((?=(?:[A-Za-z-]{0,24}\d){3})[A-Za-z0-9][A-Za-z0-9-]{2,24})(?![A-Za-z0-9])"
_NONE = r"(?!(?i:(?:iso|iec|din|en|rfc|icd|fy|covid|sha)-?\d{1,5}|x509v\d)(?![A-Za-z0-9])|(?:19|20)\d\d(?!\d))"
"""Standards, and values that begin with a year, are not personal."""
_LONG = r"(?=(?:[A-Za-z-]{0,24}\d){4})[A-Za-z0-9][A-Za-z0-9-]{4,24}"
_CAPITALS = r"(?=(?:[A-Z-]{0,24}\d){2})[A-Z0-9][A-Z0-9-]{4,24}"
_AMOUNT = r"[.,]\d| ?[$%\u20ac\u00a3]| (?i:euros?|dollars?|pounds|usd|eur|gbp|miles|km|users|people|patients|members|days|times|words)\b"
_SHAPED = rf"({_NONE}(?:{_LONG}|{_CAPITALS}))(?![A-Za-z0-9]|{_AMOUNT})"
"""Form of an id that needs no word for a number before it: at least five characters with four digits, or with two if all letters are
capitals."""
_LETTERED = rf"((?=[\d-]{{0,24}}[A-Za-z]){_NONE}(?:{_LONG}|{_CAPITALS}))(?![A-Za-z0-9])"
"""The same form, with at least one letter."""
_COLON = r"(?: ?\([A-Za-z ]{1,12}\))?[\s\"'\\)*_]{0,3}[:=#][\s\"'\\(*_]{0,4}?"
"""The separator if a colon or the like is required, because the word is ambiguous."""
_BEGIN = r"(?:(?<![^\W_])|(?<=[a-z])(?=[A-Z]))"
"""Start of a word, also within a field name: `home_phone`, `homePhone`."""
_PHONE = r"(?:(?:tele|cell[ _-]?|mobile[ _-]?)?phone|tel|cell|mobile|(?:tele)?fax)(?:[ _-]?(?:number|no|nr|num|\d))?\.?"
_BIRTH = r"(?:dob|d\.o\.b\.?|date[ _-]?of[ _-]?birth|birth[ _-]?(?:date|day))"
_DAY = r"(\d{6,8}|\d{1,4}[./ -]\d{1,2}[./ -]\d{1,4})(?![./-]?\d)"
_FILES = r"(?=\d{5})(?!\d+ (?:files?|archives?|folders?|documents|entries)\b)"
_POSTCODE = rf"(?:(?:zip|postal|post)[ _-]?code{_GAP}|zip(?:{_COLON}|{_THEN}(?:(?<=is )|(?<=was )|{_FILES})))"
_PLACE = rf"(?:(?:lat(?:itude)?|lon(?:gitude)?|lng)(?![A-Za-z]){_GAP}|long{_COLON})"
_DEVICE = r"(?:serial(?: ?(?:number|no|num)\b\.?|(?=[\s\"'\\)*_]{0,3}[:=#]))|s/n|imei|imsi|udi|device ?(?:id|identifier|serial)\b)"
_DIGIT = re.compile(r"\d")
_AT = r"(?: ?[\[({<] ?(?:at|ät|a|arroba|arobase) ?[\])}>] ?| (?:at|ät|arroba|arobase) | ?@ ?)"
_DOT = r"(?: ?[\[({<] ?(?:dot|punkt|punto|point) ?[\])}>] ?| (?:dot|punkt|punto|point) )"
_NOT_A_BOX = (
    r"(?!(?:look|looking|see|buy|bought|order|ordered|shop|shopping|available|found|find|me|us|them|him|her|it|this|here|up|out|or|is|are|was"
    r"|live|lives|work|works|working|website|site|online|and|account|page)\b)"
)
"""Words before `at` that make it a preposition: `look at example dot org`."""
_SPELT_MAIL = re.compile(
    rf"(?<![\w.+-])(?:{_NOT_A_BOX}[\w.+-]{{1,64}}(?:{_DOT}[\w+-]{{1,64}}){{0,3}}"
    rf"(?:{_AT}[\w-]{{1,63}}(?:(?:{_DOT}|\.)[\w-]{{1,63}}){{0,3}}{_DOT}[A-Za-z]{{2,24}}"
    rf"| ?[\[({{<] ?(?:at|ät)[\])}}>] ?[\w-]{{1,63}}(?:\.[\w-]{{1,63}}){{0,3}}\.[A-Za-z]{{2,24}}))(?!\w)",
    re.IGNORECASE,
)
_DIGIT_WORDS = (
    r"(?:zero|oh|nought|one|two|three|four|five|six|seven|eight|nine|double|triple"
    r"|null|eins|zwei|zwo|drei|vier|fünf|sechs|sieben|acht|neun)"
)
_SPELT_NUMBER = re.compile(
    rf"\b(?!one[ ,]+two[ ,]+three\b|eins[ ,]+zwei[ ,]+drei\b){_DIGIT_WORDS}(?:[ ,.-]{{1,3}}{_DIGIT_WORDS}){{8,}}\b", re.IGNORECASE
)
"""Nine digits in words or more; counting aloud is none."""
_PATTERNS = (
    ("email", ("dot", "punkt", "punto", "point", "at)", "at]", "at}", "at>", "ät"), False, _SPELT_MAIL),
    ("number", ("zero", "one", "two", "four", "null", "eins", "zwei", "drei"), False, _SPELT_NUMBER),
    ("url", ("http", "www."), False, re.compile(r"\b(?:https?://|www\.)[^\s<>\"'`\])}|\\]*[^\s<>\"'`\])}|\\.,;:!?]", re.IGNORECASE)),
    (
        "id",
        _CALLED,
        True,
        re.compile(rf"\b(?:(?i:{_NUMBERED}{_GAP}){_VALUE}|(?i:{_WHOSE}{_THEN}){_SHAPED}|(?i:{_OFTEN}{_THEN}){_LETTERED})"),
    ),
    (
        "id",
        (),
        True,
        re.compile(r"\b[1-9][AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]\d-?[AC-HJKMNP-RT-Y][0-9AC-HJKMNP-RT-Y]\d-?[AC-HJKMNP-RT-Y]{2}\d{2}\b"),
    ),
    (
        "device",
        ("serial", "s/n", "imei", "imsi", "udi", "device"),
        True,
        re.compile(rf"\b(?:(?i:{_DEVICE}{_GAP}){_VALUE}|(?i:serial{_THEN}){_SHAPED})"),
    ),
    ("device", (":", "-"), False, re.compile(r"(?<![0-9A-Fa-f:-])(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}(?![0-9A-Fa-f:-])")),
    (
        "phone",
        ("phone", "tel", "cell", "mobile", "fax"),
        True,
        re.compile(rf"{_BEGIN}(?i:{_PHONE}{_COLON})(\+?\(?\d(?:[ ()./-]{{0,2}}\d){{4,14}})(?!\d)"),
    ),
    ("date", ("dob", "d.o.b", "birth"), True, re.compile(rf"{_BEGIN}(?i:{_BIRTH}{_GAP}){_DAY}")),
    ("address", ("code", "zip"), True, re.compile(rf"{_BEGIN}(?i:{_POSTCODE})(\d{{4,6}}(?:-\d{{3,4}})?|\d{{3}}-\d{{4}})(?!-?\w)")),
    ("place", ("lat", "lon", "lng"), True, re.compile(rf"{_BEGIN}(?i:{_PLACE})([+-]?\d{{1,3}}\.\d{{3,}})(?!\.?\d)")),
    ("id", ("eyj",), False, re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*")),
    (
        "age",
        ("age",),
        True,
        re.compile(r"(?i)\bage(?:d| of)?(?: (?:in )?years)?[\s:=\"'\\(*]{1,6}(?:is )?((?:9\d|1[012]\d))(?!\d)(?!\.\d)"),
    ),
    ("age", ("y",), True, re.compile(r"(?i)(?<![\d.])((?:9\d|1[012]\d))[ -]?(?:years?|yrs?|y)(?:[ /-]?(?:old|of age|o)\b)")),
)
"""Kind, words of which a text must have one (in small letters), whether it must have a digit, and the pattern.

The search for a word avoids running the pattern on most texts.

The first is an e-mail address in words: `anna at example dot org`. The second is a number in words. The fifth is the form of US Medicare
numbers (MBI), the seventh that of hardware addresses (MAC), the twelfth that of tokens that identify a
person (JWT). A latitude or a longitude is a place from three decimals on: a hundred metres.
"""
_VEHICLE = re.compile(r"\b(?=[A-HJ-NPR-Z]*\d)[A-HJ-NPR-Z0-9]{17}\b")
_LETTERS = dict(zip("ABCDEFGHJKLMNPRSTUVWXYZ", (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))
_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


def labelled_spans(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield the kind, start and end (exclusive) of each finding. Findings may overlap."""
    numbered = _DIGIT.search(text) is not None
    small = text.lower() if text.isascii() else _small(text)
    for kind, words, digit, pattern in _PATTERNS:
        if (numbered or not digit) and (not words or any(word in small for word in words)):
            yield from ((kind, *match.span(match.lastindex or 0)) for match in pattern.finditer(text))
    if numbered:
        yield from (("id", *match.span()) for match in _VEHICLE.finditer(text) if is_vehicle_number(match[0]))


def _small(text: str) -> str:
    """Return a text in small letters, with letters of other alphabets that case-insensitive patterns treat as Latin ones."""
    return text.casefold().replace("i\u0307", "i").replace("\u0131", "i")


def is_vehicle_number(text: str) -> bool:
    """Check the check digit of a vehicle identification number (49 CFR 565.15): the ninth character, the rest by weights modulo 11."""
    total = sum(weight * (int(sign) if sign.isdigit() else _LETTERS[sign]) for sign, weight in zip(text, _WEIGHTS, strict=True))
    return text[8] == "0123456789X"[total % 11]


_ALL_ALONE = frozenset({"url", "age"})
"""Kinds found only if a policy asks for them: a web address rarely identifies a person, and an age is personal only by the health rule."""

Spans = Iterator[tuple[str, int, int]]
"""Kind, start and end (exclusive) of each finding. Findings may overlap."""


def every_span(text: str) -> Spans:
    """Yield the findings of every kind. A policy decides about each kind."""
    yield from identifiers.card_spans(text)
    yield from labelled_spans(text)


def usual_spans(text: str) -> Spans:
    """Yield the findings of the kinds that are always masked. Web addresses and ages are not among them."""
    return (span for span in every_span(text) if span[0] not in _ALL_ALONE)


def usual_with(kinds: Iterable[str]) -> Callable[[str], Spans]:
    """Return a finder of the usual kinds, plus web addresses (`url`) and ages (`age`) if `kinds` names them."""
    left = _ALL_ALONE.difference(kinds)
    return lambda text: (span for span in every_span(text) if span[0] not in left)
