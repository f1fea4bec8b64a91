"""Messages between the llama engine and its process: JSON objects, one a line, of bounded length, over the process's pipes."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import IO, Any, TypeAlias

LONGEST = 16 * 2**20
"""Most bytes of one line. A prompt of 131,072 token ids takes under one MiB."""

Message: TypeAlias = dict[str, Any]


def packed(message: Message) -> bytes:
    """A message as its line. Raises ValueError if it is too long, too deep, or not JSON-ready."""
    try:
        line = json.dumps(message, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from error
    if len(line) > LONGEST:
        raise ValueError(f"a message of {len(line)} bytes; the longest is {LONGEST}")
    return line


def receive(stream: IO[bytes], longest: int = LONGEST) -> Message | None:
    """The next message; None at the end, also if the other side ended in the middle of a line.

    Raises ValueError for a line that is too long or is not a JSON object. Never reads more than `longest` bytes for one line.
    """
    line = stream.readline(longest + 1)
    if len(line) > longest:
        raise ValueError(f"a line of over {longest} bytes")
    if not line.endswith(b"\n"):
        return None
    try:
        message = json.loads(line)
    except RecursionError as error:
        raise ValueError("a line of too deep a message") from error
    if not isinstance(message, dict):
        raise ValueError(f"a line that is not an object but {type(message).__name__}")
    return message


# Pieces that come shortly after one another leave the model's process together. Each message wakes two threads of the reading process: on
# two cores they take time from the threads that compute the next token, each of which then waits for the other.


class PieceSender:
    """Sends pieces. The first is sent at once; one that comes within `seconds` of the last sending waits for the next one.

    Waiting pieces are sent with the next piece that comes later than that, or by `flush`: joined into one piece, or with `apart` unchanged,
    in the `parts` of one message. Without `apart`, a piece with a `delta` is sent alone.
    """

    def __init__(
        self, say: Callable[[Message], None], seconds: float, apart: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say, self._seconds, self._apart, self._clock = say, seconds, apart, clock
        self._sent = float("-inf")
        self._held: list[Message] = []

    def add(self, piece: Message) -> None:
        """Send a piece, or hold it for a moment."""
        alone = "delta" in piece and not self._apart
        if alone:
            self.flush()
        self._held.append(piece)
        if alone or self._clock() - self._sent >= self._seconds:
            self.flush()

    def flush(self) -> None:
        """Send the waiting pieces."""
        held, self._held = self._held, []
        if held:
            self._say(held[0] if len(held) == 1 else _parts(held) if self._apart else _joined(held))
            self._sent = self._clock()


def _parts(pieces: list[Message]) -> Message:
    return {"id": pieces[0]["id"], "parts": pieces}


def _joined(pieces: list[Message]) -> Message:
    """One piece with the texts, the counts and the tokens of all."""
    return {
        **pieces[0],
        "text": "".join(piece["text"] for piece in pieces),
        "count": sum(piece["count"] for piece in pieces),
        "tokens": [token for piece in pieces for token in piece["tokens"]],
    }


@dataclass(frozen=True, slots=True)
class ChosenToken:
    """A token that was chosen.

    Attributes:
        id: its number in the vocabulary.
        text: its addition to the text; for the last of several tokens that make one character, the whole character.
        probability: the model's probability, 0..1, before temperature, `top_p` and grammar.
        top: the likeliest tokens at its place with their probabilities, likeliest first; the requested number.
    """

    id: int
    text: str
    probability: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class LlamaUsage:
    """Tokens of a request: read, the part of them found in the cache, and written (including the end token)."""

    prompt: int
    cached: int
    written: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer. The last one of a request carries `finish` and `usage`; the pieces' texts make the whole text.

    Attributes:
        text: whole characters; may be empty while they might begin a stop string.
        count: tokens of the piece, without the end token.
        tokens: those with known probabilities: not the first ones of several that make one character.
        finish: `stop` (an end token or a stop string), `length`, or `tool_calls`; None while more is to come.
        usage: of the whole request.
        delta: for `chat`, the change of the message in the form of OpenAI's chunk (`content`, `tool_calls`, `reasoning_content`).
    """

    text: str = ""
    count: int = 0
    tokens: tuple[ChosenToken, ...] = ()
    finish: str | None = None
    usage: LlamaUsage | None = None
    delta: dict[str, Any] | None = None


Pieces: TypeAlias = Generator[Piece, None, None]
"""An answer while it is written. `close()` cancels it."""


def piece(message: Message) -> Piece:
    """The piece that a message of the process holds."""
    tokens = tuple(
        ChosenToken(number, text, probability(log), tuple((other, probability(value)) for other, value in top))
        for number, text, log, top in message.get("tokens", ())
    )
    usage = LlamaUsage(*message["usage"]) if "usage" in message else None
    return Piece(message.get("text", ""), message.get("count", 0), tokens, message.get("end"), usage, message.get("delta"))


def probability(log: float | None) -> float:
    """e to the power of a log-probability; JSON has no minus infinity and uses null."""
    return 0.0 if log is None else min(1.0, math.exp(log))
