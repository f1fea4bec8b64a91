"""The rows under inspection, and what several findings need of them, each worked out once."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import DataError
from smidgen.core.progress import Progress, Silent
from smidgen.core.rows import Row, joined
from smidgen.data import near

Embed: TypeAlias = Callable[[Sequence[str]], NDArray[np.float32]]
"""n texts to (n, width) vectors."""

NEAR_ROWS = 200_000
MODEL_ROWS = 50_000
"""Most rows among which near-duplicates, and wrong labels, are looked for; of more rows those whose text hashes lowest."""


@dataclass
class Survey:
    """What a check looks at.

    Attributes:
        rows: the rows that could be read, output parsed by the task.
        unusable: the rows that could not, with the reason.
        test: rows of the test file, where one was given.
        embed: makes vectors of texts, where a base is at hand; findings do without.
        unknown: labels that mean "none of these". Texts under them have nothing in common, so their labels cannot be doubted.
        progress: told of the slow parts.
        agreement: share of the labels that the judges of labels would give too, once they have looked.
        proposals: likely wrong labels, once `findings.mislabels` has looked for them.
    """

    rows: Sequence[Row]
    unusable: Sequence[DataError] = ()
    test: Sequence[Row] = ()
    embed: Embed | None = None
    unknown: frozenset[str] = frozenset()
    progress: Progress = field(default_factory=Silent)
    agreement: float | None = field(default=None, repr=False)
    proposals: list[Any] | None = field(default=None, repr=False)

    @cached_property
    def texts(self) -> list[str]:
        """The input of each row as one string."""
        return [joined(row.input) for row in self.rows]

    @cached_property
    def folded(self) -> list[str]:
        """The texts without case, punctuation and spacing."""
        return [near.folded(text) for text in self.texts]

    @cached_property
    def labels(self) -> list[tuple[str, ...]] | None:
        """The labels of each row; None where the outputs are not labels (spans, fields, written texts)."""
        found: list[tuple[str, ...]] = []
        for row in self.rows:
            if isinstance(row.output, str):
                found.append((row.output,))
            elif isinstance(row.output, (list, tuple)) and all(isinstance(one, str) for one in row.output):
                found.append(tuple(sorted(row.output)))
            else:
                return None
        free_text = len(found) >= 20 and len(set(found)) > 0.9 * len(found) and len(set(found)) > 50
        return None if free_text else found

    @cached_property
    def counts(self) -> Counter[str]:
        """How many rows have each label; empty where outputs are not labels."""
        return Counter(label for labels in self.labels or () for label in labels)

    @cached_property
    def single(self) -> bool:
        """Whether outputs are labels, one a row."""
        return self.labels is not None and all(len(labels) == 1 for labels in self.labels)

    def sample(self, most: int) -> list[int]:
        """Places of at most `most` rows: all of them, or those whose text hashes lowest, which does not depend on their order."""
        if len(self.rows) <= most:
            return list(range(len(self.rows)))
        keys = [hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest() for text in self.folded]
        return sorted(sorted(range(len(keys)), key=lambda place: (keys[place], place))[:most])

    @cached_property
    def near_pairs(self) -> list[tuple[int, int, float]]:
        """Near-duplicate pairs of places among the sampled rows, with their similarity; texts that fold to the same are not among them."""
        places = list({self.folded[place]: place for place in reversed(self.sample(NEAR_ROWS))}.values())
        found = near.pairs([self.folded[place] for place in places])
        return [(places[one], places[other], similarity) for one, other, similarity in found]
