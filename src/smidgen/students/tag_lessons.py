"""What a tagger learns from: windows of texts with the tags that their spans give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smidgen.stats import chains, tagging
from smidgen.stats.tag_reader import Reader
from smidgen.stats.tagging import Span


@dataclass(frozen=True)
class Lessons:
    """What a tagger learns from, one entry a window of a text.

    Attributes:
        ids: token numbers, special ones added, the vocabulary's size added once a shape.
        pieces: (units, 2) first piece of each unit, and one past its last; special tokens before are not counted.
            Where there are choices, one more unit follows: all tokens of the window, special ones too.
        tags: (units,) the tag of each, but not of that one.
        choices: (choices,) the number of the value of each, -1 where it is not known; empty where there are no choices.
    """

    ids: list[list[int]]
    pieces: list[NDArray[np.int64]]
    tags: list[NDArray[np.int64]]
    choices: list[NDArray[np.int64]]


def lessons(reader: Reader, examples: Sequence[tuple[str, Sequence[Span]]], choices: Sequence[Sequence[int]] | None = None) -> Lessons:
    """Windows of texts with the tags that their spans give. A span that a window cuts through is taught as far as it can be seen; what is
    chosen by a text, `choices`, is taught with each of its windows."""
    made = Lessons([], [], [], [])
    chosen = choices if choices is not None else [()] * len(examples)
    for (_, spans), reading, own in zip(examples, reader.read([text for text, _ in examples]), chosen, strict=True):
        found = [(int(start), int(end)) for start, end in reading.units]
        placed = tagging.unit_spans(found, spans)
        for window in reader.windows(reading):
            seen = np.flatnonzero((reading.pieces[:, 0] >= window.start) & (reading.pieces[:, 1] <= window.end))
            if not len(seen):
                continue
            first, last = int(seen[0]), int(seen[-1])
            clipped = [(max(a, first) - first, min(b, last) - first, kind) for a, b, kind in placed if a <= last and b >= first]
            numbers = reader.numbers(reading, window)
            before = len(reader.before)
            whole = np.array([[-before, len(numbers) - before]] if own else [], dtype=np.int64).reshape(-1, 2)
            made.ids.append(numbers)
            made.pieces.append(np.concatenate([reading.pieces[first : last + 1] - window.start, whole]))
            made.choices.append(np.array(own, dtype=np.int64))
            made.tags.append(chains.tags(clipped, last + 1 - first))
    return made
