"""The arguments of a call: what a tool's schema may say, and whether given arguments fit it.

Arguments come from a model, and through it from a customer. So they are cleaned, held to the schema, and bounded, before anything else
sees them.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smidgen.core.conversations import Facts
from smidgen.core.printable import whole
from smidgen.tools.definition import LONGEST_ARGUMENT, NAME, Tool

TYPES = ("string", "integer", "number", "boolean", "array", "object")
_MOST_ARGUMENTS = 30
_MOST_BYTES = 16_000
_DEEPEST = 5
_GREATEST = 2**53
LONGEST_TEXT = 2000
"""The greatest `maxLength` of a text argument."""
_LONGEST_PATTERN = 300
_SLOW_PATTERN = re.compile(r"\([^()]*[+*}][^()]*\)[+*{]|\\[1-9]|\(\?[<!=P(]")
"""A repetition of a repetition, a back-reference, a lookaround: patterns that can take very long on a short text."""
_JOINERS = "\u200c\u200d"
_SHORT_FORMS = ("pattern", "enum", "const", "format")


@dataclass(frozen=True, slots=True)
class CheckedArguments:
    """Arguments held to a tool's schema.

    Attributes:
        values: those that fit, cleaned.
        missing: required ones that were not given.
        mistakes: why others do not fit, by name.
    """

    values: Facts
    missing: tuple[str, ...]
    mistakes: Mapping[str, str]

    @property
    def valid(self) -> bool:
        """Whether a call may be made with them."""
        return not self.missing and not self.mistakes


def check_arguments(tool: Tool, given: Mapping[str, Any]) -> CheckedArguments:
    """Clean the arguments of a call, and hold them to the tool's schema."""
    values: dict[str, Any] = {}
    mistakes: dict[str, str] = {}
    for name, value in list(given.items())[: _MOST_ARGUMENTS + 1]:
        if name not in tool.properties:
            mistakes[str(name)[:64]] = "the tool has no such argument"
            continue
        cleaned = _cleaned(value, tool.properties[name])
        if cleaned is None or cleaned == "":  # not said; "" is never an answer to a question
            continue
        if fault := _fault(tool.properties[name], cleaned):
            mistakes[name] = fault
        else:
            values[name] = cleaned
    missing = tuple(name for name in tool.required if name not in values and name not in mistakes)
    if not mistakes and _size(values) > _MOST_BYTES:
        mistakes[next(iter(values))] = f"the arguments together are longer than {_MOST_BYTES} bytes"
    if not mistakes and not missing:
        mistakes |= _together(tool, values)
    return CheckedArguments(values, missing, mistakes)


def schema_mistakes(schema: Mapping[str, Any]) -> list[str]:
    """Every reason why arguments cannot be held to a schema."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(dict(schema))
    except SchemaError as error:
        return [f"{'.'.join(map(str, error.absolute_path)) or 'the schema'}: {error.message[:200]}"]
    properties = schema.get("properties", {})
    found = []
    if schema.get("type") != "object" or not isinstance(properties, Mapping):
        return ["the schema: an object with properties is expected"]
    if len(properties) > _MOST_ARGUMENTS:
        found.append(f"the schema: it has more than {_MOST_ARGUMENTS} arguments")
    for name in properties:
        if not NAME.fullmatch(name):
            found.append(f"{name[:64]}: an argument's name has lower-case letters, digits and underscores, and begins with a letter")
    found += [f"{name}: it is required, but not among the properties" for name in schema.get("required", ()) if name not in properties]
    for place, node in _nodes(schema, ""):
        if "$ref" in node or "$dynamicRef" in node:
            found.append(f"{place or 'the schema'}: a reference is not allowed here")
        if isinstance(node.get("maxLength"), int) and node["maxLength"] > LONGEST_TEXT:
            found.append(f"{place}: maxLength is at most {LONGEST_TEXT}")
        pattern = node.get("pattern")
        if isinstance(pattern, str) and (fault := _pattern_fault(pattern)):
            found.append(f"{place or 'the schema'}: {fault}")
    return found


def _pattern_fault(pattern: str) -> str:
    if len(pattern) > _LONGEST_PATTERN:
        return f"its pattern is longer than {_LONGEST_PATTERN} characters"
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"its pattern cannot be read ({error})"
    return "its pattern could take very long: repeat no group that repeats, and use no lookaround" if _SLOW_PATTERN.search(pattern) else ""


def _nodes(node: Any, place: str, depth: int = 0) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every mapping in a schema, with its place."""
    if depth > 20:
        return
    if isinstance(node, Mapping):
        yield place, node
        for name, inner in node.items():
            yield from _nodes(inner, f"{place}.{name}" if place else str(name), depth + 1)
    elif isinstance(node, list | tuple):
        for inner in node:
            yield from _nodes(inner, place, depth + 1)


