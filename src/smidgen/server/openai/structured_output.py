"""Structured output: answers in the `response_format` that a client asks for.

Clients that classify ask for `{"type": "json_schema", "json_schema": {"schema": {"properties": {"category": {"enum": [...]}}}}}` and get
`{"category": "refund"}`. A bundle whose answers are objects gives the object for `json_object`, also where its text is words. A bundle
that fills fields answers with the JSON text of an object that fits its schema, or with a refusal. A schema that the answer does not fit is
refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smidgen.core.errors import RequestError
from smidgen.core.forms import Form
from smidgen.core.parts import Task
from smidgen.core.replies import Reply
from smidgen.core.rows import Text
from smidgen.tasks import field_schema

_MAX_REFERENCES = 8


@dataclass(frozen=True, slots=True)
class WantedField:
    """A requested object with one field: its name, whether it is a list, and the allowed values (None: any)."""

    field: str
    listed: bool
    values: frozenset[str] | None


def asks_object(response_format: Mapping[str, Any] | None, form: Form) -> bool:
    """Whether a `json_object` is asked of a model that answers with objects without a schema."""
    return form.json_answers and form.answer_schema is None and (response_format or {}).get("type") == "json_object"


def content_of(task: Task, form: Form, reply: Reply, text: Text, wanted: WantedField | None, whole: bool) -> str:
    """Return an answer as the content of a message: the requested field; the object (`whole`); or the task's own words."""
    if whole:
        return task.quoted(reply.output, form, text)
    return task.content(reply) if wanted is None else as_wanted(wanted, task.labelled(reply.output, form))


def wanted_field(response_format: dict[str, Any] | None) -> WantedField | None:
    """Return the field that a `response_format` asks for; None for plain text. Raises RequestError if no answer could fit."""
    kind = (response_format or {}).get("type", "text")
    if response_format is None or kind == "text":
        return None
    wrapped = response_format.get("json_schema")
    schema = wrapped.get("schema") if isinstance(wrapped, dict) else None
    if kind != "json_schema" or not isinstance(schema, dict):
        raise _unfit_label(f"type {kind!r}"[:80])
    root = _resolved(schema, schema)
    fields = root.get("properties")
    if not isinstance(fields, dict) or len(fields) != 1:
        raise _unfit_label(f"{len(fields) if isinstance(fields, dict) else 0} fields")
    name, field = next(iter(fields.items()))
    field = _resolved(field, schema)
    listed = field.get("type") == "array"
    value = _resolved(field.get("items", {}), schema) if listed else field
    if value.get("type", "string") != "string":
        raise _unfit_label(f"a field of type {value.get('type')}"[:80])
    choices = value.get("enum", [value["const"]] if "const" in value else None)
    if choices is not None and not (isinstance(choices, list) and all(isinstance(choice, str) for choice in choices)):
        raise _unfit_label("choices that are not strings")
    return WantedField(name, listed, None if choices is None else frozenset(choices))


def as_wanted(wanted: WantedField, output: Any) -> str:
    """Return a label, or a list of labels, as the text of the requested object. Raises RequestError if a value is not allowed."""
    if wanted.listed and isinstance(output, str):
        output = [output]
    labels = output if isinstance(output, list) else [output]
    if isinstance(output, list) != wanted.listed or not all(isinstance(label, str) for label in labels):
        raise _unfit_label("an answer of another kind")
    if wanted.values is not None and not wanted.values.issuperset(labels):
        raise _unfit_label(f"the answer {output!r}")
    return json.dumps({wanted.field: output}, ensure_ascii=False)


def _resolved(schema: Any, root: dict[str, Any]) -> dict[str, Any]:
    """Resolve the references of a schema (`#/$defs/Label`)."""
    for _ in range(_MAX_REFERENCES):
        if not isinstance(schema, dict):
            raise _unfit_label("something that is not a schema")
        reference = schema.get("$ref")
        if reference is None:
            return schema
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise _unfit_label("a reference to another document")
        schema = root
        for step in reference[2:].split("/"):
            schema = schema.get(step) if isinstance(schema, dict) else None
    raise _unfit_label("references in a circle")


def _unfit_label(value: str) -> RequestError:
    return RequestError(
        "server.label_cannot_be_given_in_this_format", value=value, code="unsupported_response_format", param="response_format"
    )


def check_schema(response_format: Mapping[str, Any] | None, schema: Mapping[str, Any]) -> None:
    """Raise RequestError, 422, for a `response_format` that answers with this schema may not fit.

    Plain text and `json_object` always fit. A `json_schema` must describe the same fields with the same types. Their order, titles,
    descriptions and the notation for null do not matter.
    """
    kind = (response_format or {}).get("type", "text")
    if response_format is None or kind in ("text", "json_object"):
        return
    wrapped = response_format.get("json_schema")
    asked = wrapped.get("schema") if isinstance(wrapped, Mapping) else None
    if kind != "json_schema" or not isinstance(asked, Mapping):
        raise _unfit_fields(f"type {kind!r}"[:80])
    wanted, mistakes = field_schema.normal(asked)
    if mistakes:
        raise _unfit_fields(mistakes[0])
    if _unordered(field_schema.bare(wanted)) != _unordered(field_schema.bare(dict(schema))):
        own, others = set(schema["properties"]), set(wanted["properties"])
        apart = [f"{name!r} is no field of this model" for name in sorted(others - own)] + [f"no {name!r}" for name in sorted(own - others)]
        raise _unfit_fields("; ".join(apart)[:300] or "the same fields with other types or other required ones")


def field_refusal(reply: Reply) -> str | None:
    """Return why there is no answer; None if there is one."""
    why = reply.facts.get("refused")
    return f"No answer that fits the schema can be given: {why}." if why else None


def _unordered(schema: Any) -> Any:
    """Return a schema in which the order of fields, required fields and choices does not matter."""
    if isinstance(schema, Mapping):
        return {name: _unordered(sorted(value, key=repr) if name in ("required", "enum") else value) for name, value in schema.items()}
    return [_unordered(one) for one in schema] if isinstance(schema, list) else schema


def _unfit_fields(value: str) -> RequestError:
    return RequestError(
        "server.fields_cannot_be_given_in_this_format", value=value, code="unsupported_response_format", param="response_format"
    )
