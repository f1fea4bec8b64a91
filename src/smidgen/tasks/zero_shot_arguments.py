"""The arguments of a call by rules: what of a message fits an argument's type, name and description.

For arguments without examples. Numbers, days, times, codes and addresses are found by their form; values of a fixed set by their words;
names of people and things by quotation marks, capitals and the small words around them.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from smidgen.tasks.field_parsing import stated_by_pattern, value_of
from smidgen.tasks.field_schema import Schema, kind_of
from smidgen.text import clock, dates, numbers, relative_days, stretches
from smidgen.text.word_classes import OPEN, class_of

_WORD = re.compile(r"[^\W_]+")
_APART = re.compile(r"(?<=[a-zäöüß])(?=[A-Z])")
_QUOTED = re.compile(r"(?<!\w)['\"“‘«„]([^'\"”’»“]{1,80})['\"”’»“](?!\w)")
_CAPITALS = re.compile(r"(?<![\w'’])[A-ZÄÖÜ][\w.&'’-]*(?:[ ](?:(?:of|the|de|da|von|van|der|and|und|&)[ ](?=[A-ZÄÖÜ]))*[A-ZÄÖÜ][\w.&'’-]*)*")
_BOUNDARY = re.compile(r"[,.?!;:()]|\s(?:in|on|at|for|from|to|with|by|and|using|that|is|of|as|where|which|im|am|um|für|von|nach|mit|und)\s")
_BEFORE = {
    "from": ("from", "leaving", "between", "von", "ab"),
    "to": ("to", "into", "and", "nach", "bis", "zu"),
    "in": ("in", "at", "near", "around", "for", "bei"),
    "by": ("by", "of", "von"),
    "about": ("about", "on", "for", "of", "called", "named", "titled", "über", "nach", "namens"),
}
_ROLES = {
    "from": ("from", "start", "origin", "departure", "source", "begin", "initial", "von", "abfahrt", "beginn"),
    "to": ("to", "end", "destination", "arrival", "target", "final", "nach", "ziel", "ankunft", "ende"),
    "in": ("location", "city", "country", "place", "state", "region", "area", "stadt", "ort", "land"),
    "by": ("author", "artist", "composer", "director", "painter", "writer", "brand", "marke"),
}
_FALSE_WORDS = ("no", "without", "exclude", "excluding", "ohne", "kein")
_KINDS_BY_WORD = {
    stretches.EMAIL: ("email", "mail"),
    stretches.PHONE: ("phone", "telephone", "mobile", "telefon", "handy"),
    stretches.TIME: ("time", "hour", "uhrzeit", "zeit", "clock"),
    stretches.DAY: ("date", "day", "datum", "tag"),
}
_PART = r"[\w'-]+(?:[ ][\w'-]+){0,2}"
_LIST = re.compile(
    rf"(?<![\w'-]){_PART}(?:,[ ]{_PART}){{1,20}},?[ ](?:and|or|und|oder)[ ]{_PART}|(?<![\w'-])[\w'-]+[ ](?:and|und)[ ]{_PART}"
)
_LONGEST = 2_000
"""Characters of a message that are read."""
_MOST_VALUES = 20


def content_stems(text: str) -> list[str]:
    """The words of a text that carry meaning, in lower case; names split at underscores and capitals, a plural's ending cut."""
    words = (word.casefold() for word in _WORD.findall(_APART.sub(" ", text)))
    return [word[:-1] if len(word) > 3 and word.endswith("s") else word for word in words if class_of(word) in (OPEN, "verb")]


def argument_words(schema: Schema) -> list[str]:
    """The words of the arguments' names and of their fixed values."""
    return [
        word for name, node in schema["properties"].items() for word in content_stems(" ".join([name, *map(str, node.get("enum", ()))]))
    ]


