"""The rows of one learning: what is learnt from, what chooses, what certifies. No text is on two sides.

Rows from before a revocation that newer ones contradict are left out, and of too many rows the most instructive are picked.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

import numpy as np

from smidgen.core.progress import Progress
from smidgen.core.rows import Row, Text, joined
from smidgen.data import row_selection
from smidgen.data.label_errors import LEAST_NEWER, contradicted_rows
from smidgen.data.splits import SplitSide
from smidgen.flows.embedding import Embed
from smidgen.store.hashing import rows_hash
from smidgen.store.traffic.records import StoredShare
from smidgen.text.near_duplicates import fold_text

# The rows of one learning: what is learnt from, what chooses, what certifies. No text is on two sides.

Source = Literal["original", "data", "upstream", "human"]
RANK: dict[Source, int] = {"upstream": 0, "original": 1, "data": 1, "human": 2}
"""Whose output counts where a text has several: a person's before a file's before a large model's; then the newer one."""
_OF_PEOPLE = frozenset[Source]({"original", "data", "human"})
_Weight: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class LineRow:
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
class LearningRows:
    """All rows of one learning, by their sides, and the large models that answered some of them. `unusable` counts rows that were left out,
    by the reason. Of the rows that certify a text may stand twice, with a person's output and another's: a reference is one of them.
    `joined` are texts of given rows that fell on a held-out side, and are learnt from because their text is. `seen`: how much of the
    traffic was stored."""

    learning: tuple[LineRow, ...]
    choosing: tuple[LineRow, ...]
    certifying: tuple[LineRow, ...]
    teachers: tuple[str, ...] = ()
    unusable: tuple[tuple[str, int], ...] = ()
    joined: tuple[Text, ...] = ()
    seen: StoredShare = field(default_factory=lambda: StoredShare(0))

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
        return len({fold_text(joined(taken.row.input)) for taken in self.certifying})

    def json(self) -> dict[str, Any]:
        """Counts, JSON-ready."""
        return {
            "learning": len(self.learning),
            "sources": count_sources(self.learning),
            "choosing": len(self.choosing),
            "certifying": self.certifying_texts,
            "certifying_sources": count_sources(self.certifying),
            "certifying_masked": sum(taken.masked for taken in self.certifying),
            "teachers": list(self.teachers),
            "unusable": dict(self.unusable),
            "traffic": self.seen.json(),
        }


def count_sources(rows: Iterable[LineRow]) -> dict[str, int]:
    """How many rows there are of each source."""
    return dict(sorted(Counter(taken.source for taken in rows).items()))


