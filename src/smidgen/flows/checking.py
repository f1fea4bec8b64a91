"""From a data file to what is wrong with it, and to a cleaned copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smidgen.core.errors import DataError, MissingExtra
from smidgen.core.parts import Task, most_columns, placing
from smidgen.core.progress import Progress, Silent
from smidgen.core.rows import Row
from smidgen.core.settings import Settings
from smidgen.data.cleaning import Cleaning, clean, reasons
from smidgen.data.inspection import Inspection, inspect
from smidgen.data.read import STDIN, Table, open_table
from smidgen.data.settings import DataSettings
from smidgen.data.survey import Embed, Survey
from smidgen.flows.embedding import embedder
from smidgen.parts import registry
from smidgen.parts.recipe import make


@dataclass(frozen=True)
class Checked:
    """A file that was looked through.

    Attributes:
        inspection: what was found.
        table: the file, opened.
        survey: its rows, and what was worked out about them.
        originals: the files that were read, which nothing may replace.
    """

    inspection: Inspection
    table: Table
    survey: Survey
    originals: tuple[Path, ...]
    task: Task
    asked: Settings
    settings: DataSettings

    def parse(self, cell: Any) -> Any:
        """A cell of the label column as the task reads it."""
        return self.task.parse(cell, self.asked)

    def json(self) -> dict[str, Any]:
        """As `check --json` prints it."""
        return self.inspection.json()

    def fix(self, out: str | Path, relabel: bool = False, lone: bool = False) -> Cleaning:
        """Write a cleaned copy to `out`, and every change with its reason to `<out>.changes.csv`; see `cleaning.clean`."""
        return clean(self.table, self.survey, Path(out), relabel, self.originals, lone)

    def fixes(self, lone: bool = False) -> dict[str, int]:
        """What a fix would change: how many rows for each reason."""
        return reasons(self.table, self.survey, lone)

    def again(self, cleaned: str | Path) -> bool:
        """Whether a model can be built from the cleaned copy: its rows are read and its labels taken as a build takes them."""
        try:
            table = open_table(cleaned, settings=self.settings, most_labels=most_columns(self.task))
            unusable: list[DataError] = []
            rows = list(table.rows(self.parse, unusable.append, placing(self.task)))
            self.task.form(rows, self.asked)
        except DataError:
            return False
        return not unusable


def check(
    file: str | Path,
    *,
    test: str | Path | None = None,
    input: str | None = None,
    label: str | None = None,
    task: str = "classify",
    overrides: Sequence[str] = (),
    threads: int | None = None,
    progress: Progress | None = None,
) -> Checked:
    """Look through a data file for what decides a model's quality, before a minute is spent on training.

    Args:
        file: the data file; "-" is standard input.
        test: a test file that the rows must not leak into.
        input, label: its columns; guessed unless given.
        task: what is to be learnt from it; its outputs are read as that task reads them.
        overrides: other settings of the data or the task, as `--set` takes them: `"classify.multi_label=true"`.
        threads: threads to compute with; default one a core.
        progress: told of the slow parts.

    Raises:
        DataError: the file cannot be read, with the row and the column.
        UnknownPart, RecipeError: a task or a setting that does not exist.
    """
    progress = progress or Silent()
    recipe = make({"task": task, "data": {key: value for key, value in (("input", input), ("label", label)) if value}}, overrides)
    settings = recipe.settings(DataSettings)
    part: Task = registry.find("tasks", task)
    asked = recipe.asked

    def parse(cell: Any) -> Any:
        return part.parse(cell, asked)

    table = open_table(file, settings=settings, most_labels=most_columns(part))
    progress.start(f"reading {table.name}")
    unusable: list[DataError] = []
    rows = list(table.rows(parse, unusable.append, placing(part)))
    progress.finish(f"{len(rows):,} rows")
    tests = _tests(test, table, settings, parse, part) if test is not None else []
    survey = Survey(rows, unusable, tests, _embed(threads, progress), _unknown(part, rows, asked), progress)
    originals = tuple(Path(name) for name in (file, test) if name is not None and str(name) != STDIN)
    return Checked(inspect(survey, _facts(table, test)), table, survey, originals, part, asked, settings)


def _tests(test: str | Path, table: Table, settings: DataSettings, parse: Callable[[Any], Any], task: Task) -> list[Row]:
    """The usable rows of the test file, by the columns of the training file where it has them."""
    remembered = (table.input.name, table.label.name if table.label else None)
    plain = settings.model_copy(update={"input": None, "label": None})
    opened = open_table(test, remembered=remembered, need_label=False, settings=plain, most_labels=most_columns(task))
    return list(opened.rows(parse, lambda _: None, placing(task)))


def _unknown(task: Task, rows: Sequence[Row], settings: Settings) -> frozenset[str]:
    """The label for texts that no label fits, where the task has one."""
    try:
        unknown = task.form(rows, settings).get("unknown")
    except DataError:  # rows that cannot teach the task: the findings say what is wrong with them
        return frozenset()
    return frozenset([unknown]) if isinstance(unknown, str) else frozenset()


def _embed(threads: int | None, progress: Progress) -> Embed | None:
    """The starter encoder, where it is here and can be run; the check is poorer without, not impossible."""
    try:
        return embedder(threads=threads)
    except MissingExtra as missing:
        progress.say(f"meaning is not compared: {missing}")
        return None


def _facts(table: Table, test: str | Path | None) -> dict[str, Any]:
    columns = {"input": _choice(table.input), "label": _choice(table.label)}
    facts = {"file": table.name, "format": table.source.name, "columns": columns, "read": dict(table.facts)}
    return facts | ({"test": Path(test).name} if test is not None else {})


def _choice(choice: Any) -> dict[str, str] | None:
    return None if choice is None else {"name": choice.name, "how": choice.how}