class ZeroShotArguments:
    """The arguments of one call.

    Args:
        text: the message.
        schema: the normalised schema of the arguments.
        today: the day that `tomorrow` counts from, as YYYY-MM-DD; None for the day of reading.
    """

    def __init__(self, text: str, schema: Schema, today: str | None = None) -> None:
        self._text, self._schema, self._today = text[:_LONGEST], schema, today or ""
        self._stretches = stretches.stretches(self._text)
        self._taken: list[tuple[int, int]] = []

    def found(self) -> dict[str, Any]:
        """The arguments that the message states. Those whose form is surest are looked for first, and required ones before others."""
        properties, needed = self._schema["properties"], set(self._schema["required"])
        made: dict[str, Any] = {}
        for name in sorted(properties, key=lambda name: (self._rank(name, properties[name]), name not in needed)):
            value = self._value(name, properties[name], name in needed)
            if value is not None:
                made[name] = value
        return {name: made[name] for name in properties if name in made}

    def _rank(self, name: str, node: Schema) -> int:
        kind = kind_of(node)[0]
        if node.get("enum") or kind == "boolean":
            return 0
        if node.get("pattern") or node.get("format") or self._form_of(name, node):
            return 1
        return 2 if kind in ("integer", "number") else 4 if kind == "array" else 3

    def _form_of(self, name: str, node: Schema) -> str | None:
        """The kind of stretch that an argument's name or description asks for."""
        own = {*content_stems(name)}
        described = {*content_stems(str(node.get("description", "")))}
        for kind, words in _KINDS_BY_WORD.items():
            if own & set(words):
                return kind
        return next((kind for kind, words in _KINDS_BY_WORD.items() if described & set(words[:1])), None)

    def _value(self, name: str, node: Schema, needed: bool) -> Any:
        kind = kind_of(node)[0]
        if node.get("enum"):
            return self._choice([value for value in node["enum"] if value is not None], name)
        if kind in ("integer", "number"):
            return self._number(name, node, kind, needed)
        if kind == "boolean":
            return self._truth(name)
        if kind == "array":
            return self._list(name, node, needed)
        return self._string(name, node, needed) if kind == "string" else None

    def _choice(self, values: Sequence[Any], name: str) -> Any:
        """The value that the message names; of several the longest."""
        way = {"kind": "words", "values": list(values)}
        plain = " ".join(word.casefold() for word in _WORD.findall(self._text))
        said = [one for one in values if f" {' '.join(word.casefold() for word in _WORD.findall(str(one)))} " in f" {plain} "]
        if said:
            return max(said, key=lambda one: len(str(one)))
        words = [match.group() for match in _WORD.finditer(self._text) if class_of(match.group()) == OPEN]
        near = [value for word in words if (value := value_of(word, way, lambda _: True)) is not None]
        return near[0] if near else None

    def _truth(self, name: str) -> bool | None:
        own = content_stems(name)
        words = [word.casefold() for word in _WORD.findall(self._text)]
        stems = content_stems(self._text)
        if not own or not set(own) <= set(stems):
            return None
        place = next((at for at, word in enumerate(words) if word.startswith(own[0][:4])), 0)
        around = words[max(0, place - 3) : place]
        return not any(word in _FALSE_WORDS or class_of(word) == "not" for word in around)

    def _number(self, name: str, node: Schema, kind: str, needed: bool) -> Any:
        free = [place for place in self._free(stretches.NUMBER) if self._fits_number(place, kind)]
        if not free:
            return None
        worth = [self._worth(place, name, node) for place in free]
        if not needed and max(worth) < 1:
            return None
        start, end = free[int(np.argmax(worth))] if max(worth) > 0 else free[0]
        self._taken.append((start, end))
        value = numbers.read(self._text[start:end])
        return int(value) if kind == "integer" and value is not None else value

    def _fits_number(self, place: tuple[int, int], kind: str) -> bool:
        value = numbers.read(self._text[place[0] : place[1]])
        return value is not None and (kind != "integer" or float(value).is_integer())

    def _worth(self, place: tuple[int, int], name: str, node: Schema) -> float:
        """How much the words around a place are those of an argument: its name counts twice; words after it, such as a unit, count most."""
        named, described = set(content_stems(name)), set(content_stems(str(node.get("description", ""))))
        before = content_stems(" ".join(self._text[: place[0]].split()[-4:]))
        after = content_stems(" ".join(self._text[place[1] :].split()[:1]))  # a unit
        found = 0.0
        for far, word in enumerate(reversed(before)):
            found += (2.0 if word in named else 0.5 if word in described else 0.0) / (1 + far)
        for far, word in enumerate(after):
            found += (2.0 if word in named else 1.0 if word in described else 0.0) / (1 + far)
        return found

    def _list(self, name: str, node: Schema, needed: bool) -> Any:
        items = node.get("items", {"type": "string"})
        inner = kind_of(items)[0]
        if inner in ("integer", "number"):
            free = [place for place in self._free(stretches.NUMBER) if self._fits_number(place, inner)]
            if not free or not (needed or len(free) > 1):
                return None
            self._taken += free
            values = [numbers.read(self._text[start:end]) for start, end in free]
            return [int(value) if inner == "integer" and value is not None else value for value in values][:_MOST_VALUES]
        if inner != "string":
            return None
        if items.get("enum"):
            plain = self._text.casefold()
            said = [value for value in items["enum"] if value is not None and str(value).casefold().replace("_", " ") in plain]
            return said or None
        if not needed:
            return None
        quoted = [match.group(1) for match in _QUOTED.finditer(self._text)]
        return (quoted or self._listed() or [said for _, _, said in self._names()])[:_MOST_VALUES] or None

    def _listed(self) -> list[str]:
        """The parts of the first list of the form `a, b and c`."""
        found = _LIST.search(self._text)
        if found is None:
            return []
        parts = re.split(r",?[ ](?:and|or|und|oder)[ ]|,[ ]", found.group())
        return [self._trimmed(part) for part in parts if self._trimmed(part)]

    def _trimmed(self, words: str) -> str:
        """Words without small words at both ends."""
        parts = words.split()
        while parts and class_of(parts[0].strip(",.")) not in (OPEN,):
            parts = parts[1:]
        while parts and class_of(parts[-1].strip(",.")) not in (OPEN,):
            parts = parts[:-1]
        return " ".join(parts).strip(" ,.;:?!")

    def _string(self, name: str, node: Schema, needed: bool) -> Any:
        if node.get("pattern"):
            return self._patterned(node["pattern"])
        form = node.get("format") if node.get("format") in ("email", "date") else None
        form = {"email": stretches.EMAIL, "date": stretches.DAY}.get(form or "", self._form_of(name, node))
        if form is not None:
            return self._formed(form, node)
        if not needed:
            own = set(content_stems(name))
            said = self._behind([word for word in _WORD.findall(self._text) if {*content_stems(word)} & own]) if own else ""
            return said or self._by_role(name) or None
        said = self._by_role(name)
        if said:
            return said
        quoted = next((match for match in _QUOTED.finditer(self._text) if not self._is_taken(*match.span(1))), None)
        if quoted is not None:
            self._taken.append(quoted.span(1))
            return quoted.group(1)
        free = [one for one in self._names() if not self._is_taken(one[0], one[1])]
        if free:
            self._taken.append(free[0][:2])
            return free[0][2]
        return self._behind(_BEFORE["about"]) or self._behind(_BEFORE["in"]) or None

    def _by_role(self, name: str) -> str:
        own = {word.casefold() for word in _WORD.findall(_APART.sub(" ", name))}
        role = next((role for role, named in _ROLES.items() if set(named) & own), None)
        return self._behind(_BEFORE[role]) if role is not None else ""

    def _patterned(self, pattern: str) -> str | None:
        found = dict(stated_by_pattern(pattern, self._text, lambda value: re.search(pattern, value) is not None))
        return next(iter(found)) if len(found) == 1 else None

    def _formed(self, form: str, node: Schema) -> str | None:
        """The first free stretch of a kind as a text."""
        for start, end in self._free(form):
            words = self._text[start:end]
            self._taken.append((start, end))
            if form == stretches.DAY:
                day = dates.read(words) or (relative_days.read(words, self._day()) if node.get("format") == "date" else None)
                return day or (words if node.get("format") != "date" else None)
            return clock.read(words) if form == stretches.TIME else words
        return None

    def _day(self) -> datetime.date:
        return datetime.date.fromisoformat(self._today) if self._today else datetime.date.today()

    def _free(self, kind: str) -> list[tuple[int, int]]:
        return [(start, end) for start, end, own in self._stretches if own == kind and not self._is_taken(start, end)]

    def _is_taken(self, start: int, end: int) -> bool:
        return any(start < past and end > first for first, past in self._taken)

    def _behind(self, words: Sequence[str]) -> str:
        """The words behind one of some words: a name if one stands there, else up to the next sign or small word."""
        for word in words:
            for match in re.finditer(rf"(?<!\w){re.escape(word)}\s+(?:the\s+|an?\s+|der\s+|die\s+|das\s+|den\s+|dem\s+)?", self._text):
                rest = self._text[match.end() :]
                named = _CAPITALS.match(rest)
                said = (named[0] if named else _BOUNDARY.split(rest, maxsplit=1)[0]).strip(" .,;?!")
                if said and not self._is_taken(match.end(), match.end() + len(said)) and class_of(said) == OPEN:
                    self._taken.append((match.end(), match.end() + len(said)))
                    return said
        return ""

    def _names(self) -> list[tuple[int, int, str]]:
        """Runs of words in capitals; at the beginning of a sentence only if no small word or verb stands there."""
        found = []
        for match in _CAPITALS.finditer(self._text):
            said, start = match.group().rstrip(".'’"), match.start()
            first = said.split()[0]
            begins = not self._text[:start].strip() or self._text[:start].rstrip()[-1:] in ".?!"
            if begins and (class_of(first) != OPEN or len(said.split()) == 1):
                said, start = said[len(first) :].lstrip(), start + len(first) + 1
            if said and class_of(said) == OPEN:
                found.append((start, start + len(said), said))
        return found
