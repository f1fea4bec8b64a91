"""Evaluate a bundle on a file of examples that it has not seen."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smidgen.core.conversations import too_few
from smidgen.core.errors import DataError, InputError, SmidgenError
from smidgen.core.parts import Task, merged_rows
from smidgen.core.progress import Progress, Silent
from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.data.tables import open_table
from smidgen.flows import answer_files
from smidgen.flows.answer_files import cell_reader
from smidgen.flows.learn.data_overlap import TESTED_ON, known_data
from smidgen.flows.local_model import Model
from smidgen.judge import report, wording
from smidgen.judge.sections import measured
from smidgen.stats.calibration import expected_calibration_error
from smidgen.stats.classification_metrics import reply_grades
from smidgen.store.files import rows_hash

if TYPE_CHECKING:
    from smidgen.data.teacher.settings import TeacherSettings
    from smidgen.flows.build.large_baseline import LargeBaseline

_BATCH = 512
_SINGLES = 200
_SECONDS = 5.0
"""Seconds after which the measurement of single texts stops."""


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a bundle on a file.

    Attributes:
        n: rows measured.
        skipped: rows that could not be used.
        ece: mean distance between score and share right; for texts, between score and grade.
        p50, p99: latency of one text at a time, in milliseconds.
        tokens_per_second: for a model that writes; else None.
        learnt: rows that are in the bundle's training data, as far as known.
        strange: a warning if the model has none of the labels that the rows want.
        errors: rows in the error file; None if none was asked for.
        units: units of the metrics that are not shares.
        large: a large model on the same rows; None if none was asked.
    """

    name: str
    id: str
    task: str
    n: int
    skipped: int
    metrics: dict[str, Metric]
    ece: float
    p50: float
    p99: float
    texts_per_second: float
    tokens_per_second: float | None
    rows: list[Row]
    replies: list[Reply]
    learnt: int = 0
    strange: str = ""
    errors: int | None = None
    headline: str = ""
    units: Mapping[str, str] = field(default_factory=dict)
    large: LargeBaseline | None = None

    @property
    def warning(self) -> str:
        """A warning if the rows want labels that the model does not have, or are not new; empty if neither is known."""
        if not self.learnt:
            return self.strange
        rows = "all" if self.learnt == self.n else f"{self.learnt:,}"
        return (
            f"{rows} of these {self.n:,} rows stand in the data that the model was made from: the numbers say how well it remembers them, "
            "not how it does on new texts. Measure it on rows that it has never seen."
        )

    @property
    def too_few(self) -> tuple[str, str] | None:
        """That a desk's test has too few messages for a figure, and what to do; None if it has enough, or is another's."""
        found = self.metrics.get(self.headline)
        return too_few(self.headline, found.n, "--data FILE") if found is not None else None

    @property
    def few(self) -> str:
        """A warning if the test has few rows; empty if there are enough, or if they were learnt from."""
        if self.too_few is not None:
            return " ".join(self.too_few)
        found = measured(self.metrics.get(self.headline))
        return wording.note_on_few_rows(self.headline, found, "--data FILE") if found is not None and not self.learnt else ""

    def json(self) -> dict[str, Any]:
        """Return the output of `eval --json`."""
        return {
            "bundle": self.name,
            "id": self.id,
            "task": self.task,
            "n": self.n,
            "skipped": self.skipped,
            "learnt": self.learnt,
            **({"errors": self.errors} if self.errors is not None else {}),
            "metrics": {name: metric.json() for name, metric in self.metrics.items()},
            "calibration": {"ece": self.ece},
            "latency_ms": {"p50": self.p50, "p99": self.p99},
            "texts_per_second": self.texts_per_second,
            **({"tokens_per_second": self.tokens_per_second} if self.tokens_per_second is not None else {}),
            **({"large_model": self.large.json()} if self.large is not None else {}),
        }


