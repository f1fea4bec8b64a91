"""Schemas of fields: read the part of JSON Schema that describes fields, normalise it, or derive a schema from examples.

A schema is an object with `properties`; each is a text, an integer, a number, a boolean, a list or an object again, and may be
nullable: the output of a Pydantic model's `model_json_schema()` for such fields. A schema that answers cannot be constrained to or
checked against is refused with all reasons.
"""

from __future__ import annotations

import datetime
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from smidgen.core.errors import RecipeError
from smidgen.core.rows import RowCells

Schema = dict[str, Any]
"""A normalised schema: `type` is a name, or `[name, "null"]`; references are resolved; objects have `properties`, `required` and
`additionalProperties: false`; of the annotations only descriptions stay."""

FORMATS = ("date", "email", "uuid")
_NOTES = ("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment")
_ROOT = ("$schema", "$id", "$defs", "definitions")
_OF: dict[str, tuple[str, ...]] = {
    "object": ("properties", "required", "additionalProperties"),
    "array": ("items", "minItems", "maxItems"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    "boolean": (),
}
_MOST_BYTES = 1_000_000
_DEEPEST = 6
_MOST_FIELDS = 200
_LONGEST_NAME = 100
_HARD_PATTERN = re.compile(r"\(\?(?!:)|\\[bB1-9]")
"""Constructs that a pattern must not have: lookaround, conditions, back-references, word boundaries."""


def read(file: str) -> Schema:
    """Read the schema in a file. Raises RecipeError with all mistakes in it."""
    path = Path(file)
    if not path.is_file():
        raise RecipeError("tasks.there_is_no_such_schema", value=file)
    if path.stat().st_size > _MOST_BYTES:
        raise RecipeError("tasks.schema_is_too_large", path=file, st_size=path.stat().st_size)
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise RecipeError("tasks.schema_is_not_json", value=file, error=error) from None
    schema, mistakes = normal(given)
    if mistakes:
        raise RecipeError(
            "tasks.answers_cannot_be_held_to_this_schema" if isinstance(given, Mapping) else "tasks.this_is_not_schema",
            value=file,
            mistakes=mistakes,
        )
    return schema


def normal(given: Any) -> tuple[Schema, list[str]]:
    """Normalise a schema. Returns it and all mistakes with their places; with mistakes the schema is unusable."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    if not isinstance(given, Mapping):
        return {}, ["an object with properties is expected"]
    try:
        Draft202012Validator.check_schema(dict(given))
    except SchemaError as error:
        return {}, [f"{'.'.join(map(str, error.absolute_path)) or 'the schema'}: {error.message}"]
    reading = _SchemaReader(given)
    schema = reading.node({name: value for name, value in given.items() if name not in _ROOT}, "", 0)
    if not reading.mistakes and schema.get("type") != "object":
        reading.mistakes.append(f"the schema: an object is expected, not {schema.get('type')}")
    if not reading.mistakes and not schema["properties"]:
        reading.mistakes.append("the schema: it has no properties")
    return schema, reading.mistakes


class _SchemaReader:
    """One pass over a schema."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._fields = 0
        self._following: list[str] = []
        self.mistakes: list[str] = []

    def node(self, given: Any, place: str, depth: int) -> Schema:
        """Normalise a part of the schema."""
        called = place or "the schema"
        if not isinstance(given, Mapping):
            return self._fault(called, "an object is expected, not " + json.dumps(given))
        if depth > _DEEPEST:
            return self._fault(called, f"it is nested more than {_DEEPEST} deep, or refers to itself")
        if "$ref" in given:
            return self._followed(given, place, depth)
        if "anyOf" in given or "oneOf" in given:
            return self._either(given, place, depth)
        known = {name: value for name, value in given.items() if name not in _NOTES or name == "description"}
        if "const" in known:
            known["enum"] = [known.pop("const")]
        kind, nullable = self._kind(known, called)
        if kind is None:
            return {}
        strange = [name for name in known if name not in (*_OF[kind], "type", "enum", "description")]
        for name in strange:
            near = next((other for other, names in _OF.items() if name in names), None)
            self._fault(called, f"{name!r} {f'goes with {near}, not {kind}' if near else 'is not supported'}")
        made: Schema = {"type": [kind, "null"] if nullable else kind}
        if isinstance(known.get("description"), str) and known["description"].strip():
            made["description"] = " ".join(known["description"].split())
        made |= {name: known[name] for name in _OF[kind] if name in known and name not in ("properties", "required", "items")}
        if "enum" in known:
            values = [value for value in known["enum"] if value is not None]
            made["enum"] = [*dict.fromkeys(values), None] if nullable else list(dict.fromkeys(values))
        if kind == "object":
            return self._object(known, made, place, depth)
        if kind == "array":
            made["items"] = self.node(known["items"], f"{place}[]", depth + 1) if "items" in known else self._fault(called, "no items")
        if kind == "string":
            self._string(made, called)
        return made

    def _object(self, known: Mapping[str, Any], made: Schema, place: str, depth: int) -> Schema:
        called = place or "the schema"
        if known.get("additionalProperties", False) is not False:
            self._fault(called, "additionalProperties must be false, or left out: the names of all fields must be known")
        fields = known.get("properties", {})
        self._fields += len(fields)
        if self._fields > _MOST_FIELDS:
            return self._fault(called, f"it has more than {_MOST_FIELDS} fields")
        for name in fields:
            if not name.strip() or len(name) > _LONGEST_NAME or "." in name:
                self._fault(called, f"a field cannot be called {name[:40]!r}: 1 to {_LONGEST_NAME} characters, no dot")
        unknown = [name for name in known.get("required", ()) if name not in fields]
        for name in unknown:
            self._fault(called, f"required names {name!r}, which is not a property")
        made["properties"] = {name: self.node(field, f"{place}.{name}" if place else name, depth + 1) for name, field in fields.items()}
        made["required"] = [name for name in fields if name in known.get("required", ())]
        made["additionalProperties"] = False
        return made

    def _string(self, made: Schema, called: str) -> None:
        if made.get("format", "date") not in FORMATS:
            self._fault(called, f"the format {made['format']!r} is not supported; those that are: {', '.join(FORMATS)}")
        pattern = made.get("pattern")
        if pattern is not None:
            try:
                re.compile(pattern)
            except (re.error, RecursionError) as error:
                self._fault(called, f"the pattern {pattern!r} cannot be read ({error})")
            if _HARD_PATTERN.search(pattern):
                self._fault(called, f"the pattern {pattern!r} looks around or back, which text cannot be held to as it is written")
        if "enum" in made and pattern is not None:
            self._fault(called, "it has both an enum and a pattern: the enum says it all")

    def _kind(self, known: Mapping[str, Any], called: str) -> tuple[str | None, bool]:
        """The type, and whether null is allowed."""
        named = known.get("type")
        names = [named] if isinstance(named, str) else list(named or ())
        if not names and "enum" in known:
            names = list(dict.fromkeys(_type_of(value) for value in known["enum"]))
            names = ["number"] if set(names) == {"integer", "number"} else names
        if not names and "properties" in known:
            names = ["object"]
        nullable, kinds = "null" in names, [name for name in names if name != "null"]
        if len(kinds) != 1:
            what = f"it may be {' or '.join(kinds)}; one type is expected, and null" if kinds else "it has no type"
            self._fault(called, what)
            return None, nullable
        if "enum" in known:
            nullable = nullable and None in known["enum"]
            wrong = [value for value in known["enum"] if value is not None and not _is(value, kinds[0])]
            if kinds[0] in ("object", "array") or wrong or all(value is None for value in known["enum"]):
                self._fault(called, f"its enum has values that are no {kinds[0]}" if wrong else f"an enum of {kinds[0]} is not supported")
        return kinds[0], nullable

    def _followed(self, given: Mapping[str, Any], place: str, depth: int) -> Schema:
        reference = given["$ref"]
        found: Any = self._root
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return self._fault(place or "the schema", f"{reference!r} refers to another document")
        for step in reference[2:].split("/"):
            found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
        if not isinstance(found, Mapping):
            return self._fault(place or "the schema", f"{reference!r} refers to nothing")
        beside = {name: value for name, value in given.items() if name != "$ref"}
        if reference in self._following:
            return self._fault(place or "the schema", f"it is nested more than {_DEEPEST} deep, or refers to itself")
        self._following.append(reference)
        made = self.node({**found, **beside}, place, depth)
        self._following.pop()
        return made

    def _either(self, given: Mapping[str, Any], place: str, depth: int) -> Schema:
        """A type or null: Pydantic's form of an optional field."""
        name = "anyOf" if "anyOf" in given else "oneOf"
        others = [entry for entry in given[name] if entry != {"type": "null"}]
        beside = {key: value for key, value in given.items() if key != name}
        if len(others) != 1 or not isinstance(others[0], Mapping):
            return self._fault(place or "the schema", f"{name} of several types; one type is expected, and null")
        # A nested anyOf or oneOf counts as a level of depth, so that a document of nothing else ends.
        again = "anyOf" in others[0] or "oneOf" in others[0]
        made = self.node({**others[0], **beside}, place, depth + again)
        if len(given[name]) == 1 or not made:
            return made
        kind = made["type"] if isinstance(made["type"], str) else made["type"][0]
        enum = {"enum": [*(value for value in made["enum"] if value is not None), None]} if "enum" in made else {}
        return {**made, "type": [kind, "null"], **enum}

    def _fault(self, place: str, what: str) -> Schema:
        self.mistakes.append(f"{place}: {what}")
        return {}


def kind_of(node: Schema) -> tuple[str, bool]:
    """The type of a part of a normalised schema, and whether null is allowed."""
    return (node["type"], False) if isinstance(node["type"], str) else (node["type"][0], True)


def bare(schema: Schema) -> Schema:
    """The schema without its descriptions, to constrain and check answers."""
    made = {name: value for name, value in schema.items() if name != "description"}
    if "properties" in made:
        made["properties"] = {name: bare(node) for name, node in made["properties"].items()}
    if "items" in made:
        made["items"] = bare(made["items"])
    return made


def told(schema: Schema) -> str:
    """Describe the fields in words, for a prompt."""
    return "; ".join(f"{name} ({_words(node)})" for name, node in schema["properties"].items())


_NAMES = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}


