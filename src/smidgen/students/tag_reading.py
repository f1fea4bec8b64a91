"""Texts as a tagger reads them: cut into windows, each a list of token numbers between special tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smidgen.stats import chains, tagging
from smidgen.stats.tagging import Reading, Span, Window

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MASKS = ("[MASK]", "<mask>")


@dataclass(frozen=True)
class Reader:
    """A tokenizer set to read for a tagger.

    Attributes:
        before, after: the special tokens around a window.
        room: pieces that a window holds.
        level: what a unit is; see `tagging.LEVELS`.
        shaped: whether shapes are added to token numbers.
        vocabulary: how many token numbers the model knows.
        mask: the number of the token that stands for a hidden one; None where there is none.
    """

    tokenizer: Tokenizer
    before: list[int]
    after: list[int]
    room: int
    level: str
    shaped: bool
    vocabulary: int
    mask: int | None

    @staticmethod
    def open(file: Path, max_length: int, level: str, shaped: bool, vocabulary: int) -> Reader:
        """The tokenizer in `file`."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(file))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        around = tokenizer.encode("").ids
        before, after = around[: len(around) // 2], around[len(around) // 2 :]
        mask = next((number for token in MASKS if (number := tokenizer.token_to_id(token)) is not None), None)
        return Reader(tokenizer, before, after, max(2, max_length - len(around)), level, shaped, vocabulary, mask)

    def read(self, texts: Sequence[str]) -> list[Reading]:
        """Each text's units and pieces."""
        found = self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [tagging.read(text, e.ids, e.offsets, self.level) for text, e in zip(texts, found, strict=True)]

    def windows(self, reading: Reading) -> list[Window]:
        """Where a text is cut."""
        return tagging.windows(len(reading.ids), self.room)

    def numbers(self, reading: Reading, window: Window) -> list[int]:
        """The token numbers of a window, special ones around them, the vocabulary's size added once a shape."""
        own = slice(window.start, window.end)
        ids = reading.ids[own]
        if self.shaped:
            ids = [number + self.vocabulary * shape for number, shape in zip(ids, reading.shapes[own], strict=True)]
        return [*self.before, *ids, *self.after]


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
