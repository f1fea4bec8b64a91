"""What the versions of a line have seen: the texts that they learnt from, that chose between them, and that tested them.

A version is built of files that go with the learning, and captured requests are deleted. Whoever certifies a version later on a file must
still know which of its texts say nothing of it. So each learning writes down all its texts, by a keyed hash of each, and which version it
was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from smidgen.data.sides import Side
from smidgen.flows.learning.material import Material
from smidgen.flows.learning.record import Record
from smidgen.flows.learning.sides import name_of
from smidgen.store.line import Line

_SIGNS: Mapping[str, Side] = {"l": Side.LEARNING, "c": Side.CHOOSING, "t": Side.CERTIFYING}
_VERSION = "v"
_SEEN = Record(
    "seen.txt",
    what="what the versions of the line have seen",
    without="Without it, a version would be certified on texts that it knows by heart.",
    fine=lambda entry: entry[:2] in {f"{sign} " for sign in (*_SIGNS, _VERSION)},
)


@dataclass(frozen=True)
class Seen:
    """What was written down: (the name of a text, the side that it was on at a learning), and the ids of the versions whose texts are all
    among them. The versions of an older smidgen are not."""

    texts: frozenset[tuple[str, Side]] = field(default_factory=frozenset)
    versions: frozenset[str] = field(default_factory=frozenset)


def write_down(line: Line, version: str, material: Material) -> None:
    """Write down the texts of a learning, before the version that it made (by its id) is compared, tested or promoted. Call it under the
    line's lock for learning. Raises BundleError where that cannot be done."""
    key = line.read().key
    sides = (("l", material.learning), ("c", material.choosing), ("t", material.certifying))
    texts = (f"{sign} {name_of(taken.row.input, key)}" for sign, rows in sides for taken in rows)
    # The version last: it says that all its texts stand there.
    _SEEN.add(line, (*texts, f"{_VERSION} {version}"))


def read(line: Line) -> Seen:
    """What is written down; nothing where no learning has written yet. Raises BundleError where it cannot be read."""
    texts, versions = set[tuple[str, Side]](), set[str]()
    for entry in _SEEN.read(line):
        sign, _, name = entry.partition(" ")
        if sign == _VERSION:
            versions.add(name)
        else:
            texts.add((name, _SIGNS[sign]))
    return Seen(frozenset(texts), frozenset(versions))
