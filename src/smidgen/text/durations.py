"""Stretches of time as people write them, in English and German: find them in a text and read them as seconds.

Examples: `20 min`, `two hours`, `1.5 h`, `1h30`, `half an hour`, `a quarter of an hour`, `an hour and a half`, `two to three weeks` (the
longer counts), `a weekend` (two days), `a fortnight`, `eine halbe Stunde`. A bare number is no stretch of time; a month has no fixed
length and is none either.
"""

from __future__ import annotations

import re

from smidgen.text import numbers

MINUTE, HOUR, DAY = 60, 3600, 86_400
UNITS = {"minutes": MINUTE, "hours": HOUR, "days": DAY}
_SIZES = {"se": 1, "mi": MINUTE, "h": HOUR, "st": HOUR, "d": DAY, "t": DAY, "w": 7 * DAY, "f": 14 * DAY}
"""The length of a unit by the beginning of its word."""
_UNIT = re.compile(
    r"(?<![^\W\d_])(?P<unit>sec(?:onds?|s)?|sekunden?|min(?:ute[ns]?|s)?|h(?:ours?|rs?)?|stunden?|std|days?|tag(?:en?)?|w(?:eeks?|ks?)|wochen?|fortnights?)\b"
    r"(?P<half>[ ]and[ ]a[ ]half\b)?",
    re.I,
)
_BETWEEN = re.compile(
    r"(?P<half>[ ]and[ ]a[ ]half)?(?:[ ](?:more|extra|additional|further|odd|full|whole|working|business|weitere[nr]?|of))?[ \u00a0-]?$",
    re.I,
)
_ARTICLE = re.compile(r"(?<!\w)(?:an?|eine?[nmr]?)$", re.I)
_PARTS = (
    (re.compile(r"(?<!\w)(?:(?:a|eine)[ ])?(?:half[ ](?:an?[ ])?(?:hour|hr)|halbe[ ]stunde)\b", re.I), 30 * MINUTE),
    (re.compile(r"(?<!\w)three[ ]quarters[ ]of[ ]an[ ]hour\b|(?<!\w)(?:eine[ ])?dreiviertelstunde\b", re.I), 45 * MINUTE),
    (re.compile(r"(?<!\w)(?:(?:an?|one)[ ])?quarter[ -](?:of[ ])?(?:an[ ])?hour\b|(?<!\w)(?:eine[ ])?viertelstunde\b", re.I), 15 * MINUTE),
    (re.compile(r"(?<!\w)(?:(?:a|the)[ ])?long[ ]weekend\b", re.I), 3 * DAY),
    (re.compile(r"(?<!\w)(?:(?:a|the|one)[ ])?(?<!next[ ])weekend\b", re.I), 2 * DAY),
    (re.compile(r"(?<!\w)(?:anderthalb|eineinhalb)[ ]stunden\b", re.I), 90 * MINUTE),
)
_WORKING = re.compile(r"(?:working|business|work)[ -]?days?\b|(?:werk|arbeits)tage?n?\b", re.I)
_HOURS_MINUTES = re.compile(r"(?<![\w.,:])(\d{1,2})[ ]?h[ ]?([0-5]\d)\b(?:[ ]?min(?:utes|s)?\b)?", re.I)
_UNCOUNTED = re.compile(r"\bnext[ ]$", re.I)


def find(text: str) -> list[tuple[int, int]]:
    """First character, and one past the last, of each stretch of time in a text, in order; none overlap."""
    return [(start, end) for start, end, _ in _found(text)]


def read(words: str) -> int | None:
    """Seconds of the first stretch of time in some words; None if there is none."""
    return next((seconds for _, _, seconds in _found(words)), None)


def in_calendar_days(words: str) -> str:
    """Words with the working days in them as days of the calendar: `10 working days` are `14 days`.

    A week has five working days. Each five that begin cost a weekend: nothing comes sooner than it is said.
    """
    if not _WORKING.search(words):
        return words
    plain = _WORKING.sub("days", words)
    found = _found(plain)
    if len(found) != 1 or found[0][2] % DAY:
        return words
    start, end, seconds = found[0]
    days = seconds // DAY
    return f"{plain[:start]}{days + 2 * -(-days // 5)} days{plain[end:]}"


def _found(text: str) -> list[tuple[int, int, int]]:
    found = [(*match.span(), int(match[1]) * HOUR + int(match[2]) * MINUTE) for match in _HOURS_MINUTES.finditer(text)]
    found += [(*match.span(), seconds) for form, seconds in _PARTS for match in form.finditer(text)]
    taken = [(start, end) for start, end, _ in found]
    counts = {end: (start, numbers.read(text[start:end])) for start, end in numbers.find(text)}
    for match in _UNIT.finditer(text):
        if any(start < match.end() and match.start() < end for start, end in taken):
            continue
        one = _counted(text, match, counts)
        if one is not None:
            found.append(one)
    return _joined(text, sorted(found))


def _counted(text: str, match: re.Match[str], counts: dict[int, tuple[int, int | float | None]]) -> tuple[int, int, int] | None:
    """The stretch of a unit and the number before it; None without one."""
    unit = match["unit"].casefold()
    size = next(size for start, size in _SIZES.items() if unit.startswith(start))
    between = _BETWEEN.search(text[: match.start()])
    assert between is not None
    half = 0.5 if match["half"] or between["half"] else 0.0
    end = match.end() if match["half"] is None or size >= HOUR else match.end("unit")
    start, count = counts.get(between.start(), (0, None))
    if count is None:
        article = _ARTICLE.search(text[: between.start()])
        if article is not None and not text[: article.start()].casefold().endswith("half "):
            start, count = article.start(), 1
        elif _UNCOUNTED.search(text[: match.start()]) or size == 14 * DAY:
            start, count = match.start(), 1
    if count is None or count + half <= 0:
        return None
    return start, end, round((count + half) * size)


def _joined(text: str, found: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """One stretch for `1 hour 20 min`."""
    made: list[tuple[int, int, int]] = []
    for start, end, seconds in found:
        if made and text[made[-1][1] : start] in (" ", " and ", ", ") and seconds < HOUR <= made[-1][2]:
            start, seconds = made[-1][0], made[-1][2] + seconds
            made.pop()
        made.append((start, end, seconds))
    return made
