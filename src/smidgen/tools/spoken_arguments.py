"""Find the value of a tool's argument in a customer's own words, by the argument's schema: pattern, choices, format or type.

Nothing is guessed: two different values that fit are none. An argument that is the whole message is that, and takes nothing from others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smidgen.text import numbers
from smidgen.tools.arguments import check_arguments
from smidgen.tools.definition import Tool

_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_WORD = re.compile(r"[^\s,;:!?\"()]+")
_PREFIX = re.compile(r"\^?(?:\(\?:)?([A-Za-z]{1,6}[-/. ]?)(?=[\[\\(])")
_ARTICLE = re.compile(r"^(?:the|an?|der|die|das|den|dem|eine?[nmr]?)\s+(?=\S)", re.IGNORECASE)
_LONGEST_FREE = 200
_MOST_WORDS = 400


@dataclass(frozen=True, slots=True)
class SpokenValue:
    """A value in a message, with its place: characters from `start` to `end`."""

    value: Any
    start: int
    end: int


def spoken_arguments(tool: Tool, names: Sequence[str], message: str, asked: bool = False) -> dict[str, Any]:
    """The values of arguments in a message, by name. What one argument takes is no other's.

    Args:
        tool: the tool.
        names: the arguments, in the order in which they choose.
        message: the customer's words.
        asked: whether the customer was just asked for the one argument in `names`: then free text is the whole message.
    """
    found: dict[str, Any] = {}
    for name in tool.whole_messages:
        if name in names and name in (values := check_arguments(tool, {name: message}).values):
            found[name] = values[name]
    for name in (one for one in names if one not in tool.whole_messages):
        spoken = _spoken_value(tool, name, message, asked and len(names) == 1)
        if spoken is not None:
            found[name] = spoken.value
            message = message[: spoken.start] + " " * (spoken.end - spoken.start) + message[spoken.end :]
    return found


def _spoken_value(tool: Tool, name: str, message: str, asked: bool) -> SpokenValue | None:
    """The value of an argument in a message; None if the message does not say it, or says several."""
    schema = tool.properties.get(name, {})
    found = list(_candidates(schema, message))
    if not found and asked and _is_free(schema) and len(message) <= _LONGEST_FREE:
        found = [SpokenValue(_ARTICLE.sub("", message.strip()), 0, len(message))]
    fitting: list[SpokenValue] = []
    for spoken in found:
        checked = check_arguments(tool, {name: spoken.value})
        if name in checked.values and name not in checked.mistakes:
            value = checked.values[name]
            if all(other.value != value for other in fitting):
                fitting.append(SpokenValue(value, spoken.start, spoken.end))
    return fitting[0] if len(fitting) == 1 else None


def _is_free(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "string" and not any(name in schema for name in ("pattern", "enum", "format", "const"))


def _candidates(schema: Mapping[str, Any], message: str) -> Iterator[SpokenValue]:
    """Values in a message that may be meant; the schema decides."""
    if isinstance(choices := schema.get("enum"), list | tuple):
        folded = message.casefold()
        for choice in choices:
            for found in re.finditer(rf"(?<!\w){re.escape(str(choice).casefold())}(?!\w)", folded):
                yield SpokenValue(choice, *found.span())
    elif isinstance(pattern := schema.get("pattern"), str):
        yield from _by_pattern(pattern, message)
    elif schema.get("format") in ("email", "idn-email"):
        for found in _EMAIL.finditer(message):
            yield SpokenValue(found[0].rstrip("."), *found.span())
    elif schema.get("format") == "date":
        for found in _DATE.finditer(message):
            yield SpokenValue(found[0], *found.span())
    elif schema.get("type") in ("integer", "number"):
        for start, end in numbers.find(message):
            value = numbers.read(message[start:end])
            if value is not None and (schema["type"] == "number" or float(value).is_integer()):
                yield SpokenValue(value, start, end)


def _bare(text: str, prefix: str) -> str:
    """A text without the letters that all values begin with, and what joins them: "20103" of "fh 20103"."""
    letters = prefix.rstrip("-/. ")
    rest = text[len(letters) :] if text.upper().startswith(letters.upper()) else text
    return rest.lstrip(" -/.:#").replace(" ", "")


def _by_pattern(pattern: str, message: str) -> list[SpokenValue]:
    """Runs of up to four words that fit a pattern as a whole, as they stand or in capitals; longer runs hide the shorter ones in them."""
    words = list(_WORD.finditer(message))[:_MOST_WORDS]
    whole = re.compile(pattern)
    # "20103" for "FH-20103": a customer leaves out what all have in common.
    prefixes = [found[1]] if (found := _PREFIX.match(pattern)) else []
    places: list[SpokenValue] = []
    for count in (4, 3, 2, 1):
        for place in range(len(words) - count + 1):
            start, end = words[place].start(), words[place + count - 1].end()
            text = message[start:end].rstrip(".'’")
            forms = (text, text.upper(), *(f"{prefix}{_bare(text, prefix)}" for prefix in prefixes))
            fits = next((form for form in forms if whole.fullmatch(form)), None)
            if fits is not None and not any(start < other.end and other.start < end for other in places):
                places.append(SpokenValue(fits, start, end))
    return places
