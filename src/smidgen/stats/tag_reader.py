"""Texts as a tagger reads them: cut into windows, each a list of token numbers between special tokens; and spans out of what it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smidgen.stats import tagging
from smidgen.stats.chains import Chain
from smidgen.stats.tagging import Reading, Window

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LONGEST = 100_000
"""Characters of a text that are read."""


def chosen(scores: Sequence[NDArray[np.float32]], choices: Sequence[int]) -> list[list[float]]:
    """The probabilities of each choice's values, by the mean of the log weights (tokens, values) of all tokens of all windows of a text,
    special ones too. `choices` are how many values each has."""
    mean = np.concatenate(scores).mean(axis=0, dtype=np.float64)
    parts = np.split(mean, np.cumsum(choices)[:-1])
    weights = [np.exp(part - part.max()) for part in parts]
    return [[round(float(weight), 6) for weight in own / own.sum()] for own in weights]


@dataclass(frozen=True)
class Reader:
    """A tokenizer set to read for a tagger.

    Attributes:
        before, after: the special tokens around a window.
        room: pieces that a window holds.
        level: what a unit is; see `tagging.LEVELS`.
        shaped: whether shapes are added to token numbers.
        vocabulary: how many token numbers the model knows.
    """

    tokenizer: Tokenizer
    before: list[int]
    after: list[int]
    room: int
    level: str
    shaped: bool
    vocabulary: int

    @staticmethod
    def of(tokenizer: Tokenizer, max_length: int, level: str, shaped: bool, vocabulary: int) -> Reader:
        """A reader with this tokenizer, which is set for it."""
        tokenizer.no_padding()
        tokenizer.no_truncation()
        # What a text says is never taken for a special token.
        tokenizer.encode_special_tokens = True
        around = tokenizer.encode("").ids
        before, after = around[: len(around) // 2], around[len(around) // 2 :]
        return Reader(tokenizer, before, after, max(2, max_length - len(around)), level, shaped, vocabulary)

    def read(self, texts: Sequence[str]) -> list[Reading]:
        """Each text's units and pieces, of at most its first 100,000 characters."""
        texts = [text[:LONGEST] for text in texts]
        found = self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [tagging.read(text, e.ids, e.offsets, self.level) for text, e in zip(texts, found, strict=True)]

    def windows(self, reading: Reading) -> list[Window]:
        """Where a text is cut."""
        return tagging.windows(len(reading.ids), self.room)

    def ids(self, reading: Reading, window: Window) -> list[int]:
        """The token numbers of a window, special ones around them."""
        return [*self.before, *reading.ids[window.start : window.end], *self.after]

    def shapes(self, reading: Reading, window: Window) -> list[int]:
        """The shape of each of these tokens; 0 for special ones, and for all where the model knows no shapes."""
        inner = reading.shapes[window.start : window.end] if self.shaped else [0] * (window.end - window.start)
        return [0] * len(self.before) + inner + [0] * len(self.after)

    def numbers(self, reading: Reading, window: Window) -> list[int]:
        """Both in one list: the vocabulary's size is added to a token number once a shape."""
        pairs = zip(self.ids(reading, window), self.shapes(reading, window), strict=True)
        return [number + self.vocabulary * shape for number, shape in pairs]

    def raw(
        self, readings: Sequence[Reading], scores: Sequence[Sequence[NDArray[np.float32]]], chain: Chain, choices: Sequence[int] = ()
    ) -> dict[str, list[Any]]:
        """What a tagger says of texts: `spans`, and `choices` where there are some; `choices` are how many values each has.

        `scores` are as for `spans`, for each text; behind the tags stand the log weights of the choices' values.
        """
        own = [[table[:, : chain.tags] for table in tables] for tables in scores]
        found: dict[str, list[Any]] = {"spans": [self.spans(r, tables, chain) for r, tables in zip(readings, own, strict=True)]}
        if choices:
            found["choices"] = [chosen([table[:, chain.tags :] for table in tables], choices) for tables in scores]
        return found

    def spans(self, reading: Reading, scores: Sequence[NDArray[np.float32]], chain: Chain) -> list[list[float]]:
        """What may be spans of a text, each its first character, one past the last, the number of its kind, and its probability.

        `scores` holds for each window, in their order, log weights (tokens, tags) of the tags, special tokens included.
        """
        if not len(reading.units):
            return []
        skip = len(self.before)
        own = [table[skip + w.own - w.start : skip + w.own_end - w.start] for w, table in zip(self.windows(reading), scores, strict=True)]
        found = chain.spans(tagging.pooled(np.concatenate(own), reading.pieces))
        return [[int(reading.units[a, 0]), int(reading.units[b, 1]), kind, round(chance, 6)] for a, b, kind, chance in found]
