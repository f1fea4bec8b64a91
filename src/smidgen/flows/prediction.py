"""Predict: answer a file of any length, in order and in bounded memory. A stopped run can be resumed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from smidgen.core.errors import DataError, InputError, SmidgenError
from smidgen.core.progress import Progress, Silent
from smidgen.core.replies import Reply
from smidgen.core.rows import Text
from smidgen.data.source import Record
from smidgen.data.tables import STDIN, DataTable, open_table
from smidgen.flows.answer_files import AnswerFile, answer_file_for
from smidgen.flows.local_model import Model

_BATCH = 256


@dataclass(frozen=True, slots=True)
class PredictionRun:
    """Counts of a run: rows answered, rows that could not be used, and rows done by an earlier run."""

    answered: int
    failed: int


def predict(model: Model, source: str, out: str, *, input: str | None = None, progress: Progress | None = None) -> PredictionRun:
    """Write an answer, or an error, for each row of `source`, in order. The name of `out` sets the format (see `answer_files`).

    "-" is standard input or output. Answers go to `OUT.part` first, which is renamed to `OUT` at the end. If a run was stopped, the next
    run with the same bundle and file continues from its part file.

    Raises:
        DataError: the file cannot be read at all.
        InputError: the format of `out` is not supported, or `out` is the source.
        SmidgenError: another run writes to `out`.
    """
    progress = progress or Silent()
    table = open_table(source, input=input, remembered=model.columns, need_label=False)
    _other_than_source(source, out)
    answers = answer_file_for(out, table.columns, table.facts, model.columns[1])
    if table.input.how == "guessed":
        progress.say(f"the column {model.columns[0]!r} is not there; {table.input.name!r} was guessed. Name another with --input")
    progress.start("predict")
    if out == STDIN:
        done = 0
        answered, failed = _answer(model, _texts(table), answers, _to_stdout, progress)
    else:
        with _locked(Path(out)):
            part = _UnfinishedOutput(Path(f"{out}.part"), _identity(model, table, source), answers.head)
            with part:
                done = part.rows
                answered, failed = _answer(model, islice(_texts(table), done, None), answers, part.write, progress)
            answers.finish(part.path)
            part.finish(Path(out))
    if answers.lost:
        encoding = table.facts.get("encoding", "")
        progress.say(f"{answers.lost:,} characters are not in {encoding} and stand as ?; a file in .xlsx or .jsonl keeps them")
    progress.finish(
        f"{answered + failed} rows" + (f", {done} were done before" if done else "") + (f", {failed} unusable" if failed else "")
    )
    return PredictionRun(answered, failed)


_Texts = Iterator[tuple[int, Record, Text | DataError]]


def _other_than_source(source: str, out: str) -> None:
    """Raise InputError if the answers would overwrite the source."""
    if STDIN not in (source, out) and Path(out).exists() and Path(source).expanduser().samefile(out):
        raise InputError("flows.answers_would_replace_input_file", value=out)


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Keep other runs from writing to the same file. The operating system holds the lock, so a killed run leaves none behind."""
    import filelock

    out.parent.mkdir(parents=True, exist_ok=True)
    lock = out.with_name(f".{out.name}.part.lock")
    try:
        with filelock.FileLock(lock, timeout=0):
            yield
            lock.unlink(missing_ok=True)
    except filelock.Timeout:
        raise SmidgenError("flows.another_predict_run_writes_to_file", value=str(out)) from None


def _texts(table: DataTable) -> _Texts:
    for number, record in table.each():
        if isinstance(record, DataError):
            yield number, {}, record
            continue
        try:
            yield number, record, table.text(number, record)
        except DataError as error:
            yield number, record, error


def _answer(model: Model, rows: _Texts, answers: AnswerFile, write: Callable[[bytes, int], None], progress: Progress) -> tuple[int, int]:
    """Answer the rows. Returns the number answered, and the number that could not be used."""
    answered = failed = 0
    while batch := list(islice(rows, _BATCH)):
        replies = iter(_replies(model, [text for _, _, text in batch if not isinstance(text, DataError)]))
        told = [str(text) if isinstance(text, DataError) else next(replies) for _, _, text in batch]
        lines = [answers.row(number, record, one) for (number, record, _), one in zip(batch, told, strict=True)]
        write(b"".join(lines), len(batch))
        bad = sum(isinstance(one, str) for one in told)
        answered, failed = answered + len(batch) - bad, failed + bad
        progress.advance(len(batch))
    return answered, failed


def _replies(model: Model, texts: list[Text]) -> list[Reply | str]:
    """Return the model's replies. If it refuses a batch, each text is tried alone, and a refused one gets the reason instead."""
    try:
        return list(model.predict(texts))
    except InputError as error:
        if len(texts) == 1:
            return [str(error)]
    return [reply for text in texts for reply in _replies(model, [text])]


def _to_stdout(lines: bytes, rows: int) -> None:
    sys.stdout.write(lines.decode("utf-8"))
    sys.stdout.flush()


def _identity(model: Model, table: DataTable, source: str) -> dict[str, Any]:
    """Return the identity of a run: earlier answers are kept if it is equal. Empty for standard input, which cannot be resumed."""
    if source == STDIN:
        return {}
    stat = Path(source).expanduser().stat()
    file = {"file": str(Path(source).resolve()), "size": stat.st_size, "modified": stat.st_mtime_ns}
    return {"bundle": model.id, "input": table.input.name, **file}


class _UnfinishedOutput:
    """The unfinished output, with a note beside it: the run's identity, and the number of complete rows and bytes."""

    def __init__(self, path: Path, identity: dict[str, Any], head: bytes) -> None:
        self.path = path
        self._note = path.with_name(path.name + ".json")
        self._identity = identity
        self.rows, whole = self._kept()
        self._file = path.open("rb+" if whole else "wb")
        self._file.truncate(whole)
        self._file.seek(whole)
        if not whole:
            self._file.write(head)
            self._mark()

    def __enter__(self) -> _UnfinishedOutput:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, lines: bytes, rows: int) -> None:
        """Append rows, and record that they are complete."""
        self._file.write(lines)
        self.rows += rows
        self._mark()

    def finish(self, out: Path) -> None:
        """Rename the part file to the output."""
        self.path.replace(out)
        self._note.unlink(missing_ok=True)

    def _mark(self) -> None:
        self._file.flush()
        fresh = self._note.with_name(self._note.name + ".new")
        fresh.write_text(json.dumps({**self._identity, "rows": self.rows, "bytes": self._file.tell()}), encoding="utf-8")
        fresh.replace(self._note)

    def _kept(self) -> tuple[int, int]:
        """Return the rows and bytes of an earlier part file that can be kept; 0 if its identity differs, or it is shorter than its note
        says."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            rows, whole = int(note.pop("rows")), int(note.pop("bytes"))
            if self._identity and note == self._identity and self.path.stat().st_size >= whole:
                return rows, whole
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass
        return 0, 0
