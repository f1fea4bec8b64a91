"""Patterns of a program's prompts: the frame around a changing text, and the words without dates, numbers and ids."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smidgen.core.placeholders import PLACEHOLDER, PromptFrame
from smidgen.text.dates import month_names

REACH = 48
LEAST = 20
_FURTHER = 8
"""Characters that distinguish texts with a common beginning."""
_MOST_WAYS = 4
_NEARLY_ALL = 0.95
"""Most ways to continue, and least share of texts that they must cover. People's own words begin in more ways, some of them unique."""
_LEAST_END = 4
_DEEPEST = 20

_Texts = Mapping[int, str]
_Wide = Callable[[list[list[int]], int], bool]


@dataclass(frozen=True)
class FramedTexts:
    """Texts in one frame.

    Attributes:
        frame: the common frame.
        places: of the texts, in order.
        mark: the piece that distinguished them from others. It stays when the frame grows or shrinks by some words.
    """

    frame: PromptFrame
    places: tuple[int, ...]
    mark: str


def find_frames(texts: Sequence[str], least: int = LEAST) -> list[FramedTexts]:
    """Groups of at least `least` texts that begin, or else end, alike, the largest first. `texts` must be distinct: whole repeats have no
    frame. Texts in no group share nothing with enough others.

    A program that writes its instruction into the user's message sends the same beginning, or the same end, again and again. Twenty or
    more different texts that share `REACH` characters of either form a group: people's own words do not begin so alike. The common
    beginning and end of a group are its frame; if nearly all of them continue, or end, in one of very few ways, each of these is a frame
    of its own.
    """
    whole = dict(enumerate(texts))
    found: list[FramedTexts] = []
    for places, mark in _alike(whole, 0, REACH, _all_that_are, least):
        begun = _cut(_shared([whole[place] for place in places]))
        rest = {place: whole[place][len(begun) :][::-1] for place in places}
        ended = list(_further(rest, 0, least)) or [(places, "")]
        found += [FramedTexts(PromptFrame(begun, _end(rest, group)), tuple(group), f"{mark}\0{end[::-1]}") for group, end in ended]
    known = {place for group in found for place in group.places}
    turned = {place: text[::-1] for place, text in whole.items() if place not in known}
    found += [FramedTexts(PromptFrame("", _end(turned, group)), tuple(group), f"\0{mark[::-1]}") for group, mark in _ends(turned, least)]
    return sorted((group for group in found if group.frame), key=lambda group: (-len(group.places), group.mark))


def _ends(turned: _Texts, least: int) -> Iterator[tuple[list[int], str]]:
    return _alike(turned, 0, REACH, _all_that_are, least)


def _further(texts: _Texts, at: int, least: int, depth: int = 0) -> Iterator[tuple[list[int], str]]:
    """Groups for the few ways in which nearly all texts continue from a place; none if they do not."""
    return _alike(texts, at, _FURTHER, _few_ways, least, depth)


def _alike(texts: _Texts, at: int, reach: int, wide: _Wide, least: int, depth: int = 0) -> Iterator[tuple[list[int], str]]:
    """Groups that share `reach` characters from a place on, if `wide` accepts them, each with the piece that distinguishes it."""
    pieces: dict[str, list[int]] = defaultdict(list)
    for place, text in texts.items():
        if len(text) >= at + reach:
            pieces[text[at : at + reach]].append(place)
    groups = [group for group in pieces.values() if len(group) >= least]
    if depth > _DEEPEST or not wide(groups, len(texts)):
        return
    for group in groups:
        own = {place: texts[place] for place in group}
        common = len(_shared(list(own.values())))
        deeper = list(_further(own, common, least, depth + 1))
        yield from deeper or [(group, texts[group[0]][: at + reach])]


def _all_that_are(groups: list[list[int]], total: int) -> bool:
    return bool(groups)


def _few_ways(groups: list[list[int]], total: int) -> bool:
    return 0 < len(groups) <= _MOST_WAYS and sum(map(len, groups)) >= _NEARLY_ALL * total


def _end(turned: _Texts, places: Sequence[int]) -> str:
    """The common end of these texts, which are given reversed."""
    shared = _cut(_shared([turned[place] for place in places]))[::-1]
    return shared if len(shared.strip()) >= _LEAST_END else ""


