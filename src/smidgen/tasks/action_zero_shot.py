"""Calls of tools that a model was never taught: the tool by likeness of texts, arguments by type, name and description.

It needs no training. So it is less often right than a model with examples, and its calls have no calibrated score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from smidgen.tasks import action_tools
from smidgen.tasks.action_tools import ToolFacts, missing_in
from smidgen.tasks.field_values import FieldValues
from smidgen.tasks.zero_shot_arguments import ZeroShotArguments, argument_words, content_stems

LEAST = 0.25
"""The least likeness of a tool that is called; see `likeness`. `bench/act.py` fits it to messages of tools of our own."""
_SHARED = 0.5
"""How much the share of the message's words that a tool has counts beside the cosine of the vectors."""


@dataclass(frozen=True)
class ZeroShotCall:
    """A call, or None, with facts as a reply has them."""

    call: dict[str, Any] | None
    facts: Mapping[str, Any] = field(default_factory=dict)


def texts_of(tools: Sequence[ToolFacts]) -> list[str]:
    """The text that describes each tool, for its vector."""
    return [f"{' '.join(content_stems(tool['name']))}: {tool['description']}" for tool in tools]


def likeness(text: str, tools: Sequence[ToolFacts], vectors: Sequence[Sequence[float]]) -> list[float]:
    """How alike a message and each tool are: the cosine of their vectors, and the share of the message's words in the tool. `vectors`: of
    the message, and of `texts_of`."""
    table = np.asarray(vectors, dtype=np.float64)
    said = set(content_stems(text))
    shares = [
        len(said & {*content_stems(told), *argument_words(tool["parameters"])}) / max(1, len(said))
        for tool, told in zip(tools, texts_of(tools), strict=True)
    ]
    return [float(cosine + _SHARED * share) for cosine, share in zip(table[1:] @ table[0], shares, strict=True)]


def call(
    text: str,
    tools: Sequence[ToolFacts],
    vectors: Sequence[Sequence[float]],
    *,
    named: str | None = None,
    required: bool = False,
    today: str | None = None,
) -> ZeroShotCall:
    """The call of the likeliest tool with the arguments that the message states; none if no tool is like enough, unless one is required.

    The fact `missing` names required arguments that the message does not state.
    """
    alike = likeness(text, tools, vectors)
    best = int(np.argmax(alike)) if named is None else action_tools.called(tools).index(named)
    facts: dict[str, Any] = {"likeness": round(alike[best], 4)}
    if alike[best] < LEAST and named is None and not required:
        return ZeroShotCall(None, facts)
    tool = tools[best]
    arguments = fitting(ZeroShotArguments(text, tool["parameters"], today).found(), tool)
    if missing := list(missing_in(arguments, tool["parameters"])):
        facts["missing"] = missing
    return ZeroShotCall({"tool": tool["name"], "arguments": arguments}, facts)


def fitting(arguments: Mapping[str, Any], tool: ToolFacts) -> dict[str, Any]:
    """The arguments that fit the tool's schema, in its types and its order."""
    values = FieldValues(action_tools.without_required(tool["parameters"]))
    kept: dict[str, Any] = {}
    for name, value in arguments.items():
        try:
            settled = values.settled({name: value})
        except ValueError:
            continue
        if not values.fault(settled):
            kept |= settled
    return values.settled(kept) if kept else {}
