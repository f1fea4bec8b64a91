"""Captured requests as rows: what the large model, or a person, answered, read as the task's own output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from smidgen.core.forms import Form
from smidgen.core.parts import Task
from smidgen.core.placeholders import PLACEHOLDER, foreign_placeholders
from smidgen.core.replies import NOT_COMPARABLE
from smidgen.core.rows import Row
from smidgen.core.settings import Settings
from smidgen.data.splits import SplitSide, assign_held_side
from smidgen.flows.certify import losses
from smidgen.flows.learn.learning_rows import LineRow, Source
from smidgen.gateway.routing_decision import SCORE, SEGMENT, UNANSWERED
from smidgen.store.traffic.database import url_of
from smidgen.store.traffic.records import StoredShare, TrafficPair
from smidgen.store.traffic.store import TrafficStore, opened

LEAST_OF_A_NEW_LABEL = 5
"""Rows to learn from that a label must have which the champion does not know: a large model's slip is no new label."""
MASKED = "its answer was masked as personal data: what it was is not known"
"""Why a row is left out that somebody who serves can do something about."""
MASKED_TODO = (
    "Answers that recur are stored as they are. Where rarer ones are labels, and nobody's data, name them with smidgen serve "
    "--capture-labels FILE, and learn with --since that day"
)
LONGEST_LABEL = 60
_UNSURE = frozenset({SCORE, SEGMENT, UNANSWERED})
"""Why requests escalated that were picked by what the champion said of them. Where no certificate held, all did."""


@dataclass
class CapturedRows:
    """Rows with their sides, the large models that answered, what was left out, by the reason, and how much of the traffic was stored."""

    rows: list[tuple[SplitSide, LineRow]] = field(default_factory=list)
    teachers: set[str] = field(default_factory=set)
    unusable: Counter[str] = field(default_factory=Counter)
    seen: StoredShare = field(default_factory=lambda: StoredShare(0))


@contextmanager
def open_traffic(url: str | None = None) -> Iterator[TrafficStore | None]:
    """The store of traffic; None where none was named and nothing was ever captured: learning makes none. Raises as `opened` does."""
    place = url_of(url)
    if url is None and place.drivername == "sqlite" and not Path(str(place.database)).is_file():
        yield None
        return
    with opened(url) as traffic:
        yield traffic


def rows_of_pairs(
    pairs: Iterable[tuple[TrafficPair, tuple[str, ...]]], task: Task, form: Form | None, settings: Settings, key: str
) -> CapturedRows:
    """Pairs as rows.

    An output that the task cannot read teaches nothing, and is left out. A held-out one stays: the large model did answer so, and
    that no small one agrees with it is what a certificate must count. A held-out request that a person corrected is two rows, for the large
    model said what it said.

    Of an answer that was masked as personal data is not known what it was: as a label many different ones would be one. It teaches and
    chooses nothing. Among the rows that certify it counts as one that no answer agrees with: left out, a certificate would say nothing of
    requests that are answered so, and hold for them.

    Args:
        pairs: each with the scopes of the line's jobs that it is of.
        task: of this form.
        form: of the champion; None where there is none: outputs are then read as a file's cells.
        settings: the task's own.
        key: the line's, by which held-out texts choose or certify.
    """
    found = CapturedRows()
    new: list[tuple[SplitSide, LineRow]] = []
    single = task.rows_name_labels and not getattr(settings, "multi_label", False)
    for pair, jobs in pairs:
        side = assign_held_side(pair.input, key) if pair.held_out else SplitSide.LEARNING
        if pair.whose == "upstream":
            found.teachers.add(pair.model)
        for source, said in _answers_of(pair):
            one = LineRow(
                Row(pair.input),
                source,
                pair.time,
                pair.local_score,
                pair.local_output,
                altered=pair.altered,
                jobs=jobs,
                model=pair.model if source == "upstream" else "",
                unsure=pair.why in _UNSURE,
                volunteered=pair.held_out and pair.whose == "human",
                id=pair.id,
            )
            if _is_masked(said, pair.input, task):
                if side is SplitSide.CERTIFYING:
                    found.rows.append((side, replace(one, heard=False, unread=True, masked=True)))
                else:
                    found.unusable[MASKED] += 1
                continue
            try:
                output = _read_output(said, pair, task, form, settings)
            except ValueError:
                label = label_of(losses.bare_answer(task, said)) if single else None
                if label is not None:
                    new.append((side, replace(one, row=Row(pair.input, label), heard=False)))
                elif side is not SplitSide.LEARNING:
                    found.rows.append((side, replace(one, heard=False, unread=True)))
                else:
                    found.unusable["the answer is none of the task's"] += 1
                continue
            found.rows.append((side, replace(one, row=Row(pair.input, output))))
    spelt = _spellings(one.row.output for side, one in new if side is SplitSide.LEARNING)
    for side, said_anew in new:
        known = spelt.get(said_anew.row.output.casefold())
        learnt = known is not None
        one = replace(said_anew, row=replace(said_anew.row, output=known)) if learnt else said_anew
        if side is SplitSide.LEARNING and not learnt:
            found.unusable["a label that is too rare to be learnt"] += 1
        else:
            found.rows.append((side, replace(one, heard=learnt)))
    return found


def _answers_of(pair: TrafficPair) -> Iterator[tuple[Source, str]]:
    """What was said of a pair's text, and by whom. What is no whole text is an empty one, which no task can read."""
    if pair.whose == "human":
        yield "human", pair.reference
        return
    yield "upstream", pair.reference if pair.state not in NOT_COMPARABLE else ""
    if pair.corrected is not None:
        yield "human", pair.corrected


def _is_masked(said: str, text: str, task: Task) -> bool:
    """Whether it is not known what was said: a label is another one in each request that has its stand-in, and in a text of its own, or in
    fields, one may stand that the input shows."""
    return bool(PLACEHOLDER.search(said) if task.rows_name_labels else foreign_placeholders(said, text))


def _spellings(labels: Iterable[str]) -> dict[str, str]:
    """The new labels that come often enough, folded, each as it is spelt most often."""
    counts = Counter(labels)
    totals: Counter[str] = Counter()
    for label, count in counts.items():
        totals[label.casefold()] += count
    spelt: dict[str, str] = {}
    for label, _ in counts.most_common():
        if totals[label.casefold()] >= LEAST_OF_A_NEW_LABEL:
            spelt.setdefault(label.casefold(), label)
    return spelt


def _read_output(said: str, pair: TrafficPair, task: Task, form: Form | None, settings: Settings) -> Any:
    """What was said as the task's output. Of a held-out text as an audit reads it: both measure the same. Raises ValueError."""
    if not said.strip():
        raise ValueError("it is empty")
    if form is not None and pair.held_out:
        return losses.read_reference(task, form, pair.input, said)
    plain = losses.bare_answer(task, said)
    if form is not None and task.teachable:
        return task.heard(plain, form, pair.input)
    if pair.held_out and task.graded:
        return said
    parsed = task.parse(plain.strip(), settings)
    if task.rows_name_labels and isinstance(parsed, str):
        raise ValueError("whether it is a label shows when it comes again")
    return parsed


def label_of(said: str) -> str | None:
    """An answer as a label that nobody has heard of; None where it is too long for one, or has a stand-in in it: what was answered is not
    known then, and it stands for something else in each request."""
    label = said.strip().rstrip(".").strip("\"'` ")
    return label if label and len(label) <= LONGEST_LABEL and "\n" not in label and not PLACEHOLDER.search(label) else None
