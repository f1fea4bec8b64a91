"""Sides of the texts that are given to a line: by the line's key, but for those that a version has learnt.

A given row whose text is learnt from anyway, because it was captured or given before, is learnt from wherever it fell. What made its text
known may go: captured requests are deleted. So the line remembers such texts, by a keyed hash of each: were one held out again, the
champion would be compared on what it knows by heart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from smidgen.core.rows import Text, joined
from smidgen.data.near import folded
from smidgen.data.sides import Side, side
from smidgen.flows.learning.record import Record
from smidgen.store.line import Batch, Line, Pointer

_LEARNT = Record(
    "learnt.txt",
    what="what the line has learnt of held-out texts",
    without="Without it, texts that a version knows by heart would be held out again.",
    fine=lambda entry: " " not in entry,
)


class Sides:
    """On which side a text falls, as the line's file has it now. `learnt` are the names of the texts that it remembers to have learnt.

    Raises BundleError where the file cannot be read."""

    def __init__(self, line: Line, pointer: Pointer) -> None:
        self._key, self._held_out = pointer.key, pointer.held_out
        self.learnt = frozenset(_LEARNT.read(line))

    def of(self, text: Text, batch: Batch | None = None) -> Side:
        """Of a text; of one in a batch that the first version learnt, that of the rows to learn from."""
        if (batch is not None and batch.learnt) or (self.learnt and name_of(text, self._key) in self.learnt):
            return Side.LEARNING
        return side(text, self._key, self._held_out)


def held_no_more(line: Line, texts: Iterable[Text]) -> None:
    """Texts that were held out are learnt from, from now on for ever. Call it under the line's lock for learning. Raises BundleError where
    that cannot be written."""
    key = line.read().key
    _LEARNT.add(line, (name_of(text, key) for text in texts))


def name_of(text: Text, key: str) -> str:
    """A text, however it is spaced or capitalised, as the line alone can name it, whose key this is: 24 hex digits."""
    said = folded(joined(text)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(said, key=key.encode(), person=b"learnt", digest_size=12).hexdigest()
