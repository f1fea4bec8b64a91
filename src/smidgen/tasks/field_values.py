"""Values of fields: convert them to the types of their schema, check them against it, and write them as a model learns to write them."""

from __future__ import annotations

import decimal
import json
import math
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from smidgen.tasks.field_schema import Schema, bare, kind_of

if TYPE_CHECKING:
    from jsonschema.protocols import Validator


_TRUTHS = {"true": True, "yes": True, "false": False, "no": False}
_LONGEST = 80  # characters of a value in a message


class FieldValues:
    """The values of one schema."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def settled(self, filled: Mapping[str, Any]) -> dict[str, Any]:
        """Convert an object to the schema's order and types: texts are stripped, missing values become null if null is allowed, and whole
        numbers become integers. It checks nothing else. Raises ValueError with the field and the reason."""
        return _object(filled, self.schema, "")

    def fault(self, filled: Any) -> str:
        """Why an object does not fit the schema, in words; empty if it fits."""
        found = min(self._validator.iter_errors(filled), key=lambda error: list(map(str, error.absolute_path)), default=None)
        if found is None:
            return ""
        place = ".".join(str(step) for step in found.absolute_path)
        said = found.message if len(found.message) <= 2 * _LONGEST else found.message[: 2 * _LONGEST - 1] + "…"
        return f"{place}: {said}" if place else said

    @cached_property
    def _validator(self) -> Validator:
        from jsonschema import Draft202012Validator

        return Draft202012Validator(bare(self.schema), format_checker=Draft202012Validator.FORMAT_CHECKER)


def settles(value: Any, node: Schema) -> bool:
    """Whether a value can be converted to the type of its part of a schema: texts without a NUL, finite numbers."""
    try:
        _value(value, node, "")
    except ValueError:
        return False
    return True


def _object(given: Mapping[str, Any], node: Schema, place: str) -> dict[str, Any]:
    strange = [name for name in given if name not in node["properties"] and not _blank(given[name])]
    if strange:
        raise ValueError(f"{_in(place, strange[0])} is not a field of the schema, which has {', '.join(node['properties'])}")
    made: dict[str, Any] = {}
    for name, field in node["properties"].items():
        value = given.get(name)
        nullable = kind_of(field)[1]
        if _blank(value) and (nullable or name not in node["required"]):
            if nullable:
                made[name] = None
            continue
        made[name] = _value(value, field, _in(place, name))
    return made


def _value(value: Any, node: Schema, place: str) -> Any:
    kind, nullable = kind_of(node)
    if value is None:
        if nullable:
            return None
        raise ValueError(f"{place} has no value, and the schema asks for one")
    if kind == "string":
        return _text(value, place)
    if kind in ("integer", "number"):
        return _number(value, kind, place)
    if kind == "boolean":
        found = _TRUTHS.get(value.strip().casefold()) if isinstance(value, str) else value
        if not isinstance(found, bool):
            raise ValueError(f"{place} is true or false, not {_shown(value)}")
        return found
    value = _read(value)
    if kind == "array":
        if not isinstance(value, list | tuple):
            raise ValueError(f"{place} is a list, not {_shown(value)}")
        return [_value(one, node["items"], f"{place}[{number}]") for number, one in enumerate(value)]
    if not isinstance(value, Mapping):
        raise ValueError(f"{place} is an object, not {_shown(value)}")
    return _object(value, node, place)


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{place} is a text, not {_shown(value)}")
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError(f"{place} holds a NUL or half a character")
    return value.strip()


def _number(value: Any, kind: str, place: str) -> int | float:
    found = value
    if isinstance(value, str):
        try:
            found = float(value) if not value.strip().lstrip("+-").isdigit() else int(value)
        except ValueError:
            found = None
    if isinstance(found, bool) or not isinstance(found, int | float) or found != found or found in (float("inf"), float("-inf")):
        raise ValueError(f"{place} is a {'whole ' if kind == 'integer' else ''}number, not {_shown(value)}")
    if found == int(found):
        return int(found)
    if kind == "integer":
        raise ValueError(f"{place} is a whole number, not {_shown(value)}")
    return found


def _read(value: Any) -> Any:
    """Parse a cell that holds a list or an object as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _in(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def written(value: Any) -> str:
    """JSON without blanks, in the given order. A fraction has all of its decimals and no exponent (0.00005, not 5e-05), because a model
    constrained to a number of decimals could not write the exponent."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(name, ensure_ascii=False)}:{written(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(written, value)) + "]"
    if isinstance(value, float) and math.isfinite(value):
        return format(decimal.Decimal(repr(value)), "f")
    return json.dumps(value, ensure_ascii=False)
