"""The one run-time shape: an answerer takes a request and yields replies. And how a large model answered, in one word.

A loaded bundle is an answerer. So is a remote LLM, a router holding two others, a redactor, an audit log, a cache. The server composes
them like middleware.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from smidgen.core.rows import Text


@dataclass(frozen=True, slots=True)
class Request:
    """A question. `options` are the caller's extras (temperature, a schema, a wanted quality), untouched."""

    input: Text
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

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


AnswerState = Literal["", "whole", "long", "cut", "refused", "tools", "blank", "odd", "broken"]
"""
- empty: no large model answered, or a store of an older smidgen does not say how;
- `whole`: one text, to its end;
- `long`: one text, to its end, and longer than is kept;
- `cut`: its text was ended before its end, by a bound on its length for one;
- `refused`: it refused, or its text was filtered out;
- `tools`: it calls a tool;
- `blank`: to its end, and there is no text in it;
- `odd`: another kind of answer: several choices, or content that is not text;
- `broken`: it was not sent to its end, had a failure in it, or is no answer at all. What the model would have said is not known.
"""

NOT_COMPARABLE: frozenset[AnswerState] = frozenset({"long", "cut", "refused", "tools", "blank", "odd"})
"""The large model answered, and not with one whole text that can be compared: no answer of a small model agrees with it. To leave such
requests out where a small model is compared with the large one would measure it on those that went well."""
