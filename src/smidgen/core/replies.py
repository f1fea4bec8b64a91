"""The one run-time shape: an answerer takes a request and yields replies.

A loaded bundle is an answerer. So is a remote LLM, a router holding two others, a redactor, an audit log, a cache. The server
composes them like middleware.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, runtime_checkable

from smidgen.core.rows import Text


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. `options` are the caller's extras (temperature, a schema, a wanted quality), untouched."""

    input: Text
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered.

    Attributes:
        output: a text, a label, a list of labels, a list of spans, or an object that fits the task's schema.
        score: how likely the output is right, calibrated, in 0..1.
        alternatives: runner-ups with their scores, best first; the output itself is not among them.
        facts: anything else worth saying about the answer, JSON-ready.
        final: False where more of the same answer follows (streamed text).
        chances: the probability of every output there is, where the task has a fixed set of them; of fields, of every value of a field
            that has a fixed set of them, as `field=value`. For readers in the same process that need more than the runners-up; it is not
            written out.
        piece: what an engine says of a text that comes piece by piece, beside the text: tokens with their probabilities, why it ended,
            sizes. With `final` False, `output` is what this piece adds. Like `chances`, for readers in the same process.
    """

    output: Any
    score: float
    alternatives: tuple[tuple[Any, float], ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    final: bool = True
    chances: Mapping[str, float] | None = field(default=None, compare=False, repr=False)
    piece: Any = field(default=None, compare=False, repr=False)


Replies: TypeAlias = AsyncIterator[Reply]


@runtime_checkable
class Answerer(Protocol):
    """Anything that answers. Called with a request, it yields one final reply, after any number of partial ones."""

    def __call__(self, request: Request) -> Replies:
        """Answer one request."""
        ...