def split_rows(
    rows: Sequence[tuple[SplitSide, LineRow]],
    teachers: Iterable[str],
    unusable: Counter[str],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> LearningRows:
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
    known = {fold_text(joined(taken.row.input)) for side, taken in rows if side is SplitSide.LEARNING and taken.heard}
    teaching, held = list[LineRow](), list[tuple[SplitSide, LineRow]]()
    given: dict[Text, None] = {}
    for side, taken in rows:
        if side is not SplitSide.LEARNING and not (
            taken.heard and taken.source in _OF_PEOPLE and fold_text(joined(taken.row.input)) in known
        ):
            held.append((side, taken))
        elif taken.heard:
            teaching.append(taken)
            if side is not SplitSide.LEARNING and taken.source != "human":
                given[taken.row.input] = None
    learning = _once(teaching, _by_source)
    new = [(side, taken) for side, taken in held if fold_text(joined(taken.row.input)) not in known]
    dated = [(side, taken) for side, taken in new if since is None or until is None or taken.at <= until]
    fresh = [(side, taken) for side, taken in dated if since is None or taken.at > since]
    drawn = [(side, taken) for side, taken in fresh if not (side is SplitSide.CHOOSING and taken.volunteered)]
    choosing = newest(taken for side, taken in drawn if side is SplitSide.CHOOSING)
    certifying = [taken for side, taken in fresh if side is SplitSide.CERTIFYING]
    by_source = [one for source in RANK for one in newest(taken for taken in certifying if taken.source == source)]
    left_out = {
        "held out, but learnt from before": len(held) - len(new),
        "held out, but of a time to come": len(new) - len(dated),
        "held out, but too old": len(dated) - len(fresh),
        "held out to choose, but there only because somebody put the answer right": len(fresh) - len(drawn),
        "held out, and another row has the same text": len(drawn) - len(choosing) - len(by_source),
    }
    unusable.update({reason: count for reason, count in left_out.items() if count})
    return LearningRows(
        tuple(learning), tuple(choosing), tuple(by_source), tuple(sorted(set(teachers))), tuple(unusable.most_common()), tuple(given)
    )


def newest(rows: Iterable[LineRow]) -> list[LineRow]:
    """Each text once, as it came last; of the same moment a person's output counts before a file's before a large model's."""
    every = list(rows)
    counts: Counter[str] = Counter()
    for taken in every:
        counts[fold_text(joined(taken.row.input))] += taken.times
    kept = _once(every, _by_time, lambda taken: fold_text(joined(taken.row.input)))
    return [replace(taken, times=counts[fold_text(joined(taken.row.input))]) for taken in kept]


def _once(
    rows: Iterable[LineRow], weight: Callable[[LineRow], _Weight], name: Callable[[LineRow], str] = lambda taken: joined(taken.row.input)
) -> list[LineRow]:
    """Of rows of one name the weightiest; of equal ones the later."""
    best: dict[str, LineRow] = {}
    for taken in rows:
        key = name(taken)
        if key not in best or weight(taken) >= weight(best[key]):
            best[key] = taken
    return list(best.values())


def _by_source(taken: LineRow) -> _Weight:
    return RANK[taken.source], taken.at.astimezone(UTC).timestamp()


def _by_time(taken: LineRow) -> _Weight:
    return taken.at.astimezone(UTC).timestamp(), RANK[taken.source]


def file_record(text: Text, output: Any, columns: tuple[tuple[str, ...], str]) -> dict[str, Any]:
    """A row as a line of a data file with these columns: of the input (two for a pair), and of the output."""
    pieces = (text,) if isinstance(text, str) else text
    return {**dict(zip(columns[0], pieces, strict=True)), columns[1]: output}


# What is not learnt from any more: rows from before a revocation that newer ones contradict.
#
# Whose output counts for more is not contradicted by whose counts for less: what is in a file that somebody gave stays, whatever the
# large model says by now, and what people corrected is contradicted by later corrections alone.

OUTDATED = "from before a revocation, and newer rows say otherwise"


def drop_outdated(
    material: LearningRows, revoked: datetime | None, encoder: Callable[[], Embed | None], progress: Progress
) -> LearningRows:
    """The material of a task with one label each without such rows, of which it says how many there are; as it is where no certificate was
    revoked, or there is no encoder to compare texts by."""
    rows = material.learning
    if revoked is None or not rows or not all(isinstance(taken.row.output, str) for taken in rows):
        return material
    new = np.array([taken.at > revoked for taken in rows])
    rank = np.array([RANK[taken.source] for taken in rows])
    if not any(((rank == one) & ~new).any() and ((rank >= one) & new).sum() >= LEAST_NEWER for one in set(rank.tolist())):
        return material
    embed = encoder()
    if embed is None:
        progress.say("rows from before the revocation are all learnt from, also where newer ones say otherwise: smidgen pull minilm")
        return material
    progress.start("compare rows from before the revocation with newer ones")
    vectors = embed([taken.row.input for taken in rows])
    labels = sorted({taken.row.output for taken in rows})
    said = np.array([labels.index(taken.row.output) for taken in rows])
    gone = np.zeros(len(rows), dtype=bool)
    for one in sorted(set(rank.tolist())):
        old, newer = (rank == one) & ~new, (rank >= one) & new
        gone[old] = contradicted_rows(vectors[old], said[old], vectors[newer], said[newer])
    count = int(gone.sum())
    progress.finish(f"{count:,} of {int((~new).sum()):,} left out, for newer ones say otherwise")
    if not count:
        return material
    kept = tuple(taken for taken, out in zip(rows, gone.tolist(), strict=True) if not out)
    return replace(material, learning=kept, unusable=(*material.unusable, (OUTDATED, count)))


# Which rows to learn from, where there are more than are wanted.
#
# People's corrections all stay. Of the large model's answers those are taken that cover the others best, where one counts more the less
# sure the champion was of it, and more again where it said something else; but a few of each label in any case. Of the line's own rows
# as many of each label.

_DISAGREED = 1.0
"""What a row counts more where the champion's answer was another, on top of its doubt, which is up to 1."""
_LEAST_OF_A_LABEL = 20
"""Rows of the large model's that each label keeps, as far as half of the places reach: the champion is sure of a label that it answers by
itself, and all its rows would weigh little."""
_LEAST_WEIGHT = 0.05
"""What even a row counts that the champion was sure of, and right."""


def pick_rows(material: LearningRows, most: int, embed: Embed | None, seed: int, progress: Progress) -> LearningRows:
    """The material with at most so many rows to learn from. Without an encoder to compare texts by, the weightiest are taken."""
    rows = material.learning
    if len(rows) <= most:
        return material
    people = [taken for taken in rows if taken.source == "human"]
    own = [taken for taken in rows if taken.source in ("original", "data")]
    model = [taken for taken in rows if taken.source == "upstream"]
    rng = np.random.default_rng([seed, 71])
    people = _pick_some(people, most, None, rng)
    left = most - len(people)
    # Each gets half, and what the other does not need.
    from_model = min(len(model), max(left // 2, left - len(own)))
    own = _pick_own(own, left - from_model, embed, seed, rng)
    sure = _of_each_label(model, from_model)
    rest, before = [taken for taken in model if id(taken) not in sure], [*own, *sure.values()]
    start = embed([taken.row.input for taken in before]) if embed is not None and before and from_model < len(model) else None
    chosen = [*sure.values(), *_pick_some(rest, from_model - len(sure), embed, rng, start)]
    progress.say(f"{len(people) + len(own) + len(chosen):,} of {len(rows):,} rows chosen to learn from (--max-rows)")
    kept = {id(taken) for taken in (*people, *own, *chosen)}
    return replace(material, learning=tuple(taken for taken in rows if id(taken) in kept))


def row_weight(taken: LineRow) -> float:
    """How much a row has to teach: the champion's doubt, and more where it said something else."""
    doubt = 1.0 - min(1.0, max(0.0, taken.score)) if taken.score is not None else 0.5
    return _LEAST_WEIGHT + doubt + (_DISAGREED if _disagreed(taken) else 0.0)


def _of_each_label(rows: Sequence[LineRow], count: int) -> dict[int, LineRow]:
    """Of many rows of a few labels the newest of each, by their identities; none of other rows, or where all fit."""
    labels = {taken.row.output for taken in rows if isinstance(taken.row.output, str)}
    each = min(_LEAST_OF_A_LABEL, count // (2 * len(labels))) if labels and count < len(rows) else 0
    found: dict[int, LineRow] = {}
    left = Counter(dict.fromkeys(labels, each))
    for taken in sorted(rows, key=lambda taken: taken.at, reverse=True):
        if isinstance(taken.row.output, str) and left[taken.row.output] > 0:
            left[taken.row.output] -= 1
            found[id(taken)] = taken
    return found


def _disagreed(taken: LineRow) -> bool:
    if taken.said is None:
        return False
    try:
        said = json.loads(taken.said)
    except ValueError:
        said = taken.said
    return bool(said != taken.row.output)


def _pick_some(
    rows: Sequence[LineRow], count: int, embed: Embed | None, rng: np.random.Generator, start: row_selection.Floats | None = None
) -> list[LineRow]:
    if count >= len(rows):
        return list(rows)
    weights = np.array([row_weight(taken) for taken in rows], dtype=np.float32)
    if embed is None:
        order = np.lexsort((rng.random(len(rows)), -weights))
        return [rows[place] for place in sorted(order[:count].tolist())]
    vectors = embed([taken.row.input for taken in rows])
    return [rows[place] for place in sorted(row_selection.select_covering(vectors, count, rng, weights, start))]


def _pick_own(rows: Sequence[LineRow], count: int, embed: Embed | None, seed: int, rng: np.random.Generator) -> list[LineRow]:
    if count >= len(rows):
        return list(rows)
    if embed is None:
        return [rows[place] for place in sorted(rng.permutation(len(rows))[:count].tolist())]
    vectors = embed([taken.row.input for taken in rows])
    if all(isinstance(taken.row.output, str) for taken in rows) and len({taken.row.output for taken in rows}) * 2 <= count:
        return [rows[place] for place in row_selection.select_labelled(vectors, [taken.row.output for taken in rows], count, seed)]
    return [rows[place] for place in sorted(row_selection.select_covering(vectors, count, rng))]