def _words(node: Schema) -> str:
    kind, nullable = kind_of(node)
    if "enum" in node:
        said = "one of " + ", ".join(str(value) for value in node["enum"] if value is not None)
    elif kind == "object":
        said = "object with " + told(node)
    elif kind == "array":
        said = f"list of {_words(node['items'])}"
    else:
        said = "date as YYYY-MM-DD" if node.get("format") == "date" else _NAMES[kind]
    described = f": {node['description']}" if "description" in node else ""
    return f"{said}{' or null' if nullable else ''}{described}"


def _type_of(value: Any) -> str:
    if value is None:
        return "null"
    return next(name for name in ("boolean", "integer", "number", "string", "array", "object") if _is(value, name))


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, int | float):
        return kind == "number" or (kind == "integer" and (isinstance(value, int) or value.is_integer()))
    return isinstance(value, {"string": str, "array": list, "object": dict}.get(kind, ()))


_FEWEST, _OFTEN, _MOST_CHOICES, _LONGEST_CHOICE = 20, 5, 20, 40
_WHOLE = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,14})")
_POINT = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,14})\.[0-9]{1,10}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TRUTHS = ("true", "false")


def derived(objects: Sequence[Mapping[str, Any]]) -> Schema:
    """The schema that all objects fit: fields in the order of first occurrence, required if always present, with an `enum` if a few texts
    occur often. Every single value may be null, even if no object shows it: a text that does not state it is answered without it. Raises
    ValueError for a field whose values have several types."""
    return _object(objects, "", any(isinstance(one, RowCells) for one in objects))


