"""Redact a file of any length: write a copy with placeholders for its personal data, in order and in bounded memory."""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from smidgen.core.errors import RedactionError
from smidgen.core.progress import Progress, Silent
from smidgen.data.source import Record
from smidgen.data.tables import STDIN, DataTable, check_copy_target, open_columns
from smidgen.data.teacher.prompts import leaves, masked
from smidgen.flows.redaction_model import PersonalDataFinder
from smidgen.privacy import text_patterns
from smidgen.privacy.redactor import Redactor, readable

_ROWS = 256
_CHARACTERS = 2_000_000
"""Most characters of rows that are read together."""
_NAMED = 20
"""Rows left out for which the number and the reason are kept."""


@dataclass
class RedactedFile:
    """Counts of a run.

    Attributes:
        out: the file that was written.
        columns: the columns that were redacted, including those that only later rows have.
        copied: the other columns, copied unchanged.
        rows: rows written.
        left_out: rows that could not be made safe, and are missing from the file.
        reasons: the reasons for the first of them, by row number.
        found: pieces of personal data that were removed, by kind.
    """

    out: Path
    columns: tuple[str, ...]
    copied: tuple[str, ...]
    rows: int = 0
    left_out: int = 0
    reasons: dict[int, str] = field(default_factory=dict)
    found: Counter[str] = field(default_factory=Counter)

    def json(self) -> dict[str, Any]:
        """Return the counts, JSON-ready."""
        done = {"out": str(self.out), "columns": list(self.columns), "copied": list(self.copied), "rows": self.rows}
        return {**done, "found": dict(self.found.most_common()), "left_out": self.left_out, "reasons": self.reasons}


def redact(
    source: str, out: Path, finder: PersonalDataFinder, *, input: str | None = None, progress: Progress | None = None
) -> RedactedFile:
    """Write a copy of the file `source` in its format, with a placeholder for each piece of personal data. "-" is standard input.

    Each row is a conversation of its own: `[PERSON_1]` in one row is not that of the next. Without `input`, everything is redacted: all
    columns, and their names, because the first row of a file without a header is taken for names. With it, only these columns (joined by
    commas) are, and the others are copied. A row that cannot be made safe is left out. `out` appears when it is complete.

    Raises:
        DataError: the file cannot be read; or `out` is the file itself or has another format.
        EngineError: the model cannot run; nothing is written.
    """
    progress = progress or Silent()
    table = open_columns(source, input)
    check_copy_target(table, out, () if source == STDIN else (Path(source).expanduser(),), "redacted file")
    done = RedactedFile(out, table.input.names, tuple(name for name in table.columns if name not in table.input.names))
    copier = _Copier(table, finder, done, progress)
    progress.start("redact")
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        table.source.write(draft, tuple(copier.name(column) for column in table.columns), copier.records(), table.facts)
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)
    progress.finish(f"{done.rows:,} rows" + (f", {done.left_out:,} left out" if done.left_out else ""))
    return done


class _Copier:
    """Redacts the rows of a table, a batch at a time."""

    def __init__(self, table: DataTable, finder: PersonalDataFinder, done: RedactedFile, progress: Progress) -> None:
        self._table, self._finder, self._done, self._progress = table, finder, done, progress
        self._all = table.input.how == "all"
        self._chosen = frozenset(table.input.names)
        self._columns, self._late = frozenset(table.columns), set[str]()
        self._names = Redactor(finder, forms=text_patterns.usual_spans, beside_person=finder.beside_person)
        self._known: dict[str, str] = {}

    def name(self, column: str) -> str:
        """Return the name of a column in the copy."""
        if column not in self._known:
            self._known[column] = self._names.mask(column) if self._all else column
        return self._known[column]

    def records(self) -> Iterator[Record]:
        """Yield every row that can be made safe."""
        for batch in self._batches():
            texts: dict[int, list[str]] = {}
            for number, record in batch:
                try:
                    texts[number] = self._readable(record)
                except RedactionError as error:
                    self._leave_out(number, error)
            found = self._finder.many(text for own in texts.values() for text in own)
            for number, record in batch:
                if number not in texts:
                    continue
                redactor = Redactor(found.__getitem__, forms=text_patterns.usual_spans, beside_person=self._finder.beside_person)
                try:
                    safe = redactor.twice(functools.partial(self._safe, record, redactor))
                except RedactionError as error:
                    self._leave_out(number, error)
                    continue
                self._note_columns(record)
                self._done.rows += 1
                self._done.found.update(redactor.counts)
                yield safe
            self._progress.advance(len(batch))

    def _safe(self, record: Record, redactor: Redactor) -> Record:
        """Return a row with placeholders. A name that is not a column of the table is redacted like a text of the row."""
        safe = {}
        for name, value in record.items():
            called = name if not self._all else self.name(name) if name in self._columns else redactor.mask(name)
            safe[called] = masked(value, redactor, name) if self._read(name) else value
        return safe

    def _note_columns(self, record: Record) -> None:
        """Record the names of columns that the first rows did not have."""
        for name in record:
            if name not in self._columns and name not in self._late:
                self._late.add(name)
                if self._read(name):
                    self._done.columns += (name,)
                else:
                    self._done.copied += (name,)

    def _leave_out(self, number: int, error: RedactionError) -> None:
        self._done.left_out += 1
        if len(self._done.reasons) < _NAMED:
            self._done.reasons[number] = str(error)

    def _read(self, name: str) -> bool:
        return self._all or name in self._chosen

    def _readable(self, record: Record) -> list[str]:
        """Return the texts of a row for the model. Raises RedactionError if one of them cannot be read completely."""
        texts = [text for name, value in record.items() if self._read(name) for text in leaves(value)]
        texts += [name for name in record if self._all and name not in self._columns]
        for text in texts:
            readable(text)
        return texts

    def _batches(self) -> Iterator[list[tuple[int, Record]]]:
        batch: list[tuple[int, Record]] = []
        size = 0
        for number, record in self._table.records():
            batch.append((number, record))
            size += sum(len(str(value)) for value in record.values())
            if len(batch) == _ROWS or size >= _CHARACTERS:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch
