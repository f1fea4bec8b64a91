"""Turn the words of a text into the value of a field, and find the positions where a text states a value.

The rule of one field (a way) is JSON-ready, so that a bundle can hold it. It is settled on the training rows: which of two small
numbers is the day, which prefix is added to an order number, whether `1,250` is a thousand or one and a quarter.
"""

from __future__ import annotations

import datetime
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smidgen.tasks.field_schema import Schema, kind_of
from smidgen.text import clock, dates, durations, numbers, relative_days

Way = dict[str, Any]
"""The rule of a field: `kind` is `text`, `number`, `date`, `time`, `words`, or a unit of time, in which its numbers count stretches of
time (`minutes`, `hours`, `days`: half an hour is 30 minutes); the other keys depend on the kind: see `settle`."""

Fits = Callable[[Any], bool]
"""Whether the schema allows a value for the field."""

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")
_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")
_TOLD_HALF = re.compile(
    r"[ap]\.?m\b|morning|afternoon|evening|night|noon|mittag|morgens|abends|nachts|früh|\b(?:1[3-9]|2[0-3]|0\d)[:.]", re.IGNORECASE
)
_TRUTHS = {True: ("true", "yes"), False: ("false", "no")}
_CASES: dict[str, Callable[[str], str]] = {"same": str, "lower": str.lower, "upper": str.upper, "title": str.title}
_MOST_LEFT_OUT = 2  # the number of leading parts of a value that texts may leave out
_LONGEST_LAYOUT = 40
_LEAST_LAYOUTS = 2
"""Rows in which a layout must occur: a single row does not show a rule."""
_LONGEST_SHAPE = 24


@dataclass(frozen=True, slots=True)
class ValuePlace:
    """A position where a text states a value. `vote`: the reading of the field that it supports, or None. For a text field, the vote is
    every way that gives the value, and the shape of the words."""

    start: int
    end: int
    vote: Any = None


def kind(node: Schema, values: Sequence[Any]) -> str:
    """The kind of way for a field with this schema and these values."""
    of = kind_of(node)[0]
    if of in ("integer", "number"):
        return "number"
    if of == "boolean" or "enum" in node:
        return "words"
    dated = node.get("format") == "date" or (values and all(_ISO.fullmatch(value) for value in values))
    if not dated and values and all(_CLOCK.fullmatch(value) for value in values):
        return "time"
    return "date" if dated else "text"


def unit_of(rows: Iterable[tuple[str, Sequence[Any]]]) -> str:
    """The kind of a field of numbers, from texts with its values: a unit of time if the texts state more of the values as stretches of
    time in that unit than as numbers; else `number`."""
    known, found = [(text, value) for text, values in rows for value in values], Counter[str]()
    for text, value in known:
        found.update(kind for kind in ("number", *durations.UNITS) if places(text, value, kind))
    return max(("number", *durations.UNITS), key=lambda kind: found[kind])


def places(text: str, value: Any, kind: str) -> list[ValuePlace]:
    """The positions where a text may state a value, letter for letter or in another form. Some may be wrong: `2` is also in `2 March`."""
    if kind == "number":
        return list(_counted(text, value))
    if kind in durations.UNITS:
        return list(_lasting(text, value, kind))
    if kind == "date":
        return list(_dated(text, value))
    if kind == "time":
        return list(_timed(text, value))
    if kind == "words":
        return [ValuePlace(*match.span()) for words in _said(value) for match in _inflected(words).finditer(text)]
    return list(_texts(text, value))


