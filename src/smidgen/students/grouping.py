"""Lessons in groups of one input, groups in blocks, and how many tokens they have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from smidgen.core.rows import evenly
from smidgen.students.blocks import Block
from smidgen.students.drawing import Group
from smidgen.students.lessons import Lesson

_LEAST = 16
"""Lessons that are left of many."""


def tokens_of(groups: Sequence[Group]) -> int:
    """Tokens of groups, each laid out in a row."""
    return sum(length_of(group) for group in groups)


def some(lessons: Sequence[Lesson], tokens: float) -> Sequence[Lesson]:
    """Of the held lessons, spread evenly, those that have about so many tokens; a handful at least."""
    every = sum(len(lesson.ids) for lesson in lessons)
    return lessons if every <= tokens else evenly(lessons, max(_LEAST, int(len(lessons) * tokens / every)))


def grouped(lessons: Sequence[Lesson], most: int) -> list[Group]:
    """Lessons with the same input together, in the order of the first of each, but no group longer than `most` tokens (a lesson that is
    longer by itself is a group by itself)."""
    by_input: dict[bytes, list[list[Lesson]]] = {}
    for lesson in lessons:
        groups = by_input.setdefault(lesson.ids[: len(lesson.ids) - lesson.answer].tobytes(), [])
        if groups and length_of(groups[-1]) + lesson.answer <= most:
            groups[-1].append(lesson)
        else:
            groups.append([lesson])
    return [tuple(group) for groups in by_input.values() for group in groups]


def length_of(group: Sequence[Lesson]) -> int:
    """Tokens of a group laid out in a row: the input once, and every answer."""
    return len(group[0].ids) + sum(lesson.answer for lesson in group[1:])


def block_of(groups: Sequence[Group]) -> Block:
    """Groups side by side, each an input and its answers, padded on the right with token 0, which nothing looks at."""
    length = max(length_of(group) for group in groups)
    ids, parts, positions = (np.zeros((len(groups), length), dtype=np.int64) for _ in range(3))
    answers, targets, weights, drawn = [], [], [], []
    for row, group in enumerate(groups):
        source = len(group[0].ids) - group[0].answer
        ids[row, :source] = group[0].ids[:source]
        positions[row, :source] = np.arange(source)
        at = source
        for number, lesson in enumerate(group, start=1):
            own = slice(at, at + lesson.answer)
            ids[row, own] = lesson.ids[source:]
            parts[row, own] = number
            positions[row, own] = np.arange(source, source + lesson.answer)
            # The input's last token predicts an answer's first, and so on: the end token predicts nothing.
            answers.append(np.concatenate([[source - 1], np.arange(at, at + lesson.answer - 1)]) + row * length)
            targets.append(lesson.ids[source:])
            weights.append(np.full(lesson.answer, lesson.weight, dtype=np.float32))
            drawn.append(np.full(lesson.answer, lesson.drawn, dtype=np.bool_))
            at += lesson.answer
        parts[row, at:] = len(group) + 1
    alone = all(len(group) == 1 for group in groups)
    return Block(
        torch.from_numpy(ids),
        torch.from_numpy(np.concatenate(answers)),
        torch.from_numpy(np.concatenate(targets)),
        torch.from_numpy(np.concatenate(weights)),
        None if alone else torch.from_numpy(parts),
        None if alone else torch.from_numpy(positions),
        torch.from_numpy(np.concatenate(drawn)) if any(lesson.drawn for group in groups for lesson in group) else None,
    )
