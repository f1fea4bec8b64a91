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
        tags: (units,) the tag of each.
    """

    ids: list[list[int]]
    pieces: list[NDArray[np.int64]]
    tags: list[NDArray[np.int64]]


def lessons(reader: Reader, examples: Sequence[tuple[str, Sequence[Span]]]) -> Lessons:
    """Windows of texts with the tags that their spans give. A span that a window cuts through is taught as far as it can be seen."""
    made = Lessons([], [], [])
    for (_, spans), reading in zip(examples, reader.read([text for text, _ in examples]), strict=True):
        found = [(int(start), int(end)) for start, end in reading.units]
        placed = tagging.unit_spans(found, spans)
        for window in reader.windows(reading):
            seen = np.flatnonzero((reading.pieces[:, 0] >= window.start) & (reading.pieces[:, 1] <= window.end))
            if not len(seen):
                continue
            first, last = int(seen[0]), int(seen[-1])
            clipped = [(max(a, first) - first, min(b, last) - first, kind) for a, b, kind in placed if a <= last and b >= first]
            made.ids.append(reader.numbers(reading, window))
            made.pieces.append(reading.pieces[first : last + 1] - window.start)
            made.tags.append(chains.tags(clipped, last + 1 - first))
    return made