def settle(kind: str, votes: Sequence[Any], values: Sequence[Any]) -> Way:
    """The way of a field, from the votes of the positions of its values; `values`: all possible values, if they are a fixed set.

    number: `mark`, the decimal separator. time: `late`, the hour before which a time that does not say which half of the day it means is
    that of the second (`half past two` is 14:30 where shops open at nine). date: `day_first`, `year` for dates without one, and `pivot`,
    see `dates.read`. words: `values`.
    text: `ways`, most frequent first: the words unchanged, in another case, `written`, or a layout such as `["FH-", 5]`, which the letters
    and digits of the words fill; and `shapes`, for words of a shape that mostly needs a way other than the first.
    """
    if kind == "words":
        return {"kind": kind, "values": list(values)}
    if kind in durations.UNITS:
        return {"kind": kind}
    if kind == "number":
        return {"kind": kind, "mark": _commonest([vote for vote in votes if vote], ".")}
    if kind == "time":
        return {"kind": kind, "late": _late_before([vote for vote in votes if vote is not None])}
    if kind == "date":
        orders, years = [vote[0] for vote in votes if vote[0] is not None], [vote[1] for vote in votes if vote[1]]
        pivot = _pivot([vote[2] for vote in votes if vote[2]])
        return {"kind": kind, "day_first": _commonest(orders, True), "year": _commonest(years, None), "pivot": pivot}
    kept = _covering(Counter(tuple(map(json.dumps, ways)) for ways, _ in votes))
    by_shape: dict[str, Counter[str]] = {}
    for ways, shape in votes:
        by_shape.setdefault(shape, Counter()).update(map(json.dumps, ways))
    # Among ways that give equally many values, take the one that gives more in other shapes.
    first = {shape: max(range(len(kept)), key=lambda place: (own[kept[place]], -place)) for shape, own in by_shape.items()}
    shapes = {shape: place for shape, place in sorted(first.items()) if place}
    return {"kind": kind, "ways": [json.loads(way) for way in kept], "shapes": shapes}


def fault(way: Any) -> str:
    """Why a way from a bundle cannot be followed; empty if it can."""
    if not isinstance(way, dict) or way.get("kind") not in ("text", "number", "date", "time", "words", *durations.UNITS):
        return "a way of tagged has an unknown kind"
    if not isinstance(way.get("list"), bool) or not isinstance(way.get("distinct"), bool):
        return "a way of tagged does not say whether it is a list, and of distinct values"
    if way["kind"] == "number":
        return "" if way.get("mark") in (".", ",") else f"a way of numbers has the mark {str(way.get('mark'))[:20]!r}"
    if way["kind"] in durations.UNITS:
        return ""
    if way["kind"] == "words":
        return "" if isinstance(way.get("values"), list) else "a way of words has no values"
    if way["kind"] == "time":
        late = way.get("late")
        return "" if isinstance(late, bool | int | float) and 0 <= late <= 12 else "a way of times cannot be followed"
    if way["kind"] == "date":
        year, pivot = way.get("year"), way.get("pivot")
        known = year is None or (isinstance(year, int) and 0 < year < 10_000)
        known = known or (year == NEXT and way.get("today") is not None)
        fits = isinstance(way.get("day_first"), bool) and known and isinstance(pivot, int) and 0 <= pivot <= 100
        return "" if fits and _is_day(way.get("today")) else "a way of dates cannot be followed"
    edges = way.get("edges", [[], []])
    if not isinstance(edges, list) or len(edges) != 2 or not all(isinstance(own, list) for own in edges):
        return "the edges of a way of texts are no two lists"
    ways, shapes = way.get("ways"), way.get("shapes")
    if not isinstance(ways, list) or not ways or not isinstance(shapes, dict) or not all(map(_is_turn, ways)):
        return "a way of texts cannot be followed"
    places = [place for place in shapes.values() if isinstance(place, bool) or not isinstance(place, int) or not 0 <= place < len(ways)]
    return "a way of texts names a missing way" if places else ""


def _is_day(today: Any) -> bool:
    """Whether an entry is a valid `today`: see `_from_today`."""
    if today is None or today == "":
        return True
    try:
        return isinstance(today, str) and datetime.date.fromisoformat(today).isoformat() == today
    except ValueError:
        return False


def _is_turn(way: Any) -> bool:
    """Whether an entry is a valid way of texts: see `_turned`."""
    if not isinstance(way, list) or not way:
        return False
    if way[0] != "layout":
        return way[0] in (*_CASES, "written")
    parts = way[1] if len(way) == 3 and way[2] in _CASES and isinstance(way[1], list) else None
    return parts is not None and all(
        isinstance(part, str) or (isinstance(part, int) and not isinstance(part, bool) and 0 < part <= _LONGEST_LAYOUT) for part in parts
    )


