"""Clean a data file: write a copy without the faults that a check found, and a list of every change with its reason."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smidgen.core.errors import DataError
from smidgen.core.rows import joined
from smidgen.data.findings.labels import spelling_variants
from smidgen.data.findings.mislabels import propose_labels
from smidgen.data.findings.repeats import conflicting, leaking
from smidgen.data.inspection import Survey
from smidgen.data.source import Record
from smidgen.data.tables import DataTable, check_copy_target

_LEAST_OF_A_LABEL = 2
"""Least rows of a label: with fewer, it cannot be both learnt and measured."""
_BETWEEN = re.compile(r"(\s*[|;]\s*)")


@dataclass(frozen=True, slots=True)
class CellChange:
    """One change: a cell that got another value, or (`dropped`) a row that was left out, shown by its input cell."""

    row: int
    column: str
    before: str
    after: str
    why: str
    dropped: bool = False


@dataclass(frozen=True, slots=True)
class Cleaning:
    """The result of `clean`.

    Attributes:
        path, changes_path: the cleaned file and the list of changes.
        kept: rows written.
        dropped: rows left out.
        relabelled: rows written with another label.
        reasons: the number of changes for each reason.
    """

    path: Path
    changes_path: Path
    kept: int
    dropped: int
    relabelled: int
    reasons: dict[str, int]

    def json(self) -> dict[str, Any]:
        """The value that `check --fix --json` prints."""
        counts = {"kept": self.kept, "dropped": self.dropped, "relabelled": self.relabelled, "reasons": self.reasons}
        return {"file": str(self.path), "changes": str(self.changes_path), **counts}


def clean(
    table: DataTable, survey: Survey, out: Path, relabel: bool = False, originals: tuple[Path, ...] = (), lone: bool = False
) -> Cleaning:
    """Write the cleaned file and `<out>.changes.csv`, in the format and with the columns of the table.

    In order: drop unusable rows; merge the spellings of a label into the commonest; drop rows whose text is in the test file; give a text
    with several labels the label of its majority, if there is one; with `relabel`, replace likely wrong labels by clear proposals; drop
    exact repeats of an earlier row; with `lone`, drop rows whose label no other row has.

    Raises:
        DataError: `out` is one of `originals`, or its name belongs to another format.
    """
    check_copy_target(table, out, originals, "cleaned file")
    changes = _plan(table, survey, relabel, lone)
    by_row: dict[int, list[CellChange]] = {}
    for change in changes:
        by_row.setdefault(change.row, []).append(change)
    out.parent.mkdir(parents=True, exist_ok=True)
    changes_path = out.with_name(f"{out.name}.changes.csv")
    draft, changes_draft = (path.with_name(f".{path.name}.part") for path in (out, changes_path))
    try:
        kept = table.source.write(draft, table.columns, _applied(table, by_row), table.facts)
        _write_changes(changes_draft, changes)
        draft.replace(out)
        changes_draft.replace(changes_path)
    finally:
        draft.unlink(missing_ok=True)
        changes_draft.unlink(missing_ok=True)
    dropped = {change.row for change in changes if change.dropped}
    relabelled = {change.row for change in changes} - dropped
    return Cleaning(out, changes_path, kept, len(dropped), len(relabelled), dict(Counter(change.why for change in changes)))


def reasons(table: DataTable, survey: Survey, lone: bool = False) -> dict[str, int]:
    """Count the changes that `clean` would make, by reason, and write nothing."""
    return dict(Counter(change.why for change in _plan(table, survey, False, lone)))


def _plan(table: DataTable, survey: Survey, relabel: bool, lone: bool = False) -> list[CellChange]:
    """All changes, by row. A row is dropped at most once, and each new label has one reason."""
    label = table.label.names[0] if table.label else ""
    column = table.input.names[0]
    # Reading a row stops at its first fault, so each row is reported once.
    dropped = {error.row: (error.fault, str(error.value)) for error in survey.unusable if error.row is not None}
    changes = [CellChange(row, column, value, "", f"dropped: {what}", True) for row, (what, value) in dropped.items()]
    labels = [list(labels) for labels in survey.labels] if survey.labels is not None else []
    reasons: dict[int, str] = {}
    gone = dict.fromkeys(leaking(survey), "dropped: the same text is in the test file")
    if labels:
        _merge_spellings(survey, labels, reasons)
        _settle_conflicts(survey, labels, reasons, gone)
        if relabel:
            _take_proposals(survey, labels, reasons, gone)
    seen: set[tuple[str, str]] = set()
    for place, row in enumerate(survey.rows):
        if place in gone:
            continue
        key = (survey.texts[place].strip(), repr(labels[place] if labels else row.output))
        if key in seen:
            gone[place] = "dropped: repeats an earlier row"
        seen.add(key)
    if lone and labels:
        left = Counter(name for place, own in enumerate(labels) if place not in gone for name in own)
        for place, own in enumerate(labels):
            if place not in gone and any(left[name] < _LEAST_OF_A_LABEL for name in own):
                gone[place] = "dropped: no other row has its label"
    for place, row in enumerate(survey.rows):
        if place in gone:
            changes.append(CellChange(row.number, column, joined(row.input), "", gone[place], True))
        elif place in reasons:
            before = row.output if isinstance(row.output, str) else "|".join(row.output)
            changes.append(CellChange(row.number, label, before, "|".join(labels[place]), reasons[place]))
    return sorted(changes, key=lambda change: change.row)


def _merge_spellings(survey: Survey, labels: list[list[str]], reasons: dict[int, str]) -> None:
    common = {name: names[0] for names in spelling_variants(survey.counts) for name in names[1:]}
    for place, own in enumerate(labels):
        merged = sorted({common.get(name, name) for name in own})
        if merged != sorted(own):
            labels[place], reasons[place] = merged, "spelling of the label merged into the commonest"


def _settle_conflicts(survey: Survey, labels: list[list[str]], reasons: dict[int, str], gone: dict[int, str]) -> None:
    for places in conflicting(survey):
        left = [place for place in places if place not in gone]
        votes = Counter(tuple(labels[place]) for place in left)
        if len(votes) < 2:
            continue
        winner, most = votes.most_common(1)[0]
        if 2 * most <= len(left):
            continue
        for place in left:
            if tuple(labels[place]) != winner:
                labels[place], reasons[place] = list(winner), "the majority of rows with this text has this label"


def _take_proposals(survey: Survey, labels: list[list[str]], reasons: dict[int, str], gone: dict[int, str]) -> None:
    common = {name: names[0] for names in spelling_variants(survey.counts) for name in names[1:]}
    for one in propose_labels(survey):
        if not one.clear:
            continue
        proposed = common.get(one.proposed, one.proposed)
        # A label settled by a majority is not judged again.
        if one.place not in gone and labels[one.place] != [proposed] and "majority" not in reasons.get(one.place, ""):
            labels[one.place] = [proposed]
            reasons[one.place] = "likely mislabelled: a model of the other rows is surer of this label"


def _applied(table: DataTable, by_row: dict[int, list[CellChange]]) -> Iterator[Record]:
    for number, record in table.each():
        changes = by_row.get(number, [])
        if isinstance(record, DataError) or any(change.dropped for change in changes):
            continue
        for change in changes:
            record = {**record, change.column: _cell(record[change.column], change.after)}
        yield record


def _cell(cell: Any, after: str) -> Any:
    """The new labels in the form of the old cell: a list, a JSON list in a text, labels with a mark between them, or one label."""
    names = after.split("|")
    if isinstance(cell, list):
        return names
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        return json.dumps(names, ensure_ascii=False)
    if isinstance(cell, str) and len(names) > 1:
        mark = _BETWEEN.search(cell)
        return (mark[1] if mark else "|").join(names)
    return after


def _write_changes(path: Path, changes: list[CellChange]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["row", "column", "before", "after", "why"])
        writer.writerows([change.row, change.column, change.before, change.after, change.why] for change in changes)
