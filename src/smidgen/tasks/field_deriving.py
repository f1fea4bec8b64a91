"""A schema from examples, where none is given: what fields there are, of which type, and which of them only ever say a few things."""

from __future__ import annotations

import datetime
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from smidgen.core.rows import Cells
from smidgen.tasks.field_schema import Schema

_FEWEST, _OFTEN, _MOST_CHOICES, _LONGEST_CHOICE = 20, 5, 20, 40
_WHOLE = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,14})")
_POINT = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,14})\.[0-9]{1,10}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TRUTHS = ("true", "false")


def derived(objects: Sequence[Mapping[str, Any]]) -> Schema:
    """The schema that all objects fit: fields in the order in which they first come, required where always there, null where it is
    found, an `enum` where few texts come again and again. Raises ValueError for a field whose values are of several types."""
    return _object(objects, "", any(isinstance(one, Cells) for one in objects))


def _object(objects: Sequence[Mapping[str, Any]], place: str, cells: bool) -> Schema:
    names = list(dict.fromkeys(name for one in objects for name in one))
    fields = {name: _field([one[name] for one in objects if name in one], f"{place}{name}", cells) for name in names}
    # A field that nobody ever filled in teaches nothing.
    found = {name: field for name, field in fields.items() if field}
    required = [name for name in found if all(name in one for one in objects)]
    return {"type": "object", "properties": found, "required": required, "additionalProperties": False}


def _field(values: Sequence[Any], place: str, cells: bool) -> Schema:
    filled = [value for value in values if not (value is None or (isinstance(value, str) and not value.strip()))]
    if not filled:
        return {}
    nullable = len(filled) < len(values)
    made = _typed(filled, place, cells)
    return {**made, "type": [made["type"], "null"], **({"enum": [*made["enum"], None]} if "enum" in made else {})} if nullable else made


def _typed(values: Sequence[Any], place: str, cells: bool) -> Schema:
    kinds = Counter(_kind(value) for value in values)
    if set(kinds) == {"integer", "number"}:
        kinds = Counter({"number": len(values)})
    if len(kinds) > 1:
        (one, _), (other, _) = kinds.most_common(2)
        shown = next(json.dumps(value, ensure_ascii=False, default=str) for value in values if _kind(value) == other)
        raise ValueError(f"the field {place!r} is mostly {one}, and {other} in {kinds[other]} rows, such as {shown[:60]}")
    (kind,) = kinds
    if kind == "object":
        return _object(values, f"{place}.", cells=False)
    if kind == "array":
        return {"type": "array", "items": _field([one for value in values for one in value], f"{place}[]", False) or {"type": "string"}}
    return _text([value.strip() for value in values], cells) if kind == "string" else {"type": kind}


def _text(values: Sequence[str], cells: bool) -> Schema:
    """Texts; out of a file that knows nothing else, they may be numbers. A number that begins with a nought is a text: it is a name."""
    if cells and all(_WHOLE.fullmatch(value) for value in values):
        return {"type": "integer"}
    if cells and all(_WHOLE.fullmatch(value) or _POINT.fullmatch(value) for value in values):
        return {"type": "number"}
    if cells and all(value.lower() in _TRUTHS for value in values):
        return {"type": "boolean"}
    if all(_is_date(value) for value in values):
        return {"type": "string", "format": "date"}
    counts = Counter(values)
    choices = len(values) >= _FEWEST and len(counts) <= _MOST_CHOICES and _OFTEN * len(counts) <= len(values)
    if choices and min(counts.values()) > 1 and max(map(len, counts)) <= _LONGEST_CHOICE:
        return {"type": "string", "enum": sorted(counts)}
    return {"type": "string"}


def _is_date(value: str) -> bool:
    try:
        return bool(_DATE.fullmatch(value)) and bool(datetime.date.fromisoformat(value))
    except ValueError:
        return False


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    if isinstance(value, float):
        return "number"
    return "string" if isinstance(value, str) else "object" if isinstance(value, Mapping) else "array"
