"""How a text is to be written: the fields that OpenAI's requests share, as a model that writes takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

from smidgen.core.errors import RequestError

ANY_OBJECT: dict[str, Any] = {"type": "object"}


class Drawing(BaseModel):
    """Fields of a request that say how a text is written. Models that do not write take no notice of them."""

    max_tokens: int | None = Field(None, ge=1, description="Most tokens of the answer, for a model that writes; default: the bundle's own.")
    temperature: float | None = Field(
        None, ge=0, le=100, description="0, the default, takes the likeliest token each time; above it, tokens are drawn."
    )
    top_p: float | None = Field(None, gt=0, le=1, description="Draw from the likeliest tokens that together have this probability.")
    seed: int | None = Field(None, description="Of the drawing: the same seed gives the same text.")
    stop: str | list[str] | None = Field(None, description="Texts before which the answer ends.")
    response_format: dict[str, Any] | None = Field(
        None,
        description="type json_schema: a model that writes holds its answer to the schema; any other gives its answer as the schema's only "
        "field. type json_object: any object, from a model that writes.",
    )

    def drawn(self) -> bool:
        """Whether one request can have several answers."""
        return bool(self.temperature)

    def options(self) -> dict[str, Any]:
        """As `Model.write` takes them. Raises RequestError for a response_format that cannot be held to."""
        schema = schema_of(self.response_format)
        given = {
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "stop": self.stop,
            "json_schema": schema,
        }
        return {name: value for name, value in given.items() if value is not None}

    def seeds(self, count: int) -> list[int | None]:
        """A seed for each of several texts, all different; None where none was given."""
        return [None if self.seed is None else self.seed + number for number in range(count)]


def schema_of(response_format: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The JSON schema that an answer must fit; None for plain text."""
    kind = (response_format or {}).get("type", "text")
    if response_format is None or kind == "text":
        return None
    if kind == "json_object":
        return ANY_OBJECT
    wrapped = response_format.get("json_schema")
    schema = wrapped.get("schema") if isinstance(wrapped, Mapping) else None
    if kind != "json_schema" or not isinstance(schema, dict):
        raise RequestError(
            "the answer cannot be given in this response_format",
            value=f"type {kind!r}"[:80],
            todo="Ask for text, json_object, or json_schema with a schema in it.",
            code="unsupported_response_format",
            param="response_format",
        )
    return schema


Logprobs = Annotated[int, Field(ge=0, le=20)]
"""How many of the likeliest tokens are given beside each."""
