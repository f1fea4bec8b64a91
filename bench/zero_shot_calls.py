"""Calls of functions that a program has never seen: a function by likeness of texts, arguments by rules over names and descriptions.

A first line to measure later work against. Its only fitted number, the likeness from which a function is called, comes from `own_tools`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from smidgen.text import dates, numbers

Vectors = Callable[[Sequence[str]], Any]
_WORD = re.compile(r"[^\W_]+")
_QUOTED = re.compile(r"['\"“‘]([^'\"”’]{1,80})['\"”’]")
_NAMES = re.compile(r"(?:[A-Z][\w.&'-]*|of|the|de|and)(?:[ ](?:[A-Z][\w.&'-]*|of|the|de))*")
_AFTER = {"from": ("from",), "to": ("to",), "in": ("in", "at", "near"), "of": ("of",), "by": ("by",), "for": ("for",)}
_ROLES = {
    "from": ("from", "start", "origin", "departure", "source"),
    "to": ("to", "end", "destination", "arrival", "target"),
    "in": ("location", "city", "country", "place", "state", "region", "area"),
    "by": ("author", "artist", "composer", "director", "painter"),
}
_STOPS = frozenset(
    [
        "a",
        "an",
        "the",
        "of",
        "to",
        "in",
        "for",
        "and",
        "or",
        "is",
        "are",
        "be",
        "what",
        "how",
        "i",
        "me",
        "my",
        "you",
        "your",
        "on",
        "at",
        "with",
        "from",
        "by",
        "it",
        "this",
        "that",
    ]
)
_CAPITAL_STOPS = frozenset(
    [
        "What",
        "How",
        "Find",
        "Calculate",
        "Get",
        "Can",
        "Could",
        "Please",
        "I",
        "Is",
        "Who",
        "When",
        "Where",
        "Which",
        "Show",
        "Give",
        "Tell",
        "The",
        "A",
        "An",
        "Book",
        "Search",
    ]
)


def words(text: str) -> list[str]:
    """Words in lower case, names split at underscores and capitals, endings cut."""
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower()
    return [word[:-1] if len(word) > 3 and word.endswith("s") else word for word in _WORD.findall(apart) if word not in _STOPS]


def told(function: Mapping[str, Any]) -> str:
    """A function as a text."""
    return f"{' '.join(words(function['name']))}: {function.get('description', '')}"


def _argument_words(function: Mapping[str, Any]) -> list[str]:
    """The words of the arguments' names and of their fixed values."""
    properties = function["parameters"].get("properties", {})
    return [word for name, node in properties.items() for word in words(" ".join([name, *map(str, node.get("enum") or ())]))]


def likeness(question: str, functions: Sequence[Mapping[str, Any]], vectors: Vectors) -> list[float]:
    """How alike a question and each function are: the cosine of their vectors, and the share of the question's words in the function."""
    table = np.asarray(vectors([question, *map(told, functions)]))
    table = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9)
    asked = set(words(question))
    shares = [len(asked & {*words(told(one)), *_argument_words(one)}) / max(1, len(asked)) for one in functions]
    return [float(cosine + 0.5 * share) for cosine, share in zip(table[1:] @ table[0], shares, strict=True)]


def call(question: str, functions: Sequence[Mapping[str, Any]], vectors: Vectors, least: float) -> dict[str, Any] | None:
    """The call of the likest function, or None if none is like enough."""
    alike = likeness(question, functions, vectors)
    best = int(np.argmax(alike))
    if alike[best] < least:
        return None
    return {"tool": functions[best]["name"], "arguments": Arguments(question, functions[best]).found()}


