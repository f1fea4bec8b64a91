"""Predict: a file of any length through a bundle, in order, in bounded memory; a stopped run goes on where it stopped."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from smidgen.core.errors import DataError
from smidgen.core.progress import Progress, Silent
from smidgen.core.replies import Reply
from smidgen.core.rows import Text
from smidgen.data.read import STDIN, Table, open_table
from smidgen.flows.live import Model

_BATCH = 256


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a run did: rows answered, rows that could not be used, rows found done by an earlier run."""

    answered: int
    failed: int
    resumed: int


def predict(model: Model, source: str, out: str, *, input: str | None = None, progress: Progress | None = None) -> Predicted:
    """Write one JSON object a line for each row of `source`, in its order: `{"output", "score", ...}`, or `{"error", "row"}` for a row that
    cannot be used. "-" is standard input or output.

    The lines go to `OUT.part` first, which becomes `OUT` when all is done. A run that was stopped left its part file: the next run with the
    same bundle and the same file keeps its whole lines and goes on after them.

    Raises DataError for a file that cannot be read at all.
    """
    progress = progress or Silent()
    table = open_table(source, input=input, remembered=model.columns, need_label=False)
    with ExitStack() as stack:
        done = 0
        if out == STDIN:
            stream: TextIO = sys.stdout
        else:
            part = Path(f"{out}.part")
            done = _kept(part, _identity(model, table, source))
            stream = stack.enter_context(part.open("a", encoding="utf-8", newline="\n"))
        progress.start("predict")
        answered, failed = _write(model, islice(_texts(table), done, None), stream, progress)
        progress.finish(
            f"{answered + failed} rows" + (f", {done} were done before" if done else "") + (f", {failed} unusable" if failed else "")
        )
    if out != STDIN:
        part.replace(out)
        _identity_file(part).unlink(missing_ok=True)
    return Predicted(answered, failed, done)


def line(reply: Reply) -> dict[str, Any]:
    """A reply as it stands in an output file."""
    return {
        "output": reply.output,
        "score": round(reply.score, 6),
        "alternatives": [{"output": output, "score": round(score, 6)} for output, score in reply.alternatives],
        **({"facts": dict(reply.facts)} if reply.facts else {}),
    }


def _texts(table: Table) -> Iterator[tuple[int, Text | DataError]]:
    for number, record in table.records():
        try:
            yield number, table.text(number, record)
        except DataError as error:
            yield number, error


def _write(model: Model, rows: Iterator[tuple[int, Text | DataError]], stream: TextIO, progress: Progress) -> tuple[int, int]:
    answered = failed = 0
    while batch := list(islice(rows, _BATCH)):
        replies = iter(model.predict([text for _, text in batch if not isinstance(text, DataError)]))
        lines = []
        for number, text in batch:
            if isinstance(text, DataError):
                failed += 1
                lines.append({"output": None, "score": 0.0, "error": str(text), "row": number})
            else:
                answered += 1
                lines.append(line(next(replies)))
        stream.write("".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in lines))
        stream.flush()
        progress.advance(len(batch))
    return answered, failed


def _identity(model: Model, table: Table, source: str) -> dict[str, Any]:
    """What must be the same for an earlier run's lines to be kept. Standard input never is."""
    facts: dict[str, Any] = {"bundle": model.id, "input": table.input.name}
    if source == STDIN:
        return {}
    stat = Path(source).expanduser().stat()
    return {**facts, "file": str(Path(source).resolve()), "size": stat.st_size, "modified": stat.st_mtime_ns}


def _identity_file(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _kept(part: Path, identity: dict[str, Any]) -> int:
    """How many rows an earlier run has done; its torn last line is cut off. Starts the part file anew where it is another run's."""
    note = _identity_file(part)
    try:
        same = bool(identity) and json.loads(note.read_text(encoding="utf-8")) == identity
    except (OSError, ValueError):
        same = False
    if not same or not part.is_file():
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(b"")
        note.write_text(json.dumps(identity), encoding="utf-8")
        return 0
    lines = end = 0
    with part.open("rb+") as stream:
        for text in stream:
            if not text.endswith(b"\n"):
                break
            lines, end = lines + 1, end + len(text)
        stream.truncate(end)
    return lines