def _cleaned(value: Any, schema: Mapping[str, Any], depth: int = 0) -> Any:
    """A value without control, direction and invisible characters. Line breaks stay in free text only."""
    if isinstance(value, str):
        free = not any(name in schema for name in _SHORT_FORMS)
        text = unicodedata.normalize("NFC", whole(value[: LONGEST_TEXT + 1]))
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " ")
        kept = (char for char in text if _kept(char, free))
        return "".join(kept).strip()
    if depth >= _DEEPEST:
        return value
    if isinstance(value, Mapping):
        inner = schema.get("properties", {})
        return {str(name): _cleaned(part, inner.get(name, {}), depth + 1) for name, part in value.items()}
    if isinstance(value, list | tuple):
        items = schema.get("items", {})
        return [_cleaned(part, items if isinstance(items, Mapping) else {}, depth + 1) for part in value]
    return value


def _kept(char: str, free: bool) -> bool:
    kind = unicodedata.category(char)
    if kind in ("Cc", "Cf", "Co", "Cn", "Zl", "Zp"):
        return free and (char == "\n" or char in _JOINERS)
    return True


def _fault(schema: Mapping[str, Any], value: Any) -> str:
    """Why a cleaned value does not fit; empty if it does."""
    if fault := _unbounded(value, schema.get("maxLength")):
        return fault
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(dict(schema), format_checker=Draft202012Validator.FORMAT_CHECKER)
    for error in validator.iter_errors(value):
        if error.validator == "pattern":
            return "it does not have the expected form"
        if error.validator == "enum":
            return f"it is none of: {', '.join(map(str, error.validator_value))}"[:300]
        return str(error.message)[:300]
    return ""


def _unbounded(value: Any, longest: Any, depth: int = 0) -> str:
    """Why a value is too large, too deep or not JSON; empty if it is fine."""
    if isinstance(value, str):
        most = longest if isinstance(longest, int) else LONGEST_ARGUMENT
        return f"it is longer than {most} characters" if len(value) > most else ""
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, int | float):
        return "" if math.isfinite(value) and abs(value) <= _GREATEST else "the number is too large"
    if depth >= _DEEPEST:
        return f"it is nested more than {_DEEPEST} deep"
    parts = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, list) else None
    if parts is None:
        return "it is no JSON value"
    return next((fault for part in parts if (fault := _unbounded(part, None, depth + 1))), "")


def _together(tool: Tool, values: Mapping[str, Any]) -> dict[str, str]:
    """Mistakes that only show with all arguments together (`anyOf`, `dependentRequired`)."""
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(dict(tool.schema), format_checker=Draft202012Validator.FORMAT_CHECKER)
    for error in validator.iter_errors(dict(values)):
        name = str(error.absolute_path[0]) if error.absolute_path else next(iter(tool.properties), "")
        return {name: str(error.message)[:300]}
    return {}


def _size(values: Mapping[str, Any]) -> int:
    return len(json.dumps(values, ensure_ascii=False).encode("utf-8", "replace"))
