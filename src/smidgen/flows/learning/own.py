"""What a line knows of a text: whether its versions learnt from it, were chosen by it, or are tested on it. No more than a keyed hash of
each text is held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

from smidgen.bundles.manifest import Manifest
from smidgen.core.errors import BundleError
from smidgen.core.rows import Text
from smidgen.data.sides import Side, held_side
from smidgen.flows.learning import batches, captured, freshness, gathering, seen
from smidgen.flows.learning.gathering import Capture
from smidgen.flows.learning.sides import Sides, name_of
from smidgen.store.line import Line, Pointer, is_version, line_of

_OF_CAPTURE = frozenset({"upstream", "human"})
_FIRST = (Side.LEARNING, Side.CHOOSING, Side.CERTIFYING)
"""Of several sides that a text was on, the one that counts."""
_Met: TypeAlias = tuple[str, Side, datetime | None]

Use = Literal["", "learnt", "chose", "old", "tests"]
"""What a line's version has of a text: nothing; it, or another version, learns from it; it chose between them; it is of before the latest
revocation; or it is one that the line tests its versions on."""


@dataclass(frozen=True)
class _Known:
    """The side of a text, and when it came last; None where that is not known."""

    side: Side
    at: datetime | None


class Own:
    """The texts of a line, as one of its versions must know them. Made by `of_version`.

    Attributes:
        line: the line.
    """

    def __init__(self, line: Line, pointer: Pointer, met: Iterable[_Met], by_draw: bool) -> None:
        self.line = line
        self._pointer, self._by_draw = pointer, by_draw
        self._known: dict[str, _Known] = {}
        for name, side, at in met:
            before = self._known.get(name)
            if before is not None:
                side = min(side, before.side, key=_FIRST.index)
                at = max((moment for moment in (at, before.at) if moment is not None), default=None)
            self._known[name] = _Known(side, at)

    def use(self, text: Text) -> Use:
        """What it has of a text."""
        known = self._known.get(name_of(text, self._pointer.key))
        if known is None:
            # Which held-out texts chose an older version is not written down. Its side is.
            return "chose" if self._by_draw and held_side(text, self._pointer.key) is Side.CHOOSING else ""
        if known.side is not Side.CERTIFYING:
            return "learnt" if known.side is Side.LEARNING else "chose"
        since = self._pointer.fresh_since
        return "old" if since is not None and (known.at is None or known.at <= since) else "tests"

    @contextmanager
    def look(self) -> Iterator[Look]:
        """One more look at the rows that the line tests its versions on, while nobody else learns. It is written down before anything is
        seen. Raises LineBusy where another process learns; BundleError where it cannot be written."""
        with self.line.learning():
            after = self.line.change(lambda found: found.model_copy(update={"looks": found.looks + 1}))
            look = Look(after.looks)
            yield look
            if look.in_vain:
                self.line.change(lambda found: found.model_copy(update={"looks": max(0, found.looks - 1)}))


@dataclass
class Look:
    """Which look it is. `in_vain` is set where nothing was seen: then it is taken back."""

    number: int
    in_vain: bool = False


def of_version(folder: Path, manifest: Manifest, now: datetime) -> Own | None:
    """What the line knows whose version lies in this folder; None for a bundle by itself. The line takes note of its revocations.

    Raises:
        BundleError: the line's pointer, its rows, or what it has written down of its texts cannot be read; or the version learnt from
            captured requests before a line wrote that down.
        TrafficError: the store of traffic cannot be read.
    """
    line = line_of(folder)
    if line is None:
        if manifest.lineage is not None and is_version(folder):
            raise BundleError(
                "the version's line is gone, and with it what it learnt from",
                value=str(folder.resolve().parent.parent),
                todo="Put a copy of line.json back. Without it, the version would be certified on texts that it knows by heart.",
            )
        return None
    pointer = freshness.remembered(line, freshness.revocations(line), now)
    record = seen.read(line)
    lineage = manifest.lineage
    unlisted = lineage is not None and manifest.id not in record.versions
    if lineage is not None and unlisted and _OF_CAPTURE & set(lineage.sources):
        raise BundleError(
            "nobody wrote down which captured texts this version learnt from: it is of an older smidgen, or the record is gone",
            value=f"{manifest.id} in {line.folder}",
            todo="Let the line learn its next version, which is certified as it is made: smidgen learn.",
        )
    return Own(line, pointer, (*((name, side, None) for name, side in record.texts), *_met(line, pointer)), unlisted)


def _met(line: Line, pointer: Pointer) -> Iterator[_Met]:
    """The texts that the line would learn from, choose by and test on now: those that it keeps, and those that are captured."""
    sides = Sides(line, pointer)
    for name in sides.learnt:
        yield name, Side.LEARNING, None
    for batch in pointer.rows:
        for text, _ in batches.read(line, batch):
            yield name_of(text, pointer.key), sides.of(text, batch), batch.at
    with captured.store() as store:
        if store is None:
            return
        for pair, _ in gathering.pairs(store, pointer, Capture(), None):
            side = held_side(pair.input, pointer.key) if pair.held_out else Side.LEARNING
            yield name_of(pair.input, pointer.key), side, pair.time
