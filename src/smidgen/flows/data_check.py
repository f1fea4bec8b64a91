"""Check a data file: predict what it can teach, find its faults, and write a cleaned copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from smidgen.core.errors import DataError, InputError, MissingExtra, RecipeError
from smidgen.core.forms import LabelForm
from smidgen.core.parts import Task
from smidgen.core.progress import Progress, Silent
from smidgen.core.rows import Row
from smidgen.core.settings import Settings
from smidgen.data.cleaning import Cleaning, clean, reasons
from smidgen.data.inspection import Inspection, Survey, inspect
from smidgen.data.rare_labels import learnable_rows
from smidgen.data.row_selection import Embed
from smidgen.data.source import DataSettings
from smidgen.data.tables import STDIN, DataTable, open_table
from smidgen.flows.embedding import embedder
from smidgen.parts import registry
from smidgen.parts.recipe import make


@dataclass(frozen=True)
class DataCheck:
    """A checked file.

    Attributes:
        inspection: the findings.
        table: the file, opened.
        survey: its rows, and facts computed from them.
        originals: the files that were read, which nothing may overwrite.
    """

    inspection: Inspection
    table: DataTable
    survey: Survey
    originals: tuple[Path, ...]
    task: Task
    asked: Settings
    settings: DataSettings

    def parse(self, cell: Any) -> Any:
        """Parse a cell of the label column as the task does."""
        return self.task.parse(cell, self.asked)

    def json(self) -> dict[str, Any]:
        """Return the findings as `check --json` prints them."""
        return self.inspection.json()

    def fix(self, out: str | Path, relabel: bool = False, lone: bool = False) -> Cleaning:
        """Write a cleaned copy to `out`, and every change with its reason to `<out>.changes.csv`; see `cleaning.clean`."""
        return clean(self.table, self.survey, Path(out), relabel, self.originals, lone)

    def fixes(self, lone: bool = False) -> dict[str, int]:
        """Count the rows that a fix would change, by reason."""
        return reasons(self.table, self.survey, lone)

    def again(self, cleaned: str | Path) -> bool:
        """Return True if a build could read every row and the labels of the cleaned copy."""
        try:
            table = open_table(cleaned, settings=self.settings, most_labels=self.task.most_columns)
            unusable: list[DataError] = []
            rows = list(table.rows(self.parse, unusable.append, self.task.place))
            learnable_rows(self.task, rows, self.asked)
        except DataError:
            return False
        except RecipeError:  # it needs what a recipe names, which is not the file's fault
            return not unusable
        return not unusable


def check_data(
    file: str | Path,
    *,
    test: str | Path | None = None,
    input: str | None = None,
    label: str | None = None,
    task: str | None = None,
    overrides: Sequence[str] = (),
    threads: int | None = None,
    progress: Progress | None = None,
) -> DataCheck:
    """Check a data file for the faults that limit a model's quality, before time is spent on training.

    Args:
        file: the data file; "-" is standard input.
        test: a test file that the rows must not leak into.
        input, label: its columns; guessed unless given.
        task: the task to learn; it determines how outputs are parsed. By default the one whose outputs the file shows.
        overrides: other settings of the data or the task, as `--set` takes them: `"classify.multi_label=true"`.
        threads: threads to compute with; default one a core.
        progress: receives the slow steps.

    Raises:
        DataError: the file cannot be read; with the row and the column.
        UnknownPart, RecipeError: a task or a setting does not exist.
    """
    progress = progress or Silent()
    if task is None:
        task = _task_shown(file, input, label, overrides)
        if task != _USUAL:
            progress.say(f"its outputs look like those of the task {task}. Name another with --task")
    recipe = make({"task": task, "data": {key: value for key, value in (("input", input), ("label", label)) if value}}, overrides)
    settings = recipe.settings(DataSettings)
    part: Task = registry.find("tasks", task)
    asked = recipe.asked

    def parse(cell: Any) -> Any:
        return part.parse(cell, asked)

    table = open_table(file, settings=settings, most_labels=part.most_columns)
    progress.start(f"reading {table.name}")
    unusable: list[DataError] = []
    rows = list(table.rows(parse, unusable.append, part.place))
    progress.finish(f"{len(rows):,} rows")
    tests = _tests(test, table, settings, parse, part) if test is not None else []
    labels = _labelling(part, rows, asked)
    unknown: frozenset[str] = frozenset() if labels is None or labels.unknown is None else frozenset([labels.unknown])
    named = labels is not None or part.rows_name_labels
    survey = Survey(rows, unusable, tests, _embed(threads, progress), unknown, progress, named)
    originals = tuple(Path(name) for name in (file, test) if name is not None and str(name) != STDIN)
    return DataCheck(inspect(survey, _facts(table, test)), table, survey, originals, part, asked, settings)


_USUAL = "classify"


def _task_shown(file: str | Path, input: str | None, label: str | None, overrides: Sequence[str]) -> str:
    """The task whose outputs a file shows by their form: calls, quotations, spans, fields; the usual one where they do not. Raises
    InputError for conversations."""
    if str(file) == STDIN:
        return _USUAL
    recipe = make({"task": _USUAL, "data": {key: value for key, value in (("input", input), ("label", label)) if value}}, overrides)
    parts = [registry.find("tasks", name) for name in registry.names("tasks")]
    own = next((part.name for part in parts if Path(file).is_file() and _in_own_format(part, Path(file))), None)
    if own is not None:
        raise InputError("flows.this_file_holds_conversations_for_task", value=str(file), task=own)
    table = open_table(file, settings=recipe.settings(DataSettings), most_labels=max(part.most_columns for part in parts))
    cells = [] if table.label is None else _cells(table, table.label.name)
    score, name = max((_likely(part.name, cells), part.name) for part in parts)
    return name if score >= SURE and not _likely(_USUAL, cells) else _USUAL


def _tests(test: str | Path, table: DataTable, settings: DataSettings, parse: Callable[[Any], Any], task: Task) -> list[Row]:
    """Return the usable rows of the test file. It has the training file's columns if it can."""
    remembered = (table.input.name, table.label.name if table.label else None)
    plain = settings.model_copy(update={"input": None, "label": None})
    opened = open_table(test, remembered=remembered, need_label=False, settings=plain, most_labels=task.most_columns)
    return list(opened.rows(parse, lambda _: None, task.place))