def value_of(words: str, way: Way, fits: Fits) -> Any:
    """The first value that the words give and that fits; None if there is none."""
    found: Iterator[Any]
    if way["kind"] == "number":
        found = iter([numbers.read(words, way["mark"])])
    elif way["kind"] in durations.UNITS:
        found = iter([_lasts(words, way["kind"])])
    elif way["kind"] == "date":
        found = iter([_day_of(words, way) or _from_today(words, way)])
    elif way["kind"] == "time":
        found = iter([time_of(words, way["late"])])
    elif way["kind"] == "words":
        found = iter([_meant(words, way["values"])])
    else:
        first = way["shapes"].get(_shape(words), 0)
        ordered = [way["ways"][first], *way["ways"][:first], *way["ways"][first + 1 :]]
        found = (_turned(words, one) for one in ordered)
    return next((value for value in found if value is not None and fits(value)), None)


def states(words: str, value: Any, way: Way, fits: Fits) -> bool:
    """Whether words of a training text state a value. A date without a year may be of any: texts are older than the day of reading."""
    if way["kind"] == "date" and way["year"] == NEXT:
        return value in (dates.read(words, way["day_first"], int(value[:4]), way["pivot"]), _from_today(words, way))
    return bool(value_of(words, way, fits) == value)


def time_of(words: str, late: float) -> str | None:
    """The first time of day in some words as `HH:MM`. `late`: the hour before which one that could be in either half of the day is in the
    second; True for any hour."""
    found = clock.read(words)
    if found is None or _TOLD_HALF.search(words) or not 0 < _hour(found) < (12 if late is True else late):
        return found
    return f"{int(found[:2]) + 12}{found[2:]}" if found[:2] != "00" else found


def _hour(time: str) -> float:
    return int(time[:2]) + int(time[3:]) / 60


