"""Requests, replies and answerers, the one run-time interface; and the states of a large model's answer, each one word.

A loaded bundle is an answerer. So is a remote LLM, a router holding two others, a redactor, an audit log, a cache. The server composes
them like middleware.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from smidgen.core.rows import Text


@dataclass(frozen=True, slots=True)
class Request:
    """A request to an answerer. `options`: the caller's extras (temperature, a schema, a wanted quality), unchanged."""

    input: Text
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Attributes:
        output: a text, a label, a list of labels, a list of spans, or an object that fits the task's schema.
        score: the calibrated probability that the output is right, 0..1.
        alternatives: runner-ups with their scores, best first, without the output itself.
        facts: further facts about the answer, JSON-ready.
        final: False if more of the same answer follows (streamed text).
        chances: the probability of every possible output, if the task has a fixed set of them; for fields, of every value of a field
            with a fixed set, as `field=value`. For readers in the same process that need more than the runner-ups; never written out.
        piece: an engine's facts about one piece of a streamed text: tokens with their probabilities, why it ended, sizes. With `final`
            False, `output` is the text that this piece adds. Like `chances`, for readers in the same process.
        calling: for a task that calls tools, a function from a tool's name to the reply that calls it, likely or not; KeyError for an
            unknown tool. For readers in the same process.
    """

    output: Any
    score: float
    alternatives: tuple[tuple[Any, float], ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    final: bool = True
    chances: Mapping[str, float] | None = field(default=None, compare=False, repr=False)
    piece: Any = field(default=None, compare=False, repr=False)
    calling: Callable[[str], Reply] | None = field(default=None, compare=False, repr=False)


def answer_group(reply: Reply) -> str | None:
    """The group of answers that a reply belongs to, where groups have thresholds of their own: its label, or a desk's outcome; None for
    others."""
    group = reply.output if isinstance(reply.output, str) else reply.facts.get("outcome")
    return group if isinstance(group, str) else None


def gives_nothing(reply: Reply) -> bool:
    """Whether a reply says that there is no answer: a refusal, or a desk that does not know. Behind a gateway it always escalates."""
    return bool(reply.facts.get("refused")) or reply.facts.get("outcome") == "unanswered"


Replies: TypeAlias = AsyncIterator[Reply]


AnswerState = Literal["", "whole", "long", "cut", "refused", "tools", "blank", "odd", "broken"]
"""The states of a large model's answer:

- empty: no large model answered, or an older smidgen stored no state;
- `whole`: one complete text;
- `long`: one complete text, longer than the limit of stored texts;
- `cut`: its text was cut short, for example by a limit on its length;
- `refused`: it refused, or its text was filtered out;
- `tools`: it calls a tool;
- `blank`: complete, but without text;
- `odd`: another kind of answer: several choices, or content that is not text;
- `broken`: it was not sent to its end, contained a failure, or is not an answer at all. The model's real answer is unknown.
"""

NOT_COMPARABLE: frozenset[AnswerState] = frozenset({"long", "cut", "refused", "tools", "blank", "odd"})
"""States in which the large model answered, but not with one whole text: no answer of a small model agrees with it. Such requests
still count in comparisons; without them only the easy requests would be measured."""