def _labelling(task: Task, rows: list[Row], settings: Settings) -> LabelForm | None:
    """Return the labels that the rows name; None if outputs are no labels, or the rows cannot teach the task."""
    try:
        return learnable_rows(task, rows, settings).form.labelling
    except (DataError, RecipeError):  # the findings say why; or documents or tools are not named, which a build needs
        return None


def _embed(threads: int | None, progress: Progress) -> Embed | None:
    """Return the starter encoder if it is available. Without it the check finds less."""
    try:
        return embedder(threads=threads)
    except MissingExtra as missing:
        progress.say(f"meaning is not compared: {missing}")
        return None


def _facts(table: DataTable, test: str | Path | None) -> dict[str, Any]:
    columns = {"input": _choice(table.input), "label": _choice(table.label)}
    facts = {"file": table.name, "format": table.source.name, "columns": columns, "read": dict(table.facts), "above": table.above}
    return facts | ({"test": Path(test).name} if test is not None else {})


def _choice(choice: Any) -> dict[str, str] | None:
    return None if choice is None else {"name": choice.name, "how": choice.how}


_SAMPLE = 2000
SURE = 0.5
"""A task with at least this score is not in doubt, unless another one comes within this share of it."""

_NAMED = 0.2
"""Bonus for a column whose name or cells look like answers to the file reader."""


@dataclass(frozen=True)
class TaskGuess:
    """A guess at the task that a file teaches.

    Attributes:
        task: the kind of job, by name.
        input, label: its columns, as flags take them.
        doubts: unclear points, a clause each, to ask the user about.
        columns: all columns of the file.
    """

    task: str
    input: str
    label: str
    doubts: tuple[str, ...]
    columns: tuple[str, ...]


def guess_task(
    file: str | Path, *, task: str | None = None, input: str | None = None, label: str | None = None, settings: DataSettings | None = None
) -> TaskGuess:
    """Guess the task and columns of a file. Given values are taken as they are.

    Raises:
        DataError: the file cannot be read, has no column of texts, or none that a task could learn as its answer.
        UnknownPart: the task does not exist.
    """
    tasks = [task] if task is not None else registry.names("tasks")
    most = max(registry.find("tasks", name).most_columns for name in tasks)
    table = open_table(file, input=input, label=label, need_label=False, settings=settings, most_labels=most)
    doubts = []
    if table.input.how == "guessed" and len(_prose(table)) > 1:
        doubts.append(f"whether {table.input.name!r} is the text")
    given = table.label if table.label is not None and table.label.how == "given" else None
    if given is not None and task is not None:
        return TaskGuess(task, table.input.name, given.name, tuple(doubts), table.columns)
    answers = [given.name] if given is not None else [name for name in table.columns if name not in table.input.names]
    named = table.label.name if table.label is not None else ""
    scores = {(column, one): _likely(one, _cells(table, column)) for column in answers for one in tasks}
    found = sorted(
        ((score + (_NAMED if score and column == named else 0), column, one) for (column, one), score in scores.items()), reverse=True
    )
    best = found[0] if found else (0.0, "", "")
    if best[0] <= 0:
        raise DataError("flows.no_column_looks_like_answers_to_learn", value=", ".join(table.columns), file=table.name)
    score, column, kind = best
    sure = scores[column, kind] >= 1  # a call or a quotation: other objects could have the same keys only by chance
    rivals = [] if sure else [one for other, name, one in found if name == column and one != kind and other > score - SURE * score]
    if task is None and (score < SURE or rivals):
        doubts.append(f"whether the job is {' or '.join([kind, *rivals])}")
    if given is None:
        others = [name for other, name, _ in found if name != column and other > SURE * score]
        if others:
            doubts.append(f"whether {column!r} is the answer, or {', '.join(repr(name) for name in dict.fromkeys(others))}")
    return TaskGuess(kind, table.input.name, column, tuple(doubts), table.columns)


def _in_own_format(part: Task, file: Path) -> bool:
    return part.files is not None and part.files.rows_in(file, part.settings()) is not None


def _likely(task: str, cells: Sequence[Any]) -> float:
    page = registry.find("tasks", task).page
    return page.likely(cells) if cells and page is not None else 0.0


def _cells(table: DataTable, column: str) -> list[Any]:
    """Return the first cells of a column that are not empty or null. Of several columns, the first one counts."""
    name = column if column in table.columns else column.split(",")[0].strip()
    found = (record.get(name) for _, record in islice(table.each(), _SAMPLE) if not isinstance(record, DataError))
    return [cell for cell in found if cell is not None and (not isinstance(cell, str) or cell.strip() not in ("", "null"))]


def _prose(table: DataTable) -> list[str]:
    """Return columns of mostly different texts of several words."""
    found = []
    for column in table.columns:
        cells = [cell for cell in _cells(table, column) if isinstance(cell, str)]
        words = sum(cell.count(" ") + 1 for cell in cells) / max(1, len(cells))
        if cells and words >= 3 and len(set(cells)) > 0.5 * len(cells):
            found.append(column)
    return found
