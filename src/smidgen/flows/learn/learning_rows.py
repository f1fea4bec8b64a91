"""The rows of one learning cycle, by side: learning, choosing, certifying. No text is on two sides.

Old rows that newer ones contradict after a revocation are dropped. If there are too many rows, the most instructive are picked.
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
from smidgen.data.row_selection import Embed
from smidgen.data.splits import SplitSide
from smidgen.store.files import rows_hash
from smidgen.store.traffic.records import StoredShare
from smidgen.text.near_duplicates import fold_text

# Rows and their sides.

Source = Literal["original", "data", "upstream", "human"]
RANK: dict[Source, int] = {"upstream": 0, "original": 1, "data": 1, "human": 2}
"""Rank of the sources if a text has several outputs: a person's, then a file's, then a large model's. Among equals, the newest counts."""
_OF_PEOPLE = frozenset[Source]({"original", "data", "human"})
_Weight: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class LineRow:
    """One row of a line, with the source of its output, its time, and the champion's own answer at that time, if known.

    Attributes:
        row: input and output. The output is in the task's form; in a held-out row that the task cannot read, it is the raw text.
        source: who gave the output.
        at: time when the row was given or captured.
        score: score of the champion's own answer.
        said: that answer, as JSON.
        heard: whether the output is one of the task's.
        unread: for a held-out row: the reference cannot be read as any output. The row's output is None then, and no answer agrees with it.
        altered: whether personal data was removed from the input.
        doubtful: for a captured row: whether a name that is perhaps nobody's was removed from it. Such a row does not certify.
        masked: for a row that certifies: whether it is unread because personal data was removed from the reference.
        times: number of times that the text came. This row is the newest.
        jobs: for a captured row: scopes of the line's recurring jobs that it belongs to.
        model: name under which the large model was asked for; empty if no large model answered, or it is unknown.
        unsure: for a captured row: whether it escalated because the champion of that time was not sure enough.
        volunteered: for a captured, held-out row: whether somebody corrected a local answer and the large model was not asked. Such a row
            was not drawn at random: it is there because the answer was wrong.
        id: for a captured row: its request's id in the store.
    """

    row: Row
    source: Source
    at: datetime
    score: float | None = None
    said: str | None = None
    heard: bool = True
    unread: bool = False
    altered: bool = False
    doubtful: bool = False
    masked: bool = False
    times: int = 1
    jobs: tuple[str, ...] = ()
    model: str = ""
    unsure: bool = False
    volunteered: bool = False
    id: str = ""


@dataclass(frozen=True)
class LearningRows:
    """All rows of one learning cycle, by side.

    Attributes:
        certifying: a text may occur twice, with a person's output and another's. A certificate's reference takes one of them.
        teachers: the large models that answered some of the rows.
        unusable: number of rows left out, by reason.
        joined: texts of given rows that fell on a held-out side, but are learnt from because the line already learns from their text.
        seen: share of the traffic that was stored.
    """

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
        """Hash of all rows with their sides.

        If it is unchanged since the last cycle, there is nothing new to learn, choose by or certify on.
        """
        sides = (self.learning, self.choosing, self.certifying)
        return rows_hash((taken.row.input, [number, taken.row.output, taken.source]) for number, side in enumerate(sides) for taken in side)

    @property
    def certifying_texts(self) -> int:
        """Number of different texts to certify on."""
        return len({fold_text(joined(taken.row.input)) for taken in self.certifying})

    def json(self) -> dict[str, Any]:
        """Return the counts, JSON-ready."""
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
    """Count the rows of each source."""
    return dict(sorted(Counter(taken.source for taken in rows).items()))


