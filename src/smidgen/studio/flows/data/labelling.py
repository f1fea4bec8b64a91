"""Label rows one after another: the most useful row first, the quick model's suggestion beside it, answers saved many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from pydantic.dataclasses import dataclass

from smidgen.core.errors import InputError
from smidgen.studio.flows.data.findings import keep_items, open_suspects, suspect_id
from smidgen.studio.flows.data.imports import parse_output
from smidgen.studio.flows.look import newest_look, read_answers
from smidgen.studio.store.data_rows import DataRow, DataVersion, RowFilter
from smidgen.studio.store.projects import StudioStore

LABEL = "label"
"""The action of a version that labelling made."""
MOST_ANSWERS = 1_000
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class SuggestedLabel:
    """A label that a quick model gives, and its probability."""

    label: str
    chance: float


@dataclass(frozen=True, slots=True)
class QueuedRow:
    """A row to label. `reason`: it has no answer, or its answer looks wrong. The likeliest of the `suggestions` is the first."""

    row: DataRow
    reason: Literal["unlabelled", "suspect"]
    suggestions: tuple[SuggestedLabel, ...]


@dataclass(frozen=True, slots=True)
class LabelQueue:
    """The rows that wait for a label.

    Attributes:
        look: the run that the suggestions come from; None before the first look.
        since: rows that were labelled in this project since that look.
        unlabelled, suspects: how many rows wait.
        rows: the next ones.
    """

    look: str | None
    since: int
    unlabelled: int
    suspects: int
    rows: tuple[QueuedRow, ...]


@dataclass(frozen=True, slots=True)
class RowAnswer:
    """An answer to a row. `undo`: it takes an earlier answer back, so that the row is asked about again."""

    key: int
    output: Any
    undo: bool = False


def label_queue(store: StudioStore, project: str, most: int) -> LabelQueue:
    """The next rows to label: those that look mislabelled, then those without an answer, the one that teaches most first."""
    rows = store.rows(project)
    _, told = newest_look(store, project)
    answers = read_answers(told) if told is not None else None
    known = answers.suggestions() if answers is not None else {}
    suspects = open_suspects(store, project)
    queue = [
        QueuedRow(item.rows[0], "suspect", _of_suspect(item.proposed, item.chance, known.get(item.rows[0].key, []))) for item in suspects
    ]
    order = answers.order.tolist() if answers is not None else []
    waiting = RowFilter(unlabelled=True)
    for start in range(0, len(order), _BATCH):
        if len(queue) >= most:
            break
        keys = order[start : start + _BATCH]
        found = {row.key: row for row in rows.page(0, _BATCH, RowFilter(unlabelled=True, keys=keys))}
        queue += [QueuedRow(found[key], "unlabelled", _suggested(known.get(key, []))) for key in keys if key in found]
    if len(queue) < most:
        ordered = set(order)
        for row in rows.each(None, waiting):
            if row.key not in ordered:
                queue.append(QueuedRow(row, "unlabelled", ()))
            if len(queue) >= most:
                break
    version = int(told.request.get("version") or 0) if told is not None else 0
    since = sum(made.changed for made in rows.versions() if made.action == LABEL and made.number > version)
    return LabelQueue(told.id if told is not None else None, since, rows.count(waiting), len(suspects), tuple(queue[:most]))


def _suggested(known: Sequence[tuple[str, float]]) -> tuple[SuggestedLabel, ...]:
    return tuple(SuggestedLabel(label, chance) for label, chance in known)


def _of_suspect(proposed: str | None, chance: float | None, known: Sequence[tuple[str, float]]) -> tuple[SuggestedLabel, ...]:
    """The check's proposal first, then the quick model's other labels."""
    if proposed is None:
        return _suggested(known)
    return _suggested([(proposed, chance or 0.0), *((label, share) for label, share in known if label != proposed)])


def answer_rows(store: StudioStore, project: str, answers: Sequence[RowAnswer], author: str) -> DataVersion | None:
    """Give rows their answers as one new version. An answer that a row has already confirms it: no look doubts it again.

    Returns None where no row changed. Raises InputError for an answer that the task does not take, or too many.
    """
    if len(answers) > MOST_ANSWERS:
        raise InputError("studio.these_are_too_many_answers_at_once", value=f"{len(answers):,}", most_answers=MOST_ANSWERS)
    found, rows = store.project(project), store.rows(project)
    given = {answer.key: answer for answer in answers}
    wanted: dict[int, RowAnswer] = {}
    changed: list[int] = []
    confirmed: list[str] = []
    reopened: list[str] = []
    for row in rows.page(0, MOST_ANSWERS, RowFilter(keys=list(given))):
        answer = replace(given[row.key], output=parse_output(found, given[row.key].output, row.text))
        wanted[row.key] = answer
        if row.output != answer.output:
            changed.append(row.key)
        if isinstance(row.output, str) and isinstance(answer.output, str):
            (reopened if answer.undo else confirmed).append(suspect_id(row.key, answer.output))
    if confirmed:
        keep_items(project, confirmed, True)
    if reopened:
        keep_items(project, reopened, False)
    if not changed:
        return None
    return rows.change(changed, lambda row: replace(row, output=wanted[row.key].output), author, LABEL, {"rows": len(changed)})
