"""Fields over OpenAI's chat: an answer is the JSON text of an object that fits the bundle's schema, or a refusal, never half an object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smidgen.core.errors import RequestError
from smidgen.core.replies import Reply
from smidgen.tasks import field_schema


def check(response_format: Mapping[str, Any] | None, schema: Mapping[str, Any]) -> None:
    """Raise RequestError, 422, for a `response_format` that the answers of a bundle with this schema may not fit.

    Plain text and `json_object` always do. A `json_schema` must describe the same fields with the same types; their order, titles,
    descriptions and the way in which null is written do not count.
    """
    kind = (response_format or {}).get("type", "text")
    if response_format is None or kind in ("text", "json_object"):
        return
    wrapped = response_format.get("json_schema")
    asked = wrapped.get("schema") if isinstance(wrapped, Mapping) else None
    if kind != "json_schema" or not isinstance(asked, Mapping):
        raise _unfit(f"type {kind!r}"[:80])
    wanted, mistakes = field_schema.normal(asked)
    if mistakes:
        raise _unfit(mistakes[0])
    if _unordered(field_schema.bare(wanted)) != _unordered(field_schema.bare(dict(schema))):
        own, others = set(schema["properties"]), set(wanted["properties"])
        apart = [f"{name!r} is no field of this model" for name in sorted(others - own)] + [f"no {name!r}" for name in sorted(own - others)]
        raise _unfit("; ".join(apart)[:300] or "the same fields with other types or other required ones")


def refusal(reply: Reply) -> str | None:
    """Why there is no answer, where there is none."""
    why = reply.facts.get("refused")
    return f"No answer that fits the schema can be given: {why}." if why else None


def _unordered(schema: Any) -> Any:
    """A schema in which the order of fields, of required ones and of choices does not count."""
    if isinstance(schema, Mapping):
        return {name: _unordered(sorted(value, key=repr) if name in ("required", "enum") else value) for name, value in schema.items()}
    return [_unordered(one) for one in schema] if isinstance(schema, list) else schema


def _unfit(value: str) -> RequestError:
    return RequestError(
        "the answer cannot be given in this response_format",
        value=value,
        todo="Ask for json_object, or for the bundle's own schema: GET /v1/models shows it.",
        code="unsupported_response_format",
        param="response_format",
    )