def _object(objects: Sequence[Mapping[str, Any]], place: str, cells: bool) -> Schema:
    names = list(dict.fromkeys(name for one in objects for name in one))
    fields = {name: _field([one[name] for one in objects if name in one], f"{place}{name}", cells) for name in names}
    # A field that is always empty teaches nothing.
    found = {name: field for name, field in fields.items() if field}
    required = [name for name in found if all(name in one for one in objects)]
    single = {name: _nullable(found[name]) for name in required if found[name]["type"] not in ("object", "array")}
    return {"type": "object", "properties": {**found, **single}, "required": required, "additionalProperties": False}


def _field(values: Sequence[Any], place: str, cells: bool) -> Schema:
    filled = [value for value in values if not (value is None or (isinstance(value, str) and not value.strip()))]
    if not filled:
        return {}
    made = _typed(filled, place, cells)
    return _nullable(made) if len(filled) < len(values) else made


def _nullable(field: Schema) -> Schema:
    if not isinstance(field["type"], str):
        return field
    return {**field, "type": [field["type"], "null"], **({"enum": [*field["enum"], None]} if "enum" in field else {})}


def _typed(values: Sequence[Any], place: str, cells: bool) -> Schema:
    kinds = Counter(_kind_of_values(value) for value in values)
    if set(kinds) == {"integer", "number"}:
        kinds = Counter({"number": len(values)})
    if len(kinds) > 1:
        (one, _), (other, _) = kinds.most_common(2)
        shown = next(json.dumps(value, ensure_ascii=False, default=str) for value in values if _kind_of_values(value) == other)
        raise ValueError(f"the field {place!r} is mostly {one}, and {other} in {kinds[other]} rows, such as {shown[:60]}")
    (kind,) = kinds
    if kind == "object":
        return _object(values, f"{place}.", cells=False)
    if kind == "array":
        return {"type": "array", "items": _field([one for value in values for one in value], f"{place}[]", False) or {"type": "string"}}
    return _text([value.strip() for value in values], cells) if kind == "string" else {"type": kind}


def _text(values: Sequence[str], cells: bool) -> Schema:
    """The schema of texts; cells of an untyped file may also be numbers or booleans. A number with a leading zero is a text, such as an
    id."""
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


def _kind_of_values(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    if isinstance(value, float):
        return "number"
    return "string" if isinstance(value, str) else "object" if isinstance(value, Mapping) else "array"
