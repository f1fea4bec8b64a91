"""Structured output: an answer as the one field of an object, for clients that classify through a JSON schema.

`{"type": "json_schema", "json_schema": {"schema": {"properties": {"category": {"enum": [...]}}}}}` is how a large model is commonly asked
to classify. Such a client goes on working: the answer comes as `{"category": "refund"}`. A schema that the answer does not fit is refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from smidgen.core.errors import RequestError
from smidgen.core.replies import Reply

_MAX_REFERENCES = 8


@dataclass(frozen=True, slots=True)
class Wanted:
    """An object with one field: its name, whether it is a list, and the values that it may have (None: any)."""

    field: str
    listed: bool
    values: frozenset[str] | None


def wanted_of(response_format: dict[str, Any] | None) -> Wanted | None:
    """What a `response_format` asks for; None for plain text. Raises RequestError for what no answer could fit."""
    kind = (response_format or {}).get("type", "text")
    if response_format is None or kind == "text":
        return None
    wrapped = response_format.get("json_schema")
    schema = wrapped.get("schema") if isinstance(wrapped, dict) else None
    if kind != "json_schema" or not isinstance(schema, dict):
        raise _unfit(f"type {kind!r}"[:80])
    root = _followed(schema, schema)
    fields = root.get("properties")
    if not isinstance(fields, dict) or len(fields) != 1:
        raise _unfit(f"{len(fields) if isinstance(fields, dict) else 0} fields")
    name, field = next(iter(fields.items()))
    field = _followed(field, schema)
    listed = field.get("type") == "array"
    value = _followed(field.get("items", {}), schema) if listed else field
    if value.get("type", "string") != "string":
        raise _unfit(f"a field of type {value.get('type')}"[:80])
    choices = value.get("enum", [value["const"]] if "const" in value else None)
    if choices is not None and not (isinstance(choices, list) and all(isinstance(choice, str) for choice in choices)):
        raise _unfit("choices that are not strings")
    return Wanted(name, listed, None if choices is None else frozenset(choices))


def shaped(wanted: Wanted, reply: Reply) -> str:
    """A reply as the text of the wanted object. Raises RequestError where the answer is not one of the values that it may have."""
    output = reply.output
    if wanted.listed and isinstance(output, str):
        output = [output]
    labels = output if isinstance(output, list) else [output]
    if isinstance(output, list) != wanted.listed or not all(isinstance(label, str) for label in labels):
        raise _unfit("an answer of another kind")
    if wanted.values is not None and not wanted.values.issuperset(labels):
        raise _unfit(f"the answer {output!r}")
    return json.dumps({wanted.field: output}, ensure_ascii=False)


def _followed(schema: Any, root: dict[str, Any]) -> dict[str, Any]:
    """A schema behind its references (`#/$defs/Label`)."""
    for _ in range(_MAX_REFERENCES):
        if not isinstance(schema, dict):
            raise _unfit("something that is not a schema")
        reference = schema.get("$ref")
        if reference is None:
            return schema
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise _unfit("a reference to another document")
        schema = root
        for step in reference[2:].split("/"):
            schema = schema.get(step) if isinstance(schema, dict) else None
    raise _unfit("references in a circle")


def _unfit(value: str) -> RequestError:
    return RequestError(
        "the answer cannot be given in this response_format",
        value=value,
        todo="Ask for plain text, or for a json_schema of one string field that may hold every label of the bundle.",
        code="unsupported_response_format",
        param="response_format",
    )
