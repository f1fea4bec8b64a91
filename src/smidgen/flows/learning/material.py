"""The rows of one learning: what is learnt from, what chooses, what certifies. No text is on two sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from smidgen.core.rows import Row, Text, joined
from smidgen.data.near import folded
from smidgen.data.sides import Side
from smidgen.store.hashing import rows_hash

Source = Literal["original", "data", "upstream", "human"]
_RANK: dict[Source, int] = {"upstream": 0, "original": 1, "data": 1, "human": 2}
"""Whose output counts where a text has several: a person's before a file's before a large model's; then the newer one."""


@dataclass(frozen=True)
class Taken:
    """A row, whose its output is, when it was given, and what the champion said of it at that time, where that is known.

    Attributes:
        row: its input and output, the output as the task has it; of a held-out row that names nothing the model knows, as it stands.
        source: whose its output is.
        at: when it was given, or captured.
        score: of the champion's own answer.
        said: that answer, as JSON.
        heard: whether the output is one of the task's.
    """

    row: Row
    source: Source
    at: datetime
    score: float | None = None
    said: str | None = None
    heard: bool = True


@dataclass(frozen=True)
class Material:
    """All rows of one learning, by their sides, and the large models that answered some of them. `unusable` counts rows that were left out,
    by the reason."""

    learning: tuple[Taken, ...]
    choosing: tuple[Taken, ...]
    certifying: tuple[Taken, ...]
    teachers: tuple[str, ...] = ()
    unusable: tuple[tuple[str, int], ...] = ()

    @property
    def sha256(self) -> str:
        """Hash of the rows to learn from, in their order."""
        return rows_hash((taken.row.input, taken.row.output) for taken in self.learning)

    @property
    def whole_sha256(self) -> str:
        """Hash of all rows with their sides: where it is the same as the last time, nothing new can be learnt, chosen or certified."""
        sides = (self.learning, self.choosing, self.certifying)
        return rows_hash((taken.row.input, [number, taken.row.output]) for number, side in enumerate(sides) for taken in side)

    def json(self) -> dict[str, Any]:
        """Counts, JSON-ready."""
        return {
            "learning": len(self.learning),
            "sources": sources(self.learning),
            "choosing": len(self.choosing),
            "certifying": len(self.certifying),
            "certifying_sources": sources(self.certifying),
            "teachers": list(self.teachers),
            "unusable": dict(self.unusable),
        }


def sources(rows: Iterable[Taken]) -> dict[str, int]:
    """How many rows there are of each source."""
    return dict(sorted(Counter(taken.source for taken in rows).items()))


def sorted_out(
    rows: Sequence[tuple[Side, Taken]], teachers: Iterable[str], unusable: Counter[str], *, since: datetime | None = None
) -> Material:
    """The rows by their sides.

    Of the rows to learn from each text stands once. Held-out rows stay as often as they came, for traffic that repeats itself does so; a
    text that is learnt from is taken out of them.

    Args:
        rows: in the order in which they were given.
        since: held-out rows from before are not used: what they say of the traffic was found to be wrong since then.
    """
    best: dict[str, Taken] = {}
    for side, taken in rows:
        if side is Side.LEARNING and taken.heard:
            key = joined(taken.row.input)
            if key not in best or _weight(taken) >= _weight(best[key]):
                best[key] = taken
    known = {folded(text) for text in best}
    held = [(side, taken) for side, taken in rows if side is not Side.LEARNING]
    new = [(side, taken) for side, taken in held if folded(joined(taken.row.input)) not in known]
    fresh = [(side, taken) for side, taken in new if since is None or taken.at > since]
    for reason, count in (("held out, but learnt from before", len(held) - len(new)), ("held out, but too old", len(new) - len(fresh))):
        if count:
            unusable[reason] += count
    return Material(
        tuple(best.values()),
        tuple(taken for side, taken in fresh if side is Side.CHOOSING),
        tuple(taken for side, taken in fresh if side is Side.CERTIFYING),
        tuple(sorted(set(teachers))),
        tuple(unusable.most_common()),
    )


def _weight(taken: Taken) -> tuple[int, float]:
    return _RANK[taken.source], taken.at.astimezone(UTC).timestamp()


def record(text: Text, output: Any, columns: tuple[tuple[str, ...], str]) -> dict[str, Any]:
    """A row as a line of a data file with these columns: of the input (two for a pair), and of the output."""
    pieces = (text,) if isinstance(text, str) else text
    return {**dict(zip(columns[0], pieces, strict=True)), columns[1]: output}
