"""Which of two stretches of a stream each distinct text stands in, and how that could as well have fallen out: the units of permutation
tests on traffic that repeats itself.

Requests are no independent draws: a text comes again and again, a client that tries once more sends it a hundred times. Counted by
request, one such client is a hundred witnesses. Taken once in each stretch, texts of a short stretch are another sample than those of a
long one: the frequent ones are more of it. So the earlier stretch is cut into blocks with as many requests as the later one has, and of
each text is known in how many of all blocks it stands, and whether the later one is among them.

    Where nothing has changed, and texts come independently of one another, a text that stands in c of the k + 1 blocks is as likely in any
    c of them. So among texts of the same c, who stands in the later block is exchangeable.

Permuting that within each c is therefore exact, whatever the frequencies are, and each text is one witness however often it came (a
stratified permutation test; Good 2005, ch. 3). What is not covered: texts that come together because of one another. A mailing that makes a
hundred people write is a change, and is seen as one.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Presence:
    """Of n distinct texts, where each stands.

    Attributes:
        blocks: (n,) in how many of the blocks, the later one among them.
        later: (n,) 1.0 where it stands in the later one, else 0.0.
        number: of blocks, the later one among them.
        size: requests in a block.
        earlier_at, later_at: (n,) the places in the earlier and in the later stretch, as they were given, at which it came last; -1 where
            it did not.
    """

    blocks: Ints
    later: Floats
    number: int
    size: int
    earlier_at: Ints
    later_at: Ints

    @property
    def n(self) -> int:
        """How many distinct texts there are."""
        return len(self.blocks)

    @property
    def earlier_texts(self) -> int:
        """How many of them stand in the earlier stretch."""
        return int((self.blocks > self.later).sum())

    @property
    def later_texts(self) -> int:
        """How many of them stand in the later block."""
        return int(self.later.sum())

    def only(self, known: NDArray[np.bool_]) -> Presence:
        """The same of the (n,) texts that are `known`: what is compared of these alone must be permuted among these alone, for who is known
        may go with where it stands."""
        parts = (part[known] for part in (self.earlier_at, self.later_at))
        return Presence(self.blocks[known], self.later[known], self.number, self.size, *parts)

    def contrast(self, later: Floats) -> Floats:
        """(..., n) of `later` (..., n): what each text weighs in the later block less what it weighs in the earlier ones; each of the two
        adds up to 1. A mean under it is the difference of two means."""
        earlier = self.blocks - later
        return np.asarray(later / later.sum(axis=-1, keepdims=True) - earlier / earlier.sum(axis=-1, keepdims=True))

    def drawn(self, rng: np.random.Generator, times: int) -> Floats:
        """(times, n) `later` as it could as well be: permuted among texts that stand in as many blocks."""
        found = np.empty((times, self.n))
        for count in np.unique(self.blocks):
            places = np.flatnonzero(self.blocks == count)
            found[:, places] = rng.permuted(np.broadcast_to(self.later[places], (times, len(places))), axis=1)
        return found


def presence(earlier: Sequence[Hashable], later: Sequence[Hashable], most_blocks: int = 8) -> Presence | None:
    """Where distinct texts stand, from what each request's text is called, the oldest first.

    Blocks have as many requests as the shorter stretch. Of the later stretch the newest count, of the earlier one the newest that fill
    whole blocks, at most `most_blocks`. None where a side is empty, or every text stands in every block: then there is nothing to compare.
    """
    size = min(len(earlier), len(later))
    if not size:
        return None
    whole = min(len(earlier) // size, most_blocks)
    start, begun = len(earlier) - whole * size, len(later) - size
    number: dict[Hashable, int] = {}
    stands: list[tuple[int, int]] = []
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for place in range(start, len(earlier)):
        one = number.setdefault(earlier[place], len(number))
        stands.append((one, (place - start) // size))
        first[one] = place
    for place in range(begun, len(later)):
        one = number.setdefault(later[place], len(number))
        stands.append((one, whole))
        last[one] = place
    blocks, marks = np.zeros(len(number), dtype=np.int64), np.zeros(len(number))
    for one, block in set(stands):
        blocks[one] += 1
        marks[one] += block == whole
    if not marks.any() or not (blocks > marks).any() or (blocks == whole + 1).all():
        return None
    every = range(len(number))
    places = [np.array([known.get(one, -1) for one in every], dtype=np.int64) for known in (first, last)]
    return Presence(blocks, marks, whole + 1, size, places[0], places[1])