def evaluate(
    model: Model,
    file: Path | str,
    *,
    input: str | None = None,
    label: str | None = None,
    errors: str | None = None,
    tools_env: str | None = None,
    tools: Path | None = None,
    larger: TeacherSettings | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a loaded bundle on a file. `errors`: a file for the rows that it got wrong. `tools_env`, `tools`: of a desk, the test copy in
    which its calls are made, by default that of its recipe, and its tool file; see `desk/live_test.py`. `larger`: a large model that
    is asked the same.

    Raises DataError if a file cannot be read or written, or has no usable row; InputError for an unsupported format.
    """
    progress = progress or Silent()
    task: Task = model.task
    own = task.files.rows_in(Path(file), task.cell_settings(model.form)) if task.files is not None else None
    if own is not None:
        if larger is not None:
            raise InputError("flows.large_model_is_asked_single_texts", value=str(file))
        kind = answer_files.error_file_of_messages(errors) if errors is not None else None
        if tools_env is not None and task.serving is None:
            raise InputError("flows.calls_are_only_made_for_desks", value=model.name)
        tried = task.serving.replies(model, [row.input for row in own], tools_env, tools) if task.serving is not None else None
        found = _measured(model, own, 0, progress, tried)
        if kind is None or errors is None:
            return found
        return replace(found, errors=answer_files.write_wrong_messages(errors, task, model.form, found.rows, found.replies, kind))
    if tools_env is not None:
        raise InputError("flows.calls_are_only_made_in_conversations", value=str(file))
    table = open_table(file, input=input, label=label, remembered=model.columns, most_labels=task.most_columns)
    for choice, flag in ((table.input, "--input"), (table.label, "--label")):
        if choice is not None and choice.how == "guessed":
            progress.say(f"the column {choice.name!r} was guessed. Name another with {flag}")
    kind = answer_files.error_file_for(errors, table) if errors is not None else None
    skipped: list[object] = []
    rows = every = list(table.rows(cell_reader(task, model.form), bad=skipped.append, placed=task.place))
    if skipped and rows and all(row.output is None for row in rows):
        raise DataError(
            "flows.no_output_of_these_rows_is_one_of_task",
            name=task.name,
            skipped=len(skipped),
            total=len(skipped) + len(rows),
            first=skipped[0],
            file=str(file),
        )
    if not rows:
        raise skipped[0] if skipped and isinstance(skipped[0], Exception) else AssertionError("open_table refuses empty files")
    if (divided := task.split(rows, task.cell_settings(model.form), 0)) is not None:
        rows = every = list(divided.test)
    found = _measured(model, rows, len(skipped), progress)
    if larger is not None:
        found = replace(found, large=_asked_larger(model, found, larger, progress))
    if errors is None:
        return found
    wrong = answer_files.wrong_rows(task, model.form, found.rows, found.replies, every)
    count = answer_files.write_error_file(errors, table, wrong, kind)
    return replace(found, errors=count)


def _measured(model: Model, given: Sequence[Row], skipped: int, progress: Progress, made: Sequence[Reply] | None = None) -> Evaluation:
    """Measure a model on rows. `skipped`: how many others could not be used. `made`: its replies, if they were made before."""
    task: Task = model.task
    learnt = _count_trained_on(model, given)
    rows = merged_rows(task, given)
    progress.start("evaluate", len(rows))
    replies = list(made or ())
    began = time.perf_counter()
    for batch in _batches(iter(rows if made is None else ()), _BATCH):
        replies += model.predict([row.input for row in batch])
        progress.advance(len(batch))
    seconds = time.perf_counter() - began
    took = []
    for row in rows[:_SINGLES]:
        before = time.perf_counter()
        model.predict([row.input])
        took.append((time.perf_counter() - before) * 1e3)
        if sum(took) > _SECONDS * 1e3:
            break
    progress.finish(f"{len(rows)} rows")
    written = [reply.facts["tokens"] for reply in replies if "tokens" in reply.facts]
    return Evaluation(
        name=model.name,
        id=model.id,
        task=model.manifest.task,
        n=len(rows),
        skipped=skipped,
        metrics=task.measure(rows, replies, model.form),
        ece=expected_calibration_error([reply.score for reply in replies], reply_grades(task, rows, replies, model.form)),
        p50=float(np.percentile(took, 50)),
        p99=float(np.percentile(took, 99)),
        texts_per_second=len(rows) / seconds,
        tokens_per_second=sum(written) / seconds if written else None,
        rows=rows,
        replies=replies,
        learnt=min(learnt, len(rows)),
        strange=_no_label_in_common(model, rows),
        headline=task.headline,
        units=task.units,
    )


def _no_label_in_common(model: Model, rows: Sequence[Row]) -> str:
    """A warning if no row wants a label that the model has; empty if one does, or the model gives no labels."""
    form = model.form.labelling
    if form is None or not (wanted := form.foreign(model.task.labelled(row.output, model.form) for row in rows)):
        return ""
    return (
        f"the model has none of the {len(wanted):,} labels of these rows, so every answer is wrong. The rows want {wanted[0]!r}, for "
        f"example; the model answers with {min(form.labels)!r}. Is it the right model, and the right column (--label)?"
    )


def _asked_larger(model: Model, found: Evaluation, larger: TeacherSettings, progress: Progress) -> LargeBaseline | None:
    """The large model's result on the rows that were measured, with the sources that the bundle found. Raises as `ask_larger` does."""
    from smidgen.flows.build.large_baseline import ask_larger

    asked = model.task.cell_settings(model.form)
    return ask_larger(model.task, model.form, found.rows, found.replies, larger, asked, progress)


def _count_trained_on(model: Model, rows: Sequence[Row]) -> int:
    """Count the rows that are in the bundle's training data.

    If the manifest has the hash of the rows, all of them are. Otherwise, a row counts if its text is in the training file, if that still
    exists, or in the rows that the bundle's line learns from. Rows of the report's own test file never count.
    """
    manifest = model.manifest
    whole = rows_hash((row.input, row.output) for row in rows)
    if manifest.data is not None and whole == manifest.data.sha256:
        return len(rows)
    try:
        known = known_data(model, report.read(model.folder / "report.json"), datetime.now(UTC))
    except SmidgenError:  # without a report or a readable line, the bundle can still be measured
        return 0
    if known.hashes.get(whole) == TESTED_ON:
        return 0
    return sum(known.learnt(row.input) for row in rows)


def _batches(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    while batch := list(islice(rows, size)):
        yield batch
