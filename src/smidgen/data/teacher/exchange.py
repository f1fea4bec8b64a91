"""What is asked of a teacher, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

_FRAME_OF_MESSAGE = 32
_FRAME = 64
"""Tokens that a chat template may put around each message, and around all of them: more than any known one does."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request.

    Attributes:
        messages: (role, content) pairs, as a chat completion takes them.
        max_tokens: the most tokens of the answer.
        temperature: of sampling.
        vote: tells askings of the same question apart.
        schema: JSON of the schema that the answer is to fit, for servers that hold answers to one; empty for none.
    """

    messages: tuple[tuple[str, str], ...]
    max_tokens: int
    temperature: float = 0.0
    vote: int = 0
    schema: str = ""

    @property
    def most_tokens_in(self) -> int:
        """More tokens than the messages can be: a token of today's tokenizers is at least one byte of UTF-8."""
        return (
            _FRAME
            + len(self.schema.encode("utf-8", "replace"))
            + sum(_FRAME_OF_MESSAGE + len(content.encode("utf-8", "replace")) for _, content in self.messages)
        )


class Why(StrEnum):
    """Why a question has no answer."""

    BUDGET = "the budget is used up"
    REFUSED = "the teacher's server refused it"
    PRIVATE = "personal data could not be redacted"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a teacher said.

    Attributes:
        text: the answer; empty where there is none.
        tokens_in, tokens_out: what it took.
        finished: False where it was cut at `max_tokens`.
        stored: True where it came from an earlier run.
        thought: True where its model shows that it thought first: that counts in what it took, and is not in the text.
        why_not: why there is no answer; None where there is one.
    """

    text: str
    tokens_in: int = 0
    tokens_out: int = 0
    finished: bool = True
    stored: bool = False
    thought: bool = False
    why_not: Why | None = None
