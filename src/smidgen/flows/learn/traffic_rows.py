"""Captured requests as rows: the large model's or a person's answer, read as the task's own output."""

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
from smidgen.gateway.route import SCORE, SEGMENT, UNANSWERED
from smidgen.store.traffic.records import StoredShare, TrafficPair
from smidgen.store.traffic.store import TrafficStore, opened
from smidgen.store.traffic.tables import url_of

LEAST_OF_A_NEW_LABEL = 5
"""Fewest rows for a label that the champion does not know: a single mistake of the large model is not a new label."""
MASKED = "its answer was masked as personal data: what it was is not known"
"""Reason for leaving out a row that the operator can do something about."""
MASKED_TODO = (
    "Answers that recur are stored as they are. Where rarer ones are labels, and nobody's data, name them with smidgen serve "
    "--capture-labels FILE, and learn with --since that day"
)
LONGEST_LABEL = 60
_UNSURE = frozenset({SCORE, SEGMENT, UNANSWERED})
"""Reasons for escalation that depend on the champion's own answer. Without a valid certificate, every request escalated."""


@dataclass
class CapturedRows:
    """Rows with their sides, the large models that answered, counts of rows left out by reason, and the share of traffic stored."""

    rows: list[tuple[SplitSide, LineRow]] = field(default_factory=list)
    teachers: set[str] = field(default_factory=set)
    unusable: Counter[str] = field(default_factory=Counter)
    seen: StoredShare = field(default_factory=lambda: StoredShare(0))


@contextmanager
def open_traffic(url: str | None = None) -> Iterator[TrafficStore | None]:
    """Open the store of traffic. None if no URL was given and nothing was ever captured: learning does not create a store.

    Raises as `opened` does.
    """
    place = url_of(url)
    if url is None and place.drivername == "sqlite" and not Path(str(place.database)).is_file():
        yield None
        return
    with opened(url) as traffic:
        yield traffic


def rows_of_pairs(
    pairs: Iterable[tuple[TrafficPair, tuple[str, ...]]], task: Task, form: Form | None, settings: Settings, key: str
) -> CapturedRows:
    """Read captured pairs as rows.

    A row to learn from whose output the task cannot read is left out. A held-out one stays: the large model did answer so, and a
    certificate must count that no small model agrees with it. A held-out request that a person corrected gives two rows, because the large
    model's answer stays true as well.

    An answer that was masked as personal data is unknown: as a label, many different ones would become one. It neither teaches nor chooses.
    Among the rows that certify, it counts as one that no answer agrees with. If it were left out, a certificate would cover requests with
    such answers without having tested any.

    Args:
        pairs: each with the scopes of the line's jobs that it belongs to.
        task: has this form.
        form: of the champion; None if there is no champion: outputs are then read like cells of a file.
        settings: the task's own.
        key: the line's, which decides whether a held-out text chooses or certifies.
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
                doubtful=pair.doubtful,
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
    """Yield each answer to a pair's text with its source. An incomplete answer becomes an empty one, which no task can read."""
    if pair.whose == "human":
        yield "human", pair.reference
        return
    yield "upstream", pair.reference if pair.state not in NOT_COMPARABLE else ""
    if pair.corrected is not None:
        yield "human", pair.corrected


def _is_masked(said: str, text: str, task: Task) -> bool:
    """Return True if masking has hidden the answer.

    A placeholder stands for another label in each request. In text or fields, a placeholder that the input also shows is harmless.
    """
    return bool(PLACEHOLDER.search(said) if task.rows_name_labels else foreign_placeholders(said, text))


def _spellings(labels: Iterable[str]) -> dict[str, str]:
    """Map each frequent enough new label, case-folded, to its most frequent spelling."""
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
    """Read an answer as the task's output; a held-out one as an audit does, so that both measure the same. Raises ValueError."""
    if not said.strip():
        raise ValueError("it is empty")
    if form is not None and pair.held_out:
        return losses.read_reference(task, form, pair.input, said)
    plain = losses.bare_answer(task, said)
    if form is not None and task.teaching is not None:
        return task.teaching.read(plain, form, pair.input)
    if pair.held_out and task.grading is not None:
        return said
    parsed = task.parse(plain.strip(), settings)
    if task.rows_name_labels and isinstance(parsed, str):
        raise ValueError("whether it is a label shows when it comes again")
    return parsed


def label_of(said: str) -> str | None:
    """Return an answer as a label that is not known yet; None if it is too long for a label or contains a placeholder.

    A placeholder hides the answer, and stands for something else in each request.
    """
    label = said.strip().rstrip(".").strip("\"'` ")
    return label if label and len(label) <= LONGEST_LABEL and "\n" not in label and not PLACEHOLDER.search(label) else None
