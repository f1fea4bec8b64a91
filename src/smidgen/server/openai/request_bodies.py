"""Bodies of OpenAI's requests for text: chat, completions and responses, and the sampling options that they share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from smidgen.core.errors import RequestError
from smidgen.gateway.eligibility import response_format

ANY_OBJECT: dict[str, Any] = {"type": "object"}


class SamplingOptions(BaseModel):
    """Options for writing a text. Models that do not write ignore them."""

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
        """Return True if repeating a request can give different answers."""
        return bool(self.temperature)

    def options(self) -> dict[str, Any]:
        """Return the options for `Model.write`. Raises RequestError for an unsupported response_format."""
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
        """Return a different seed for each of several texts; None for each without a seed."""
        return [None if self.seed is None else self.seed + number for number in range(count)]


def schema_of(response_format: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the JSON schema for the answer; None for plain text."""
    kind = (response_format or {}).get("type", "text")
    if response_format is None or kind == "text":
        return None
    if kind == "json_object":
        return ANY_OBJECT
    wrapped = response_format.get("json_schema")
    schema = wrapped.get("schema") if isinstance(wrapped, Mapping) else None
    if kind != "json_schema" or not isinstance(schema, dict):
        raise RequestError(
            "server.response_format_is_unknown",
            value=f"type {kind!r}"[:80],
            code="unsupported_response_format",
            param="response_format",
        )
    return schema


Logprobs = Annotated[int, Field(ge=0, le=20)]
"""Number of likeliest tokens given beside each."""


_MAX_CHOICES = 16


class Part(BaseModel):
    """A piece of a message. Only text is understood."""

    type: str = Field("text", description="text or input_text.")
    text: str | None = Field(None, description="The text.")


class ChatMessage(BaseModel):
    """A message of the conversation."""

    role: str = Field(description="user, assistant, system, developer, tool.")
    content: str | list[Part] | None = Field(None, description="A text, or pieces of text, which are joined by line breaks.")


class StreamOptions(BaseModel):
    """How to stream."""

    include_usage: bool | None = Field(None, description="Send the usage in a last chunk of its own.")


class ChatRequest(SamplingOptions):
    """A chat completion request. Unknown fields are ignored.

    A model that calls tools reads `tools` and `tool_choice`. In a conversation, a model that writes reads them too, and
    `parallel_tool_calls`, `presence_penalty`, `frequency_penalty`, `logit_bias`.
    """

    model_config = ConfigDict(json_schema_extra={"example": {"messages": [{"role": "user", "content": "Where is my parcel?"}]}})

    messages: list[ChatMessage] = Field(min_length=1, max_length=10_000)
    model: str | None = Field(None, description="The name of a bundle; may be left out where one bundle is served.")
    stream: bool | None = Field(None, description="Send the answer as server-sent events; a text goes out as it is written.")
    stream_options: StreamOptions | None = None
    n: int | None = Field(None, ge=1, le=_MAX_CHOICES, description="How many choices; all are the same where nothing is drawn by chance.")
    max_completion_tokens: int | None = Field(None, ge=1, description="The same as max_tokens, by its newer name.")
    logprobs: bool | None = Field(
        None, description="Log probabilities of the tokens of a text; of any other answer, the logarithm of the score as the answer's own."
    )
    top_logprobs: Logprobs | None = Field(None, description="How many runners-up to give beside each.")

    def options(self) -> dict[str, Any]:
        """See `SamplingOptions`."""
        most = self.max_completion_tokens
        return {**super().options(), **({"max_tokens": most} if most is not None else {})}


class CompletionRequest(SamplingOptions):
    """A completion request. Unknown fields are accepted and ignored."""

    model_config = ConfigDict(json_schema_extra={"example": {"prompt": "Where is my parcel?"}})

    prompt: str | Annotated[list[str], Field(min_length=1)] = Field(
        description="A text or several. Lists of token numbers are not understood. For a bundle that completes code, the text ahead of the "
        "gap; or all of it with the marks <|fim_prefix|>, <|fim_suffix|> and <|fim_middle|>."
    )
    suffix: str | None = Field(None, description="The text behind the gap, for a bundle that completes code.")
    model: str | None = Field(None, description="The name of a bundle; may be left out where one bundle is served.")
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = Field(
        None, ge=1, le=_MAX_CHOICES, description="How many choices for each prompt; all are the same where nothing is drawn by chance."
    )
    logprobs: Logprobs | None = Field(None, description="How many likeliest tokens to give beside each token of a written text.")
    echo: bool | None = Field(None, description="Put the prompt before the answer.")


class TextOptions(BaseModel):
    """The form of a text."""

    format: dict[str, Any] | None = Field(None, description="text, json_object, or json_schema with its name and schema beside it.")
    verbosity: str | None = Field(None, description="Not read.")


class ResponsesRequest(BaseModel):
    """A request to `/v1/responses`. Unknown fields are refused: they may ask for more than this server does."""

    model_config = ConfigDict(json_schema_extra={"example": {"input": "Where is my parcel?"}})

    input: str | Annotated[list[dict[str, Any]], Field(min_length=1, max_length=10_000)] = Field(
        description="A text; or messages: one of the user, in pieces of input_text if wanted, and words to the system before it. A desk, "
        "and a model that calls tools, take whole conversations, with function_call and function_call_output."
    )
    model: str | None = Field(None, description="The name of a bundle; may be left out where one bundle is served.")
    instructions: str | None = Field(None, description="Words to the system. Not read: a bundle has its own.")
    stream: bool | None = Field(None, description="Send the answer as server-sent events; a text goes out as it is written.")
    store: bool | None = Field(None, description="Nothing is stored here: the response says false. True is refused.")
    max_output_tokens: int | None = Field(None, ge=1, description="Most tokens of the answer, for a model that writes.")
    temperature: float | None = Field(None, ge=0, le=100, description="0, the default, takes the likeliest token each time.")
    top_p: float | None = Field(None, gt=0, le=1, description="Draw from the likeliest tokens that together have this probability.")
    text: TextOptions | None = None
    metadata: dict[str, str] | None = Field(None, description="Given back as it came.")
    tools: list[dict[str, Any]] | None = Field(None, description="Functions that a model that calls tools may call.")
    tool_choice: Any = Field(None, description="none, auto, required, or a function by its name; for a model that calls tools.")

    @property
    def wanted(self) -> dict[str, Any] | None:
        """The requested format."""
        return self.text.format if self.text is not None else None

    @property
    def response_format(self) -> dict[str, Any] | None:
        """The requested format as in a chat completion request."""
        return response_format({"text": {"format": self.wanted}})

    def drawing(self) -> SamplingOptions:
        """Return the options for writing its text."""
        drawn = {"max_tokens": self.max_output_tokens, "temperature": self.temperature, "top_p": self.top_p}
        return SamplingOptions.model_validate({**drawn, "response_format": self.response_format})
