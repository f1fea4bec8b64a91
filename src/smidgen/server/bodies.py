"""What OpenAI's faces for text are sent."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from smidgen.gateway.response_request import response_format
from smidgen.server.drawing import Drawing, Logprobs

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


class ChatRequest(Drawing):
    """A chat completion request. Fields that are not listed here have no effect, but for those that a model that writes reads in a
    conversation: `tools`, `tool_choice`, `parallel_tool_calls`, `presence_penalty`, `frequency_penalty`, `logit_bias`."""

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
        """See `Drawing`."""
        most = self.max_completion_tokens
        return {**super().options(), **({"max_tokens": most} if most is not None else {})}


class CompletionRequest(Drawing):
    """A completion request. Fields that are not listed here are accepted and have no effect."""

    model_config = ConfigDict(json_schema_extra={"example": {"prompt": "Where is my parcel?"}})

    prompt: str | Annotated[list[str], Field(min_length=1)] = Field(
        description="A text or several. Lists of token numbers are not understood."
    )
    model: str | None = Field(None, description="The name of a bundle; may be left out where one bundle is served.")
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = Field(
        None, ge=1, le=_MAX_CHOICES, description="How many choices for each prompt; all are the same where nothing is drawn by chance."
    )
    logprobs: Logprobs | None = Field(None, description="How many likeliest tokens to give beside each token of a written text.")
    echo: bool | None = Field(None, description="Put the prompt before the answer.")


class TextOptions(BaseModel):
    """What a text is to be."""

    format: dict[str, Any] | None = Field(None, description="text, json_object, or json_schema with its name and schema beside it.")
    verbosity: str | None = Field(None, description="Not read.")


class ResponsesRequest(BaseModel):
    """A request to `/v1/responses` with one text of a user. A field that is not known is refused: it may ask for what is not done here."""

    model_config = ConfigDict(json_schema_extra={"example": {"input": "Where is my parcel?"}})

    input: str | Annotated[list[dict[str, Any]], Field(min_length=1, max_length=10_000)] = Field(
        description="A text; or messages: one of the user, in pieces of input_text if wanted, and words to the system before it."
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

    @property
    def wanted(self) -> dict[str, Any] | None:
        """The format that is asked for."""
        return self.text.format if self.text is not None else None

    @property
    def response_format(self) -> dict[str, Any] | None:
        """The same as a chat completion's request has it."""
        return response_format({"text": {"format": self.wanted}})

    def drawing(self) -> Drawing:
        """How its text is to be written."""
        drawn = {"max_tokens": self.max_output_tokens, "temperature": self.temperature, "top_p": self.top_p}
        return Drawing.model_validate({**drawn, "response_format": self.response_format})
