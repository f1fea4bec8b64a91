"""Calls of tools as a chat client asks for them, and a model's answer with calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

CallMode: TypeAlias = Literal["auto", "none", "required"]
"""When a call is wanted: where the model finds one, never, or in any case."""


@dataclass(frozen=True, slots=True)
class ToolsAsked:
    """The tools of a request.

    Attributes:
        tools: those that may be called, unchanged, as OpenAI's API takes them; None for the model's own.
        mode: when a call is wanted.
        named: the only tool that may be called; None for any.
    """

    tools: Sequence[Mapping[str, Any]] | None = None
    mode: CallMode = "auto"
    named: str | None = None


@dataclass(frozen=True, slots=True)
class FoundCall:
    """A call with all arguments that its tool needs: the tool's name, and the arguments."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """A model's answer to a request with tools: a call, or words.

    Attributes:
        call: the call; None if there is none.
        content: words beside it or in its place: a question for what is missing. Empty for nothing to say.
        output, score: as in a reply.
        facts: further facts, JSON-ready.
    """

    call: FoundCall | None
    content: str
    output: Any
    score: float
    facts: Mapping[str, Any] = field(default_factory=dict)