def _late_before(votes: Sequence[tuple[bool, float]]) -> float:
    """The hour before which times are in the second half of the day, by most votes; amid the hours that are equally good. Where votes show
    one half alone, times are in that."""
    if len({late for late, _ in votes}) < 2:
        return 12.0 if votes and votes[0][0] else 0.0
    grid = [step / 2 for step in range(25)]
    right = [sum(late == (hour < before) for late, hour in votes) for before in grid]
    best = [before for before, own in zip(grid, right, strict=True) if own == max(right)]
    return best[len(best) // 2]


def _timed(text: str, value: str) -> Iterator[ValuePlace]:
    for start, end in clock.find(text):
        words = text[start:end]
        early = clock.read(words) or ""
        for late in (False, True):
            if time_of(words, late) == value:
                yield ValuePlace(start, end, None if time_of(words, not late) == value else (late, _hour(early)))
                break


NEXT = "next"
"""The year of a date without one: that of the first such day from today on."""


def _day_of(words: str, way: Way) -> str | None:
    """The day that words state by themselves."""
    if way["year"] != NEXT:
        return dates.read(words, way["day_first"], way["year"], way["pivot"])
    today = _today(way)
    years = (dates.read(words, way["day_first"], year, way["pivot"]) for year in range(today.year, today.year + _LEAP))
    return next((day for day in years if day is not None and (dates.has_year(words) or day >= today.isoformat())), None)


_LEAP = 9
"""Years in which every day of a calendar occurs."""


def _today(way: Way) -> datetime.date:
    return datetime.date.fromisoformat(way["today"]) if way["today"] else datetime.date.today()


def _from_today(words: str, way: Way) -> str | None:
    """The day that words such as `tomorrow` mean. `way["today"]`: the day they count from, an empty text for that of reading; without it,
    such words mean nothing."""
    if way.get("today") is None:
        return None
    return relative_days.read(words, _today(way))


_UNBOUNDED = re.compile(r"[*+]|\{\d*,\}")
_REPEATED_GROUP = re.compile(r"\)[*+{]")
_MOST_UNBOUNDED = 2
"""A pattern with more unbounded parts, or with a group that repeats, is not searched for: that may take too long."""


def stated_by_pattern(pattern: str, text: str, fits: Fits) -> Iterator[tuple[str, tuple[int, int]]]:
    """Every value of a text that a schema's pattern shows, in the case that fits, with its place. Where its form is fixed, people may
    write its signs otherwise: `fh 20417` for `FH-20417`."""
    if _REPEATED_GROUP.search(pattern) or len(_UNBOUNDED.findall(pattern)) > _MOST_UNBOUNDED:
        return
    inner = re.sub(r"^\^|(?<!\\)\$$", "", pattern)
    parts = _PARTS.findall(inner) if _FIXED_FORM.fullmatch(inner) else None
    loose = "".join(part if _is_sign(part) is None else r"[\W_]{0,2}" for part in parts) if parts else inner
    for match in re.finditer(rf"(?<![^\W_])(?:{loose})(?![^\W_])", text, re.IGNORECASE):
        written = _signed(match.group(), parts) if parts else match.group()
        value = next(filter(fits, (written, written.upper(), written.lower())), None)
        if value is not None:
            yield value, match.span()


_ONE_PART = r"(?:(?:\[(?:[^\W_](?:-[^\W_])?)+\]|\\d|[^\W_])(?:\{\d+\})?|\\[^\w\s]|[-_/ #:])"
_PARTS = re.compile(_ONE_PART)
_FIXED_FORM = re.compile(rf"(?:{_ONE_PART}){{1,40}}")
"""A pattern of single characters and classes, each once or a fixed number of times."""


def _is_sign(part: str) -> str | None:
    """The sign that a part of a fixed form stands for; None for letters and digits."""
    plain = part.removeprefix("\\")
    return plain if len(plain) == 1 and not plain.isalnum() else None


def _signed(words: str, parts: Sequence[str]) -> str:
    """Words with the signs that a fixed form has."""
    letters, made = iter(_squeezed(words)), []
    for part in parts:
        count = int(re.findall(r"\{(\d+)\}$", part)[0]) if part.endswith("}") else 1
        made.append(_is_sign(part) or "".join(itertools.islice(letters, count)))
    return "".join(made)


def _counted(text: str, value: Any) -> Iterator[ValuePlace]:
    for start, end in numbers.find(text):
        words = text[start:end]
        told = numbers.mark(words)
        for mark in ".," if numbers.either_way(words) else (told,):
            if numbers.read(words, mark or ".") == value:
                yield ValuePlace(start, end, mark)


def _lasting(text: str, value: Any, unit: str) -> Iterator[ValuePlace]:
    """Stretches of time that last this long, and bare numbers of the unit that are no part of one."""
    found = durations.find(text)
    alone = [(start, end) for start, end in numbers.find(text) if not any(a < end and start < b for a, b in found)]
    yield from (ValuePlace(start, end) for start, end in (*found, *alone) if _lasts(text[start:end], unit) == value)


def _lasts(words: str, unit: str) -> int | float | None:
    """How many of a unit some words last; a bare number counts in the unit."""
    seconds = durations.read(words)
    if seconds is None:
        return numbers.read(words)
    count = seconds / durations.UNITS[unit]
    return int(count) if count.is_integer() else count


def _dated(text: str, value: Any) -> Iterator[ValuePlace]:
    if not _ISO.fullmatch(value):
        return
    year = int(value[:4])
    pivot = 100 if year >= 2000 else 0  # a pivot by which the two digits give the value's century
    for start, end in dates.find(text):
        whole = text[start:end]
        for words, day_first in itertools.product(dict.fromkeys((whole, dates.without_count(whole))), (True, False)):
            if dates.read(words, day_first, year, pivot) == value:
                order = day_first if dates.either_way(words) else dates.order(words)
                short = year if dates.has_short_year(words) else None
                yield ValuePlace(start, start + len(words), (order, None if dates.has_year(words) else year, short))
                break
    yield from (ValuePlace(start, end, (None, None, None)) for start, end in relative_days.find(text))


def _pivot(years: Sequence[int]) -> int:
    """The two-digit year from which on years belong to the last century, by majority; on a tie the nearest to the usual one."""
    wrong = [sum((year < 2000) != (year % 100 >= pivot) for year in years) for pivot in range(101)]
    return min(range(101), key=lambda pivot: (wrong[pivot], abs(pivot - dates.PIVOT)))


def _texts(text: str, value: str) -> Iterator[ValuePlace]:
    """Positions of a value in its own letters, else in another case, else inside a word, else as its letters and digits, or those of its
    last parts, with any separators."""
    pattern = _pattern(value)
    found = [match.span() for match in pattern.finditer(text)]
    if not found:
        found = [match.span() for match in re.finditer(pattern.pattern, text, re.IGNORECASE)]
    if not found and len(value) > 1:
        # Inside a word, as in scripts without blanks between words.
        found = [match.span() for match in re.finditer(_blanks(value), text)]
    for start, end in found:
        words = text[start:end]
        ways = [[case] for case in (*_CASES, "written") if _turned(words, [case]) == value]
        if ways:
            yield ValuePlace(start, end, (ways, _shape(words)))
    if not found:
        yield from _laid_out(text, value)


def _laid_out(text: str, value: str) -> Iterator[ValuePlace]:
    parts = re.findall(r"[^\W\d_]+|\d+", value)
    for left_out in range(min(len(parts), _MOST_LEFT_OUT + 1)):
        rest = "".join(parts[left_out:])
        if not any(letter.isdigit() for letter in rest) or not 2 < len(rest) <= _LONGEST_LAYOUT:
            return
        pattern = r"[\W_]{0,2}".join(map(re.escape, rest))
        found = list(re.finditer(rf"(?<![^\W_]){pattern}(?![^\W_])", text, re.IGNORECASE))
        for match in found:
            own = _squeezed(match.group())
            layout = _layout(value, len(rest))
            ways = [["layout", layout, case] for case, turn in _CASES.items() if turn(own) == rest]
            if ways:
                yield ValuePlace(*match.span(), (ways, _shape(match.group())))
        if found:
            return


def _layout(value: str, taken: int) -> list[str | int]:
    """The layout of a value whose last letters and digits are taken from a text: fixed texts, and numbers of characters to take."""
    made: list[str | int] = []
    fixed = sum(letter.isalnum() for letter in value) - taken
    for letter in value:
        if letter.isalnum() and fixed <= 0:
            if made and isinstance(made[-1], int):
                made[-1] += 1
            else:
                made.append(1)
            continue
        fixed -= letter.isalnum()
        if made and isinstance(made[-1], str):
            made[-1] += letter
        else:
            made.append(letter)
    return made


def _turned(words: str, way: Sequence[Any]) -> str | None:
    """Words as the text of a field, by one way; `written`: with their blanks and line breaks unchanged."""
    if way[0] == "written":
        return words.strip() or None
    if way[0] != "layout":
        return _CASES[way[0]](" ".join(words.split())) or None
    letters = iter(_squeezed(words))
    if sum(part for part in way[1] if isinstance(part, int)) != len(_squeezed(words)):
        return None
    turn = _CASES[way[2]]
    return "".join(part if isinstance(part, str) else turn("".join(next(letters) for _ in range(part))) for part in way[1])


def _meant(words: str, values: Sequence[Any]) -> Any:
    """The only value that the words name, by the strictest comparison that finds one: as written, in another case, without punctuation;
    else the only value named inside the words. None if two remain."""
    for same in (str.strip, str.casefold, _plain):
        hit = [value for value in values if any(same(said) and same(words.strip()) == same(said) for said in _said(value))]
        if hit:
            return hit[0] if len(hit) == 1 else None
    plain = _plain(words)
    stems = [value for value in values if any(_stemmed(said) == _stemmed(words) for said in _said(value))]
    if stems:
        return stems[0] if len(stems) == 1 else None
    named = {value: [_plain(said) for said in _said(value)] for value in values}
    # Values that differ only in punctuation (`A+`, `A-`) cannot be told apart by words inside others.
    shared = Counter(one for said in named.values() for one in set(said))
    among = [value for value, said in named.items() if any(shared[one] == 1 and f" {one} " in f" {plain} " for one in said if one)]
    return among[0] if len(among) == 1 else None


def _stemmed(words: str) -> str:
    """Words without articles and the commonest endings: `Mondays` and `monday` are one, `Lastenräder` and `lastenrad` are not."""
    return " ".join(_ENDING.sub("", word) for word in _plain(words).split() if word not in _SMALL)


_ENDING = re.compile(r"(?<=[^\W\d_]{4})(?:es|en|em|er|s|e|n)$")
_SMALL = frozenset(("the", "a", "an", "der", "die", "das", "den", "dem", "des", "ein", "eine", "einen", "einem", "einer", "my", "your"))


def _said(value: Any) -> Sequence[str]:
    """The words that name a value of a fixed set."""
    return _TRUTHS[value] if isinstance(value, bool) else (str(value),)


def _pattern(value: str, loose: bool = False) -> re.Pattern[str]:
    """A pattern for a value that stands by itself. `loose`: in any case, and with any punctuation between its words, but not at its
    ends."""
    signs = loose and value[:1].isalnum() and value[-1:].isalnum()
    body = r"[\W_]+".join(map(re.escape, re.findall(r"[^\W_]+", value))) if signs else _blanks(value)
    before = r"(?<!\w)" if value[:1].isalnum() else ""
    after = r"(?!\w)" if value[-1:].isalnum() else ""
    return re.compile(before + body + after, re.IGNORECASE if loose else re.NOFLAG)


def _inflected(value: str) -> re.Pattern[str]:
    """A pattern for a value of a fixed set: as `_pattern` has it, with umlauts where names of values spell them out, and common endings."""
    words = re.findall(r"[^\W_]+", value)
    if not words or not value[:1].isalnum() or not value[-1:].isalpha():
        return _pattern(value, loose=True)
    body = r"[\W_]+".join(_SPELT_OUT.sub(lambda match: f"(?:{match.group()}|{_UMLAUTS[match.group().casefold()]})", word) for word in words)
    ending = "(?:es|en|em|er|s|e|n)?" if len(words[-1]) > 3 else ""
    return re.compile(rf"(?<!\w){body}{ending}(?!\w)", re.IGNORECASE)


_UMLAUTS = {"ae": "ä", "oe": "ö", "ue": "ü", "ss": "ß"}
_SPELT_OUT = re.compile("|".join(_UMLAUTS), re.IGNORECASE)
_FOLDED = str.maketrans({letter: spelt for spelt, letter in _UMLAUTS.items()})


def _blanks(value: str) -> str:
    """A pattern for a text in which any whitespace may stand for its blanks."""
    return r"\s+".join(map(re.escape, value.split())) or r"(?!)"


def _plain(words: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", words.casefold().translate(_FOLDED)))


def _squeezed(words: str) -> str:
    return "".join(letter for letter in words if letter.isalnum())


def _shape(words: str) -> str:
    """The shape of words: `a` for a run of letters, `9` for a run of digits."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "9", " ".join(words.split())))[:_LONGEST_SHAPE]


def _covering(votes: Counter[tuple[str, ...]]) -> list[str]:
    """A small set of ways that gives all values, chosen greedily: each next way gives most of the remaining values."""
    layouts: Counter[str] = Counter()
    for ways, count in votes.items():
        layouts[_layout_of(ways)] += count
    left = {ways: count for ways, count in votes.items() if not _layout_of(ways) or layouts[_layout_of(ways)] >= _LEAST_LAYOUTS}
    kept: list[str] = []
    whole = _totals(left)
    while left:
        counts = _totals(left)
        best = max(counts, key=lambda way: (counts[way], whole[way]))
        kept.append(best)
        left = {ways: count for ways, count in left.items() if best not in ways}
    return kept or ['["same"]']


def _totals(votes: Mapping[tuple[str, ...], int]) -> Counter[str]:
    """The number of values that each way gives."""
    counts: Counter[str] = Counter()
    for ways, count in votes.items():
        counts.update(dict.fromkeys(ways, count))
    return counts


def _layout_of(ways: Sequence[str]) -> str:
    """The layout that ways share, in any case; "" for words without a layout."""
    first = json.loads(ways[0])
    return json.dumps(first[1]) if first[0] == "layout" else ""


def _commonest(votes: Sequence[Any], otherwise: Any) -> Any:
    return Counter(votes).most_common(1)[0][0] if votes else otherwise
