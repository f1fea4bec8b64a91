"""Find the value of a tool's argument in a customer's own words, by the argument's schema: pattern, choices, format or type.

Nothing is guessed: two different values that fit are none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from smidgen.apps.tools.arguments import check_arguments
from smidgen.apps.tools.definition import Tool
from smidgen.text import numbers

_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_WORD = re.compile(r"[^\s,;:!?\"()]+")
_PREFIX = re.compile(r"\^?(?:\(\?:)?([A-Za-z]{1,6}[-/. ]?)(?=[\[\\(])")
_LONGEST_FREE = 200
_MOST_WORDS = 400


def spoken_argument(tool: Tool, name: str, message: str, asked: bool) -> Any:
    """The value of an argument in a message; None if the message does not say it.

    Args:
        tool: the tool.
        name: the argument.
        message: the customer's words.
        asked: whether the customer was just asked for this argument alone: then free text is the whole message.
    """
    schema = tool.properties.get(name, {})
    found = _candidates(schema, message)
    if not found and asked and _is_free(schema) and len(message) <= _LONGEST_FREE:
        found = [message.strip()]
    fitting = []
    for value in found:
        checked = check_arguments(tool, {name: value})
        if name in checked.values and name not in checked.mistakes and checked.values[name] not in fitting:
            fitting.append(checked.values[name])
    return fitting[0] if len(fitting) == 1 else None


def _is_free(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "string" and not any(name in schema for name in ("pattern", "enum", "format", "const"))


def _candidates(schema: Mapping[str, Any], message: str) -> list[Any]:
    """Values in a message that may be meant; the schema decides."""
    if isinstance(choices := schema.get("enum"), list | tuple):
        folded = message.casefold()
        return [choice for choice in choices if re.search(rf"(?<!\w){re.escape(str(choice).casefold())}(?!\w)", folded)]
    if isinstance(pattern := schema.get("pattern"), str):
        return _by_pattern(pattern, message)
    if schema.get("format") == "email" or schema.get("format") == "idn-email":
        return [found.rstrip(".") for found in _EMAIL.findall(message)]
    if schema.get("format") == "date":
        return list(_DATE.findall(message))
    if schema.get("type") in ("integer", "number"):
        read = (numbers.read(message[start:end]) for start, end in numbers.find(message))
        return [value for value in read if value is not None and (schema["type"] == "number" or float(value).is_integer())]
    return []


def _by_pattern(pattern: str, message: str) -> list[str]:
    """Runs of up to four words that fit a pattern as a whole, as they stand or in capitals; longer runs hide the shorter ones in them."""
    words = list(_WORD.finditer(message))[:_MOST_WORDS]
    whole = re.compile(pattern)
    # "20103" for "FH-20103": a customer leaves out what all have in common.
    prefixes = [found[1]] if (found := _PREFIX.match(pattern)) else []
    places: list[tuple[int, int, str]] = []
    for count in (4, 3, 2, 1):
        for place in range(len(words) - count + 1):
            start, end = words[place].start(), words[place + count - 1].end()
            text = message[start:end].rstrip(".'’")
            forms = (text, text.upper(), *(f"{prefix}{text}" for prefix in prefixes))
            fits = next((form for form in forms if whole.fullmatch(form)), None)
            if fits is not None and not any(start < other and before < end for before, other, _ in places):
                places.append((start, end, fits))
    return list(dict.fromkeys(value for _, _, value in places))
