"""Replace personal data in a project's texts by placeholders: see before and after, then change the rows as one version.

Each row is redacted as a conversation of its own, as `smidgen redact` does. Answers are never touched; so a task whose answers point into
the text, or repeat it, is refused.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from smidgen.core.errors import InputError, RedactionError
from smidgen.core.parts import Task
from smidgen.flows.redaction_model import PersonalDataFinder, finder
from smidgen.parts import registry
from smidgen.privacy import text_patterns
from smidgen.privacy.identifiers import identifier_spans
from smidgen.privacy.public_names import PublicNames
from smidgen.privacy.redactor import Redactor
from smidgen.studio.store.data_rows import DataRow, DataVersion, RowFilter
from smidgen.studio.store.projects import StudioStore

MOST_ROWS = 5_000
"""Rows of one version; the next ones come with the next."""
SHOWN = 50
_AT_ONCE = 256
_MOST_REASONS = 20
_SIGNS = frozenset("@:0123456789")


@dataclass(frozen=True, slots=True)
class RedactedRow:
    """A row before and after, and how many pieces of each kind were replaced. `fault`: why it cannot be made safe; then nothing changes."""

    before: DataRow
    after: DataRow
    kinds: Mapping[str, int]
    fault: str = ""


@dataclass(frozen=True)
class Redaction:
    """Rows that were redacted. `total`: all that were meant; `faults`: the first reasons why rows stay as they are."""

    rows: tuple[RedactedRow, ...]
    total: int

    @property
    def changed(self) -> tuple[RedactedRow, ...]:
        """The rows that differ."""
        return tuple(row for row in self.rows if row.before != row.after)

    @property
    def faults(self) -> tuple[str, ...]:
        """The first reasons why rows stay as they are."""
        return tuple(row.fault for row in self.rows if row.fault)[:_MOST_REASONS]


def holds_personal_data(row: DataRow) -> bool:
    """Whether a pattern finds personal data in a row's texts, as the check does."""
    texts = (row.input, row.second or "")
    return any(not _SIGNS.isdisjoint(text) and next(identifier_spans(text), None) is not None for text in texts)


def preview_redaction(store: StudioStore, project: str, keys: Sequence[int] | None) -> Redaction:
    """The first rows as they would be. `keys`: of the rows that are meant; None for all in which the check finds personal data."""
    _refuse_other_tasks(store, project)
    meant = _meant(store, project, keys)
    return Redaction(tuple(_redacted(meant[:SHOWN])), len(meant))


def redact_rows(store: StudioStore, project: str, keys: Sequence[int] | None, author: str) -> tuple[DataVersion | None, Redaction]:
    """Replace the personal data as one version; None where nothing changes. At most `MOST_ROWS` rows at a time."""
    _refuse_other_tasks(store, project)
    meant = _meant(store, project, keys)
    done = Redaction(tuple(_redacted(meant[:MOST_ROWS])), len(meant))
    texts = {row.before.key: row for row in done.changed}
    if not texts:
        return None, done

    def alter(row: DataRow) -> DataRow:
        found = texts[row.key]
        same = (row.input, row.second) == (found.before.input, found.before.second)  # else somebody edited it meanwhile
        return replace(row, input=found.after.input, second=found.after.second) if same else row

    kinds = sum((Counter(row.kinds) for row in done.changed), Counter[str]())
    details = {"rows": len(texts), "kinds": dict(kinds.most_common())}
    return store.rows(project).change(list(texts), alter, author, "redact", details), done


def can_redact(task: str) -> bool:
    """Whether answers of this task are independent of their text's letters."""
    part: Task = registry.find("tasks", task)
    return part.rows_name_labels


def _refuse_other_tasks(store: StudioStore, project: str) -> None:
    task = store.project(project).task
    if not can_redact(task):
        raise InputError("studio.redaction_would_break_quotations", value=task)


def _meant(store: StudioStore, project: str, keys: Sequence[int] | None) -> list[DataRow]:
    rows = store.rows(project)
    if keys is None:
        return [row for row in rows.each() if holds_personal_data(row)]
    wanted = list(dict.fromkeys(keys))
    parts = (wanted[start : start + _AT_ONCE] for start in range(0, len(wanted), _AT_ONCE))
    return [row for part in parts for row in rows.page(0, _AT_ONCE, RowFilter(keys=part))]


def _redacted(rows: Sequence[DataRow]) -> Iterator[RedactedRow]:
    model = finder(None, (), 1, PublicNames())
    waiting = iter(rows)
    while batch := list(islice(waiting, _AT_ONCE)):
        found = model.many(text for row in batch for text in (row.input, row.second) if text)
        yield from (_redact_row(row, found, model) for row in batch)


def _redact_row(row: DataRow, found: Mapping[str, tuple[tuple[str, int, int], ...]], model: PersonalDataFinder) -> RedactedRow:
    redactor = Redactor(found.__getitem__, forms=text_patterns.usual_spans, beside_person=model.beside_person)

    def safe(row: DataRow) -> DataRow:
        return replace(row, input=redactor.mask(row.input), second=redactor.mask(row.second) if row.second else row.second)

    try:
        after = redactor.twice(functools.partial(safe, row))
    except RedactionError as error:
        return RedactedRow(row, row, {}, str(error))
    return RedactedRow(row, after, dict(redactor.counts))
