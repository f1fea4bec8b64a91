"""Finding frames: the words that stay in many texts while the rest of them changes.

A program that writes its instruction into the user's message sends the same beginning, or the same end, again and again. Texts that share
`REACH` characters of either, twenty different ones at least, are looked at together: people's own words do not begin so alike. What all of
such a group share is their frame; where nearly all of them go on, or end, in one of very few ways, these are frames of their own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from smidgen.core.frames import Frame

REACH = 48
LEAST = 20
_FURTHER = 8
"""Characters by which texts that begin alike are told apart."""
_MOST_WAYS = 4
_NEARLY_ALL = 0.95
"""People's own words begin in more ways than these, and some of them in a way of their own."""
_LEAST_END = 4
_DEEPEST = 20

_Texts = Mapping[int, str]
_Wide = Callable[[list[list[int]], int], bool]


@dataclass(frozen=True)
class Framed:
    """Texts in one frame.

    Attributes:
        frame: theirs.
        places: of the texts, in order.
        mark: by what they were told from others. It stays when their frame grows or shrinks by some words.
    """

    frame: Frame
    places: tuple[int, ...]
    mark: str


def framed(texts: Sequence[str], least: int = LEAST) -> list[Framed]:
    """Groups of at least so many texts that begin, or else end, alike, the largest first. `texts` must differ from each other: what comes
    again as a whole has no frame. Those in no group share nothing with enough others."""
    whole = dict(enumerate(texts))
    found: list[Framed] = []
    for places, mark in _alike(whole, 0, REACH, _all_that_are, least):
        begun = _cut(_shared([whole[place] for place in places]))
        rest = {place: whole[place][len(begun) :][::-1] for place in places}
        ended = list(_further(rest, 0, least)) or [(places, "")]
        found += [Framed(Frame(begun, _end(rest, group)), tuple(group), f"{mark}\0{end[::-1]}") for group, end in ended]
    known = {place for group in found for place in group.places}
    turned = {place: text[::-1] for place, text in whole.items() if place not in known}
    found += [Framed(Frame("", _end(turned, group)), tuple(group), f"\0{mark[::-1]}") for group, mark in _ends(turned, least)]
    return sorted((group for group in found if group.frame), key=lambda group: (-len(group.places), group.mark))


def _ends(turned: _Texts, least: int) -> Iterator[tuple[list[int], str]]:
    return _alike(turned, 0, REACH, _all_that_are, least)


def _further(texts: _Texts, at: int, least: int, depth: int = 0) -> Iterator[tuple[list[int], str]]:
    """The few ways in which nearly all of these go on from a place; none where they do not."""
    return _alike(texts, at, _FURTHER, _few_ways, least, depth)


def _alike(texts: _Texts, at: int, reach: int, wide: _Wide, least: int, depth: int = 0) -> Iterator[tuple[list[int], str]]:
    """Groups that share `reach` characters from a place on, if they are as `wide` wants them, each with what tells it from the others."""
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
    """What these texts, which are given from their ends on, end with."""
    shared = _cut(_shared([turned[place] for place in places]))[::-1]
    return shared if len(shared.strip()) >= _LEAST_END else ""


def _shared(texts: Sequence[str]) -> str:
    """What all of these begin with: what the first and the last of them do, by the alphabet."""
    first, last = min(texts), max(texts)
    return first[: next((place for place, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))]


def _cut(shared: str) -> str:
    """A shared piece up to its last space or line end: letters behind that which happen to be shared belong to the text."""
    last = max((place for place, sign in enumerate(shared) if sign.isspace()), default=-1)
    return shared[: last + 1]