class Arguments:
    """The arguments of one call."""

    def __init__(self, question: str, function: Mapping[str, Any]) -> None:
        self._text, self._schema = question, function["parameters"]
        self._required = set(self._schema.get("required", ()))
        self._dates = dates.find(question)
        inside = [False] * (len(question) + 1)
        for start, end in self._dates:
            inside[start:end] = [True] * (end - start)
        self._numbers = [(a, b, numbers.read(question[a:b])) for a, b in numbers.find(question) if not inside[a]]
        self._taken: set[tuple[int, int]] = set()

    def found(self) -> dict[str, Any]:
        """The arguments that the question states; required ones first, as they are likelier to be stated."""
        made: dict[str, Any] = {}
        properties = self._schema.get("properties", {})
        for name in sorted(properties, key=lambda name: name not in self._required):
            value = self._value(name, properties[name], name in self._required)
            if value is not None:
                made[name] = value
        return {name: made[name] for name in properties if name in made}

    def _value(self, name: str, node: Mapping[str, Any], needed: bool) -> Any:
        kind = str(node.get("type"))
        if node.get("enum"):
            return self._choice(node["enum"], needed)
        if kind in ("integer", "float", "number"):
            return self._number(name, node, kind, needed)
        if kind == "boolean":
            return True if needed or set(words(name)) <= set(words(self._text)) else None
        if kind in ("array", "tuple"):
            return self._list(node, needed)
        return self._string(name, node, needed) if kind in ("string", "any") else None

    def _choice(self, values: Sequence[Any], needed: bool) -> Any:
        plain = " ".join(_WORD.findall(self._text.lower()))
        said = [one for one in values if " ".join(_WORD.findall(str(one).lower().replace("_", " "))) in plain]
        if said:
            return max(said, key=lambda one: len(str(one)))
        shared = [len(set(words(str(one))) & set(words(self._text))) for one in values]
        return values[int(np.argmax(shared))] if needed or max(shared, default=0) else None

    def _number(self, name: str, node: Mapping[str, Any], kind: str, needed: bool) -> Any:
        free = [one for one in self._numbers if one[:2] not in self._taken and one[2] is not None]
        own = {*words(name), *words(str(node.get("description", "")))}
        worth = [
            len(own & set(words(self._around(one)))) + (0.5 if set(words(name)) & set(words(self._around(one))) else 0) for one in free
        ]
        if not free or (not needed and max(worth) < 1):
            return None
        chosen = free[int(np.argmax(worth))] if max(worth) > 0 else free[0]
        self._taken.add(chosen[:2])
        value = chosen[2]
        assert value is not None
        percent = self._text[chosen[1] : chosen[1] + 1] == "%" and kind != "integer"
        return value / 100 if percent else int(value) if kind == "integer" else value

    def _around(self, place: tuple[int, int, Any]) -> str:
        before, after = self._text[: place[0]].split()[-3:], self._text[place[1] :].split()[:3]
        return " ".join([*before, *after])

    def _list(self, node: Mapping[str, Any], needed: bool) -> Any:
        inner = str((node.get("items") or {}).get("type", "string"))
        if inner in ("integer", "float", "number"):
            free = [one for one in self._numbers if one[:2] not in self._taken and one[2] is not None]
            if free and (needed or len(free) > 1):
                self._taken.update(one[:2] for one in free)
                return [int(one[2]) if inner == "integer" else one[2] for one in free]
            return None
        if not needed:
            return None
        quoted = _QUOTED.findall(self._text)
        return quoted or [words_ for _, words_ in self._names()] or None

    def _string(self, name: str, node: Mapping[str, Any], needed: bool) -> Any:
        own = {*words(name), *words(str(node.get("description", "")))}
        if "date" in own and self._dates:
            start, end = self._dates[0]
            return dates.read(self._text[start:end], day_first=False) or self._text[start:end]
        if not needed:
            return None
        role = next((role for role, named in _ROLES.items() if set(named) & set(words(name))), None)
        if role is not None and (said := self._behind(_AFTER[role])):
            return said
        quoted = [one for one in _QUOTED.findall(self._text) if one not in self._taken]
        if quoted:
            return quoted[0]
        free = [(place, said) for place, said in self._names() if (place, place + len(said)) not in self._taken]
        if free:
            self._taken.add((free[0][0], free[0][0] + len(free[0][1])))
            return free[0][1]
        return self._behind(("of", "for", "about", "in")) or None

    def _behind(self, prepositions: Sequence[str]) -> str:
        """The words behind a preposition: a name if one stands there, else up to the next sign or small word."""
        for word in prepositions:
            for match in re.finditer(rf"\b{word}\s+(?:the\s+|a\s+|an\s+)?", self._text):
                rest = self._text[match.end() :]
                named = _NAMES.match(rest)
                said = named[0] if named else re.split(r"[,.?!;]|\s(?:in|on|at|for|from|to|with|by|and|using|that|is|of)\s", rest)[0]
                place = (match.end(), match.end() + len(said))
                if said.strip() and place not in self._taken:
                    self._taken.add(place)
                    return said.strip()
        return ""

    def _names(self) -> list[tuple[int, str]]:
        """Words in capitals that begin no sentence, joined where they follow one another."""
        return [
            (match.start(), match[0])
            for match in _NAMES.finditer(self._text)
            if match[0][0].isupper() and match[0].split()[0] not in _CAPITAL_STOPS and match[0] not in ("of", "the", "and")
        ]
