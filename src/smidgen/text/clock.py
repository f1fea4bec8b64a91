"""Times of day as people write them, in English and German: find them in a text and read them as `HH:MM`.

Examples: `7 pm`, `7:30pm`, `19.30 Uhr`, `half past seven`, `quarter to eight`, `halb acht`, `Viertel nach acht`, `noon`. A bare number
is no time, unless it is known that the words state one: then `3`, `ten thirty`, `1430` and `18h30` are read too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from smidgen.text import numbers

_ENGLISH = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_GERMAN = ("eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf")
_HOURS = {word: number for words in (_ENGLISH, _GERMAN) for number, word in enumerate(words, start=1)} | {"ein": 1}
_MINUTES = {"five": 5, "ten": 10, "quarter": 15, "twenty": 20, "half": 30, "fünf": 5, "zehn": 10, "viertel": 15, "zwanzig": 20}
_NAMED = {"noon": "12:00", "midday": "12:00", "midnight": "00:00", "mitternacht": "00:00", "12 noon": "12:00"}
_HOUR = rf"(?P<hour>\d{{1,2}}|{'|'.join(_HOURS)})"
_HALF_OF_DAY = r"(?:[ \u00a0]?(?P<half>[ap])\.?m\b\.?|[ ](?:in the |at )?(?P<part>morning|afternoon|evening|night)\b|"
_HALF_OF_DAY += r"[ ](?P<teil>morgens|früh|vormittags|mittags|nachmittags|abends|nachts)\b)"
_FORMS = (
    re.compile(
        rf"(?<![\w.:])(?P<digits>\d{{1,2}})(?P<mark>[:.])(?P<minutes>[0-5]\d)(?![\d.:])(?:[ \u00a0]?(?P<uhr>uhr)\b)?{_HALF_OF_DAY}?", re.I
    ),
    re.compile(
        rf"(?<!\w)(?P<past>{'|'.join(_MINUTES)}|\d{{1,2}})(?:[ ]minutes?)?[ ](?P<side>past|after|to|nach|vor)[ ]{_HOUR}\b"
        rf"(?:[ ]uhr\b)?{_HALF_OF_DAY}?",
        re.I,
    ),
    re.compile(rf"(?<!\w)half[ ](?P<bare>past[ ])?{_HOUR}\b{_HALF_OF_DAY}?", re.I),
    re.compile(rf"(?<!\w)halb[ ]{_HOUR}\b{_HALF_OF_DAY}?", re.I),
    re.compile(rf"(?<![\w.:]){_HOUR}[ \u00a0]?uhr\b(?:[ ](?P<minutes>[0-5]?\d)\b)?{_HALF_OF_DAY}?", re.I),
    re.compile(rf"(?<![\w.:]){_HOUR}[ ]o['’ ]?clock\b{_HALF_OF_DAY}?", re.I),
    re.compile(rf"(?<![\w.:]){_HOUR}(?:{_HALF_OF_DAY})", re.I),
    re.compile(rf"(?<!\w)(?P<named>{'|'.join(sorted(_NAMED, key=len, reverse=True))})\b", re.I),
)
_GERMAN_HALF = 3
_LATE = ("afternoon", "evening", "night", "nachmittags", "abends")


def find(text: str) -> list[tuple[int, int]]:
    """First character, and one past the last, of each time of day in a text, in order; none overlap."""
    return [(start, end) for start, end, _ in _found(text)]


def read(words: str) -> str | None:
    """The first time of day in some words as `HH:MM`; None if there is none."""
    return next((time for _, _, time in _found(words)), None)


def read_alone(words: str) -> str | None:
    """The time of day in words that are known to state one, as `HH:MM`: also a bare hour, `1430`, `18h30`, `8.30`, `ten thirty`, `3ish`,
    `quarter of three`, `6 this evening`. None if they do not."""
    found = read(words)
    if found is not None:
        return found
    plain = " ".join(_ABOUT.sub(" ", words.casefold()).split())
    part = _PART.search(plain)
    match = _ALONE.fullmatch(plain[: part.start()].strip() if part else plain)
    if match is None:
        before = _BEFORE.fullmatch(plain)
        return read(f"{before[1]} to {before[2]}") if before else None
    hour, minutes = next(_numbers(match["hour"])), 0
    if match["minutes"]:
        told = match["minutes"]
        minutes = int(told) if told.isdigit() else int(numbers.read(told) or 60)
    if part and part[1] in _LATE and 0 < hour < 12:
        hour += 12
    return f"{hour % 24:02d}:{minutes:02d}" if hour <= 24 and minutes < 60 else None


def tells_half(words: str) -> bool:
    """Whether words say which half of the day their time is in: `3 pm`, `15:00`, `09:00`, `in the morning`; `3:00` does not."""
    return bool(_TOLD.search(words))


_PART = re.compile(r"\b(?:in the|this|at|to)?[ ]?(morning|afternoon|evening|night)\b")
_ABOUT = re.compile(
    r"\b(?:about|around|roughly|approx|sharp|exactly|today|ish|at|um|gegen)\b\.?|(?<=\d)ish\b|(?<=\d{4})[ ]?(?:hrs?|hours?)\b|[~,]"
)
_ALONE = re.compile(rf"{_HOUR}(?:(?:[ ]?[h.:]|(?<=\d\d)|[ ]?[o0][ -]|[ -])?(?P<minutes>[0-5]\d|[^\W\d_]{{3,}}(?:[ -][^\W\d_]+)?))?[ ]?h?")
_BEFORE = re.compile(rf"({'|'.join(_MINUTES)}|\d{{1,2}})[ ](?:of|till?|before)[ ]({_HOUR.replace('?P<hour>', '?:')})")
_TOLD = re.compile(
    r"[ap]\.?m\b|morning|afternoon|evening|night|noon|midday|mittag|morgens|abends|nachts|früh|^\D*(?:1[3-9]|2[0-3]|0\d)(?!\d{3})",
    re.IGNORECASE,
)


def _found(text: str) -> list[tuple[int, int, str]]:
    found: list[tuple[int, int, str]] = []
    taken = bytearray(len(text))
    for number, form in enumerate(_FORMS):
        for match in form.finditer(text):
            time = _time(match, number == _GERMAN_HALF)
            if time is not None and not any(taken[match.start() : match.end()]):
                found.append((match.start(), match.end(), time))
                taken[match.start() : match.end()] = b"\x01" * (match.end() - match.start())
    return sorted(found)


def _time(match: re.Match[str], before: bool) -> str | None:
    """The time of a match. `before`: half an hour before the hour, as in German."""
    said = {name: value.casefold() for name, value in match.groupdict().items() if value}
    if "named" in said:
        return _NAMED[said["named"]]
    if said.get("mark") == "." and not {"uhr", "half"} & set(said):  # 3.50 may be a price
        return None
    hour, minutes = next(_numbers(said.get("digits"), said.get("hour"))), int(said.get("minutes", 0))
    if match.re is _FORMS[2]:
        minutes = 30
    if before:
        hour, minutes = hour - 1, 30
    if "past" in said:
        count = _MINUTES.get(said["past"]) or int(said["past"] if said["past"].isdigit() else 0)
        hour, minutes = (hour, count) if said["side"] in ("past", "after", "nach") else (hour - 1, 60 - count)
    late = said.get("half") == "p" or said.get("part") in _LATE or said.get("teil") in _LATE
    if late and 0 < hour < 12:
        hour += 12
    if hour == 12 and (said.get("half") == "a" or said.get("part") == "night"):
        hour = 0
    hour = hour % 24 if hour in (-1, 24) and minutes in range(60) else hour
    return f"{hour:02d}:{minutes:02d}" if 0 <= hour < 24 and 0 <= minutes < 60 else None


def _numbers(*words: str | None) -> Iterator[int]:
    """The numbers that the words state."""
    for word in words:
        if word:
            yield int(word) if word.isdigit() else _HOURS[word]
