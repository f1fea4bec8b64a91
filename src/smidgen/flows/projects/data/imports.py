"""Bring examples into a project: preview a file, add its rows as a new version, read an answer as the task does."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smidgen.core.errors import DataError, InputError
from smidgen.core.parts import Task
from smidgen.flows.projects.data.upload_reader import LIMITS, UploadLimits, read_upload
from smidgen.flows.projects.data.uploads import uploads_folder
from smidgen.parts import registry
from smidgen.parts.recipe import make
from smidgen.store.studio.data_rows import DataRow, DataVersion, Part, ProjectRows


@dataclass(frozen=True)
class FilePreview:
    """The first rows of a file, and the columns that were guessed.

    Attributes:
        columns: all columns, in the file's order.
        input: the guessed text column, or two for tasks with pairs.
        label: the guessed column of answers; None where none looks like one.
        why: how the guesses were made, one sentence each.
        rows: the first rows, by column.
        facts: how the file was read: format, encoding, delimiter, sheet.
    """

    columns: tuple[str, ...]
    input: tuple[str, ...]
    label: tuple[str, ...]
    why: tuple[str, ...]
    rows: tuple[Mapping[str, Any], ...]
    facts: Mapping[str, str]


@dataclass(frozen=True)
class ImportResult:
    """A file that was added to a project. `faults` are the first rows that could not be used, and `skipped` is how many there were."""

    version: DataVersion
    skipped: int
    faults: tuple[str, ...]


def preview_file(file: Path, task: str, settings: Mapping[str, Any] | None = None, limits: UploadLimits = LIMITS) -> FilePreview:
    """Look at the first rows of a file. Raises DataError for a file that cannot be read."""
    told = read_upload("preview", file, task, settings or {}, limits=limits)
    lists = {name: tuple(told[name]) for name in ("columns", "input", "label", "why", "rows")}
    return FilePreview(**lists, facts=told["facts"])


def import_file(
    rows: ProjectRows,
    file: Path,
    name: str,
    task: str,
    settings: Mapping[str, Any],
    author: str,
    part: Part = "train",
    limits: UploadLimits = LIMITS,
) -> ImportResult:
    """Add a file's rows to a project. Rows that cannot be used are left out and counted; an empty answer is one that is not known yet.

    Raises DataError for a file that cannot be read, or without any usable row.
    """
    with tempfile.TemporaryDirectory(dir=uploads_folder(), prefix="reading-") as folder:
        out = Path(folder) / "rows.jsonl"
        told = read_upload("rows", file, task, settings, out, limits)
        if not told["rows"]:
            todo = told["faults"][0] if told["faults"] else "Give a file with a header and at least one row."
            raise DataError("the file holds no row that can be used", value=name, todo=todo)
        details = {"file": name, "input": told["input"], "label": told["label"], "part": part}
        version = rows.add(_stored(out, name, part), author, "import", details)
    return ImportResult(version, told["skipped"], tuple(told["faults"]))


def _stored(lines: Path, source: str, part: Part) -> Iterator[DataRow]:
    with lines.open(encoding="utf-8") as stream:
        for line in stream:
            text, second, output = json.loads(line)
            yield DataRow(text, second, output, part, source)


def parse_output(task: str, output: Any) -> Any:
    """An answer as the task reads a cell of a data file; None stays None. Raises InputError where the task does not take it."""
    if output is None:
        return None
    part: Task = registry.find("tasks", task)
    try:
        return part.parse(output, make({"task": task}, []).asked)
    except ValueError as error:
        raise InputError(f"the answer does not fit the task {task}", value=output, todo=f"{error}.") from None
