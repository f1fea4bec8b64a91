"""What is known of the distinct texts of two stretches of traffic, column by column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from smidgen.stats.presence import Floats, Presence


@dataclass(frozen=True)
class Sample:
    """Of n distinct texts.

    Attributes:
        where: in which stretch each stands.
        texts: each as it is stored, as it came last.
        vectors: (n, width) of an encoder.
        labels: what the model answers, by name; None for a text that it has no answer to.
        scores: (n,) how sure it is, 0..1; NaN where that is not known.
        languages: of each text; None for one that is too short to tell.
        untested: why a column is not there, by what would be tested with it.
    """

    where: Presence
    texts: Sequence[str]
    vectors: Floats | None = None
    labels: Sequence[str | None] | None = None
    scores: Floats | None = None
    languages: Sequence[str | None] | None = None
    untested: Mapping[str, str] = field(default_factory=dict)
