"""What OpenAI's two faces for text are sent."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

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
