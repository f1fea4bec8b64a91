"""A piece of what a model writes, as it comes."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeAlias

from smidgen.engines.llama_wire import Message


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was chosen.

    Attributes:
        id: its number in the vocabulary.
        text: what it adds to the text; for the last of several tokens that make one character, the whole character.
        probability: what the model gave it, 0..1, before temperature, `top_p` and grammar.
        top: the likeliest tokens at its place with their probabilities, likeliest first; as many as were asked for.
    """

    id: int
    text: str
    probability: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a request: read, of them found in the cache, and written (the end token counts)."""

    prompt: int
    cached: int
    written: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece. The last one of a request carries `finish` and `usage`; the pieces' texts make the whole text.

    Attributes:
        text: characters, whole ones; may be empty while they might begin a stop string.
        count: tokens that the piece took, the end token not counted.
        tokens: those of them whose probabilities are known: not the first ones of several that make one character.
        finish: `stop` (an end token or a stop string), `length`, or `tool_calls`; None while there is more to come.
        usage: of the whole request.
        delta: for `chat`, the change of the message as OpenAI's chunk has it (`content`, `tool_calls`, `reasoning_content`).
    """

    text: str = ""
    count: int = 0
    tokens: tuple[Token, ...] = ()
    finish: str | None = None
    usage: Usage | None = None
    delta: dict[str, Any] | None = None


Pieces: TypeAlias = Generator[Piece, None, None]
"""An answer as it comes. `close()` gives it up."""


def piece(message: Message) -> Piece:
    """The piece that a message of the process holds."""
    tokens = tuple(
        Token(number, text, probability(log), tuple((other, probability(value)) for other, value in top))
        for number, text, log, top in message.get("tokens", ())
    )
    usage = Usage(*message["usage"]) if "usage" in message else None
    return Piece(message.get("text", ""), message.get("count", 0), tokens, message.get("end"), usage, message.get("delta"))


def probability(log: float | None) -> float:
    """e to the power of a log-probability; JSON has no minus infinity and says null."""
    return 0.0 if log is None else min(1.0, math.exp(log))