def _shared(texts: Sequence[str]) -> str:
    """The common beginning of these texts: that of the alphabetically first and last."""
    first, last = min(texts), max(texts)
    return first[: next((place for place, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))]


def _cut(shared: str) -> str:
    """Cut a shared piece after its last space or line end: further letters that happen to be shared belong to the text."""
    last = max((place for place, sign in enumerate(shared) if sign.isspace()), default=-1)
    return shared[: last + 1]


_MARK = "0"
"""The sign for anything that varies. It is a number, so that the name finder still sees a sentence."""
_WEEKDAYS = (
    *("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    *("mon", "tue", "tues", "wed", "thu", "thur", "thurs", "fri", "sat", "sun"),
    *("montag", "dienstag", "mittwoch", "donnerstag", "freitag", "samstag", "sonnabend", "sonntag"),
    *("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
    *("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"),
    *("lunedì", "martedì", "mercoledì", "giovedì", "venerdì", "sabato", "domenica"),
    *("maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag"),
)
_DAYS = month_names().union(_WEEKDAYS)
_NUMBERED = re.compile(r"(?<![\w-])[\w-]*\d[\w-]*")
"""A word with a digit anywhere in it: a number, a day, an id."""
_CAPITAL = re.compile(r"\b[^\W\d_a-z][^\W\d_]{2,}\b")
_BESIDE = re.compile(r"(?:(?<=0)[\s.,]{1,3}(?:de |of )?[^\W\d_]{3,}\b)|(?:\b[^\W\d_]{3,}[\s.,]{1,3}(?=0))")
"""A word beside a number, where a month counts as one in lower case too."""
_HALF = re.compile(r"(?<=0)\s?(?:[ap]\.m\.|[ap]m\b|UTC\b|GMT\b|CES?T\b|[ECMP][SD]T\b|BST\b)", re.IGNORECASE)
_RUN = re.compile(r"0(?:[\s.,:;/+–-]*0)+")
"""A day and its time, a number and its thousands: one variable thing."""


def without_variables(text: str) -> str:
    """The text with each variable thing replaced by one sign."""
    text = _NUMBERED.sub(_MARK, PLACEHOLDER.sub(_MARK, text))
    text = _HALF.sub("", _CAPITAL.sub(_day, text))
    return _RUN.sub(_MARK, _BESIDE.sub(_day_beside, text))


def _day(match: re.Match[str]) -> str:
    return _MARK if match[0].casefold() in _DAYS else match[0]


def _day_beside(match: re.Match[str]) -> str:
    word = match[0].strip(" .,\t\n").removeprefix("de ").removeprefix("of ")
    return f" {_MARK} " if word.casefold() in _DAYS else match[0]


_VARIES = "varies"
"""First element of a kind's JSON; no template begins with it."""
_PARTS = 3


def prompt_kind(template: str, masked: Callable[[str], str] = lambda words: words) -> str:
    """The constant part of a template (`server/traffic/exchange.py` makes templates): the template itself if nothing in it varies.

    Args:
        template: as JSON: the path, the system messages as JSON, the rest.
        masked: removes personal data from some words, in which nothing else varies any more.
    """
    read = _read(template)
    if read is None:
        return template
    path, words, rest = read
    stays = _changed(words, lambda text: without_variables(masked(without_variables(text))))
    return template if stays == words else json.dumps([_VARIES, path, stays, rest], ensure_ascii=False, sort_keys=True)


def masked_pieces(template: str) -> Iterator[str]:
    """The system messages that `prompt_kind` has masked, piece by piece."""
    read = _read(template)
    yield from map(without_variables, _texts(read[1]) if read is not None else ())


def _read(template: str) -> tuple[Any, Any, Any] | None:
    """The path, the system messages and the rest; None if there are no system messages, or this is not a template."""
    try:
        found = json.loads(template) if template[:1] == "[" else None
        if not isinstance(found, list) or len(found) != _PARTS or not isinstance(found[1], str) or not found[1]:
            return None
        return found[0], json.loads(found[1]), found[2]
    except (ValueError, RecursionError):
        return None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            if name != "type":
                yield from _texts(one)


def _changed(value: Any, change: Callable[[str], str]) -> Any:
    """The value with each of its texts changed; names of fields and types of parts stay."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_changed(one, change) for one in value]
    if isinstance(value, dict):
        return {name: one if name == "type" else _changed(one, change) for name, one in value.items()}
    return value