def split_rows(
    rows: Sequence[tuple[SplitSide, LineRow]],
    teachers: Iterable[str],
    unusable: Counter[str],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> LearningRows:
    """Put the rows on their sides.

    On each side a text occurs once, as it came last: a test that took ten repeats for ten independent rows would be overconfident. A text
    that is learnt from leaves the held-out rows. If a person gave its output, in a file or by a correction, the row joins the learning
    side, where it outranks the large model's answer.

    A volunteered row does not choose. It is there because the champion was wrong, so any challenger would win on it. It does certify,
    because there it can only make the claim stricter.

    Args:
        rows: in the order in which they were given.
        since: held-out rows from before this time are dropped: a revocation showed that they are no longer like the traffic.
        until: with `since`, rows from after this time are dropped, too: they came while the clock ran ahead, so their time is unknown.
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
    """Keep each text once, as it came last.

    Among rows of the same moment, a person's output counts before a file's, then a large model's.
    """
    every = list(rows)
    counts: Counter[str] = Counter()
    for taken in every:
        counts[fold_text(joined(taken.row.input))] += taken.times
    kept = _once(every, _by_time, lambda taken: fold_text(joined(taken.row.input)))
    return [replace(taken, times=counts[fold_text(joined(taken.row.input))]) for taken in kept]


def _once(
    rows: Iterable[LineRow], weight: Callable[[LineRow], _Weight], name: Callable[[LineRow], str] = lambda taken: joined(taken.row.input)
) -> list[LineRow]:
    """Keep the row with the largest weight for each name; among equals, the later one."""
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
    """Return a row as a line of a data file. `columns`: names of the input columns (two for a pair), and of the output column."""
    pieces = (text,) if isinstance(text, str) else text
    return {**dict(zip(columns[0], pieces, strict=True)), columns[1]: output}


# Rows from before a revocation that newer rows contradict are dropped.
#
# Only rows of the same rank or a higher one contradict a row. Rows of a given file stay, whatever the large model says now, and only later
# corrections contradict a person's.

OUTDATED = "from before a revocation, and newer rows say otherwise"


def drop_outdated(
    material: LearningRows, revoked: datetime | None, encoder: Callable[[], Embed | None], progress: Progress
) -> LearningRows:
    """Drop outdated rows and count them. For tasks with one label a row.

    Without a revocation, or without an encoder to compare texts by, the material stays as it is.
    """
    rows = material.learning
    if revoked is None or not rows or not all(isinstance(taken.row.output, str) for taken in rows):
        return material
    new = np.array([taken.at > revoked for taken in rows])
    rank = np.array([RANK[taken.source] for taken in rows])
    if not any(((rank == one) & ~new).any() and ((rank >= one) & new).sum() >= LEAST_NEWER for one in set(rank.tolist())):
        return material
    embed = encoder()
    if embed is None:
        progress.say(
            "rows from before the revocation are learnt from, even if newer ones contradict them (to compare: smidgen pull minilm)"
        )
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
    progress.finish(f"{count:,} of {int((~new).sum()):,} left out, because newer ones say otherwise")
    if not count:
        return material
    kept = tuple(taken for taken, out in zip(rows, gone.tolist(), strict=True) if not out)
    return replace(material, learning=kept, unusable=(*material.unusable, (OUTDATED, count)))


# Selection of rows to learn from, if there are more than --max-rows.
#
# All of people's corrections stay. Of the large model's answers, those are taken that cover the others best. A row weighs more the less
# sure the champion was of it, and more again if the champion gave another answer. Each label keeps a few rows in any case. Of the line's
# own rows, each label gets the same number.

_DISAGREED = 1.0
"""Extra weight of a row if the champion gave another answer. The champion's doubt adds up to 1."""
_LEAST_OF_A_LABEL = 20
"""Rows of the large model that each label keeps, within half of the places. The champion is sure of a label that it answers locally, so all
rows of that label would weigh little."""
_LEAST_WEIGHT = 0.05
"""Weight of a row that the champion was sure of and got right."""


def pick_rows(material: LearningRows, most: int, embed: Embed | None, seed: int, progress: Progress) -> LearningRows:
    """Pick at most `most` rows to learn from. Without an encoder to compare texts by, take those with the largest weight."""
    rows = material.learning
    if len(rows) <= most:
        return material
    people = [taken for taken in rows if taken.source == "human"]
    own = [taken for taken in rows if taken.source in ("original", "data")]
    model = [taken for taken in rows if taken.source == "upstream"]
    rng = np.random.default_rng([seed, 71])
    people = _pick_some(people, most, None, rng)
    left = most - len(people)
    # The line's own rows and the large model's get half each, plus the places that the other half does not need.
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
    """Return how much a row can teach: the champion's doubt, plus an extra if the champion gave another answer."""
    doubt = 1.0 - min(1.0, max(0.0, taken.score)) if taken.score is not None else 0.5
    return _LEAST_WEIGHT + doubt + (_DISAGREED if _disagreed(taken) else 0.0)


def _of_each_label(rows: Sequence[LineRow], count: int) -> dict[int, LineRow]:
    """Return the newest rows of each label, by their identity. Empty if outputs are not labels, labels are too many, or all rows fit."""
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
