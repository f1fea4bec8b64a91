"""Which words mattered to an answer: leave each one out, ask again, and see how much the answer's score falls (occlusion)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from pydantic.dataclasses import dataclass

from smidgen.core.forms import Form
from smidgen.core.parts import Task
from smidgen.core.replies import Reply
from smidgen.core.rows import Text
from smidgen.flows.local_model import Model

MOST_PARTS = 64
"""Texts that are asked for one attribution. In a longer text, several words in a row are left out together."""
_IDEOGRAPH = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_IDEOGRAPH}]|[^\W{_IDEOGRAPH}]+(?:['’.\-][^\W{_IDEOGRAPH}]+)*")
"""A word, or one sign of a script that puts no spaces between words."""


@dataclass(frozen=True, slots=True)
class WordWeight:
    """How much the score falls without the characters from `start` to `end`; below 0 it rises. `second`: of a pair's second text."""

    start: int
    end: int
    second: bool
    fall: float


@dataclass(frozen=True, slots=True)
class WordWeights:
    """The weights of a text's words, in their order. `each`: how many words are left out together, 1 unless the text is long."""

    weights: tuple[WordWeight, ...]
    each: int


def weigh_words(model: Model, text: Text, reply: Reply, most: int = MOST_PARTS) -> WordWeights | None:
    """Weigh the words of a text by the model itself, in one batch. `reply` is the model's answer to the whole text.

    None where the model's replies do not tell the probability of a given answer, and for a text of one word.
    """
    whole = answer_chance(model.task, reply, reply.output, model.form)
    places = [(second, place) for second, part in enumerate(_parts(text)) for place in _places(part)]
    if whole is None or len(places) < 2:
        return None
    each = -(-len(places) // most)
    groups = _grouped(places, each)
    without = model.predict([_without(text, second, start, end) for second, start, end in groups])
    weights = []
    for (second, start, end), other in zip(groups, without, strict=True):
        left = answer_chance(model.task, other, reply.output, model.form)
        weights.append(WordWeight(start, end, bool(second), round(whole - (left or 0.0), 6)))
    return WordWeights(tuple(weights), each)


def answer_chance(task: Task, reply: Reply, output: Any, form: Form) -> float | None:
    """Return the probability of an output by the reply to another text; for a list of labels, that exactly these are right. None if the
    reply does not tell."""
    if reply.chances is None:
        return None
    if isinstance(output, list):
        return math.prod(chance if label in output else 1 - chance for label, chance in reply.chances.items())
    label = task.labelled(output, form)
    return reply.chances.get(label) if isinstance(label, str) else None


def _parts(text: Text) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else text


def _places(text: str) -> list[tuple[int, int]]:
    return [found.span() for found in _WORD.finditer(text)]


def _grouped(places: Sequence[tuple[int, tuple[int, int]]], each: int) -> list[tuple[int, int, int]]:
    """`each` words in a row as one place; no place goes over from the first text of a pair to the second."""
    groups: list[tuple[int, int, int]] = []
    for which in sorted({second for second, _ in places}):
        own = [place for second, place in places if second == which]
        groups += [(which, own[at][0], own[min(at + each, len(own)) - 1][1]) for at in range(0, len(own), each)]
    return groups


def _without(text: Text, second: int, start: int, end: int) -> Text:
    """The text without some of its characters, and without the double space that they would leave."""
    parts = list(_parts(text))
    before, after = parts[second][:start], parts[second][end:]
    parts[second] = (before.rstrip() + " " + after.lstrip() if before[-1:].isspace() and after[:1].isspace() else before + after).strip()
    return parts[0] if isinstance(text, str) else (parts[0], parts[1])
