"""The rows of one learning: what is learnt from, what chooses, what certifies. No text is on two sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from smidgen.core.rows import Row, Text, joined
from smidgen.data.near import folded
from smidgen.data.sides import Side
from smidgen.store.hashing import rows_hash
from smidgen.store.traffic.shapes import Seen

Source = Literal["original", "data", "upstream", "human"]
RANK: dict[Source, int] = {"upstream": 0, "original": 1, "data": 1, "human": 2}
"""Whose output counts where a text has several: a person's before a file's before a large model's; then the newer one."""
_OF_PEOPLE = frozenset[Source]({"original", "data", "human"})
_Weight: TypeAlias = tuple[float, float]


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
        unread: of a held-out row: what was answered can be read as no output at all. Its own is None then, and no answer agrees with it.
        altered: whether personal data was taken out of its input.
        masked: of a row that certifies, whether it is unread because personal data was taken out of what was answered.
        times: how often its text came, of which this is the newest.
        jobs: of a captured row, the scopes of those of the line's recurring jobs that it is of.
        model: the large model that its output is of, as it was asked for; empty where it is of none, or that is not known.
        unsure: of a captured row, whether it escalated because the champion of that time was not sure enough of it.
        volunteered: of a captured row that is held out, whether its output is what somebody put in the place of an answer from here, and
            the large model was not asked. Nobody drew it: it is there because that answer was wrong.
        id: of a captured row, its request's in the store.
    """

    row: Row
    source: Source
    at: datetime
    score: float | None = None
    said: str | None = None
    heard: bool = True
    unread: bool = False
    altered: bool = False
    masked: bool = False
    times: int = 1
    jobs: tuple[str, ...] = ()
    model: str = ""
    unsure: bool = False
    volunteered: bool = False
    id: str = ""


@dataclass(frozen=True)
class Material:
    """All rows of one learning, by their sides, and the large models that answered some of them. `unusable` counts rows that were left out,
    by the reason. Of the rows that certify a text may stand twice, with a person's output and another's: a reference is one of them.
    `joined` are texts of given rows that fell on a held-out side, and are learnt from because their text is. `seen`: how much of the
    traffic was stored."""

    learning: tuple[Taken, ...]
    choosing: tuple[Taken, ...]
    certifying: tuple[Taken, ...]
    teachers: tuple[str, ...] = ()
    unusable: tuple[tuple[str, int], ...] = ()
    joined: tuple[Text, ...] = ()
    seen: Seen = field(default_factory=lambda: Seen(0))

    @property
    def sha256(self) -> str:
        """Hash of the rows to learn from, in their order."""
        return rows_hash((taken.row.input, taken.row.output) for taken in self.learning)

    @property
    def whole_sha256(self) -> str:
        """Hash of all rows with their sides: where it is the same as the last time, nothing new can be learnt, chosen or certified."""
        sides = (self.learning, self.choosing, self.certifying)
        return rows_hash((taken.row.input, [number, taken.row.output, taken.source]) for number, side in enumerate(sides) for taken in side)

    @property
    def certifying_texts(self) -> int:
        """How many texts there are to certify on."""
        return len({folded(joined(taken.row.input)) for taken in self.certifying})

    def json(self) -> dict[str, Any]:
        """Counts, JSON-ready."""
        return {
            "learning": len(self.learning),
            "sources": sources(self.learning),
            "choosing": len(self.choosing),
            "certifying": self.certifying_texts,
            "certifying_sources": sources(self.certifying),
            "certifying_masked": sum(taken.masked for taken in self.certifying),
            "teachers": list(self.teachers),
            "unusable": dict(self.unusable),
            "traffic": self.seen.json(),
        }


def sources(rows: Iterable[Taken]) -> dict[str, int]:
    """How many rows there are of each source."""
    return dict(sorted(Counter(taken.source for taken in rows).items()))


def sorted_out(
    rows: Sequence[tuple[Side, Taken]],
    teachers: Iterable[str],
    unusable: Counter[str],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Material:
    """The rows by their sides.

    On each side a text stands once, as it came last: what comes ten times tells of the traffic once, and a test that took it for ten
    independent rows would be too sure. A text that is learnt from is taken out of the held-out rows; what people said of it, in a file or
    by a correction, joins those to learn from, where it counts for more than the large model's answer.

    A volunteered row does not choose: the champion is wrong on such rows because they are such, and whatever is compared with it would win.
    It certifies, for there it can only make the claim stricter.

    Args:
        rows: in the order in which they were given.
        since: held-out rows from before are not used: what they say of the traffic was found to be wrong since then.
        until: nor are those from after, with `since`: they came while the clock was ahead, and nobody knows when that was.
    """
    known = {folded(joined(taken.row.input)) for side, taken in rows if side is Side.LEARNING and taken.heard}
    teaching, held = list[Taken](), list[tuple[Side, Taken]]()
    given: dict[Text, None] = {}
    for side, taken in rows:
        if side is not Side.LEARNING and not (taken.heard and taken.source in _OF_PEOPLE and folded(joined(taken.row.input)) in known):
            held.append((side, taken))
        elif taken.heard:
            teaching.append(taken)
            if side is not Side.LEARNING and taken.source != "human":
                given[taken.row.input] = None
    learning = _once(teaching, _believed)
    new = [(side, taken) for side, taken in held if folded(joined(taken.row.input)) not in known]
    dated = [(side, taken) for side, taken in new if since is None or until is None or taken.at <= until]
    fresh = [(side, taken) for side, taken in dated if since is None or taken.at > since]
    drawn = [(side, taken) for side, taken in fresh if not (side is Side.CHOOSING and taken.volunteered)]
    choosing = newest(taken for side, taken in drawn if side is Side.CHOOSING)
    certifying = [taken for side, taken in fresh if side is Side.CERTIFYING]
    by_source = [one for source in RANK for one in newest(taken for taken in certifying if taken.source == source)]
    left_out = {
        "held out, but learnt from before": len(held) - len(new),
        "held out, but of a time to come": len(new) - len(dated),
        "held out, but too old": len(dated) - len(fresh),
        "held out to choose, but there only because somebody put the answer right": len(fresh) - len(drawn),
        "held out, and another row has the same text": len(drawn) - len(choosing) - len(by_source),
    }
    unusable.update({reason: count for reason, count in left_out.items() if count})
    return Material(
        tuple(learning), tuple(choosing), tuple(by_source), tuple(sorted(set(teachers))), tuple(unusable.most_common()), tuple(given)
    )


def newest(rows: Iterable[Taken]) -> list[Taken]:
    """Each text once, as it came last; of the same moment a person's output counts before a file's before a large model's."""
    every = list(rows)
    counts: Counter[str] = Counter()
    for taken in every:
        counts[folded(joined(taken.row.input))] += taken.times
    kept = _once(every, _recent, lambda taken: folded(joined(taken.row.input)))
    return [replace(taken, times=counts[folded(joined(taken.row.input))]) for taken in kept]


def _once(
    rows: Iterable[Taken], weight: Callable[[Taken], _Weight], name: Callable[[Taken], str] = lambda taken: joined(taken.row.input)
) -> list[Taken]:
    """Of rows of one name the weightiest; of equal ones the later."""
    best: dict[str, Taken] = {}
    for taken in rows:
        key = name(taken)
        if key not in best or weight(taken) >= weight(best[key]):
            best[key] = taken
    return list(best.values())


def _believed(taken: Taken) -> _Weight:
    return RANK[taken.source], taken.at.astimezone(UTC).timestamp()


def _recent(taken: Taken) -> _Weight:
    return taken.at.astimezone(UTC).timestamp(), RANK[taken.source]


def record(text: Text, output: Any, columns: tuple[tuple[str, ...], str]) -> dict[str, Any]:
    """A row as a line of a data file with these columns: of the input (two for a pair), and of the output."""
    pieces = (text,) if isinstance(text, str) else text
    return {**dict(zip(columns[0], pieces, strict=True)), columns[1]: output}
