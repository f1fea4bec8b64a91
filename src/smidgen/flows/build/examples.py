"""From a recipe's files to the rows of a build: read, parsed, without repeats, split three ways.

Of a large file only the rows that cover the rest are used for training.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from smidgen.core.errors import BaseError, DataError, InputError, RecipeError
from smidgen.core.forms import Form
from smidgen.core.parts import Task, merged_rows
from smidgen.core.rows import Row, joined
from smidgen.data import row_selection
from smidgen.data.label_errors import LEAST_ROWS, LOWEST_AGREEMENT, judge_labels
from smidgen.data.rare_labels import label_counts, learnable_rows
from smidgen.data.source import DataSettings
from smidgen.data.splits import split_rows
from smidgen.data.tables import STDIN, DataTable, open_columns, open_table
from smidgen.data.teacher.settings import TeacherSettings
from smidgen.flows import answer_files
from smidgen.flows.build.work import BuildContext, Work
from smidgen.flows.embedding import embedder
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe
from smidgen.stats.classification_metrics import rare_share
from smidgen.store.files import rows_hash
from smidgen.text import near_duplicates

FEW_ROWS = 2_000
FEW_PER_STRATUM = 30
_NO_TABLE = {"input": "input", "label": "output"}
"""The columns of a model that was built without a table: those of a table for measuring it."""
_MOST_HELD = 500
_MOST_HELD_UNKNOWN = 1_000
_MOST_TEST = 10_000
_LARGEST_GROUP = 50
_MOST_HELD_WRITTEN = 150
_MOST_TEST_WRITTEN = 500
"""Limits for writers: writing a text takes a hundred times as long as giving a label."""


def read_examples(work: Work, context: BuildContext) -> Work:
    """The work with its rows, read and split. Raises DataError for unreadable or unusable data; RecipeError if no data is named; InputError
    if a requested error file cannot be written."""
    recipe, task, asked = work.recipe, work.task, work.recipe.asked
    settings = recipe.settings(DataSettings)
    context.progress.start("read the data")
    if settings.train is None:
        table, rows, notes = None, list(task.files.rows(asked) if task.files is not None else ()), list[str]()
    else:
        table, gaps = training_table(work), Counter[str]()
        if task.examples is not None:  # exports have rows with empty cells
            table = table.without_gaps(gaps)
        rows = list(table.rows(lambda cell: task.parse(cell, asked), placed=task.place))
        notes = [*_choices(table), *(f"{count:,} rows have no {name}: left out" for name, count in gaps.items())]
    if table is None and not rows:
        raise RecipeError("flows.no_training_data_is_named", value=recipe.name)
    if task.files is not None:
        notes += task.files.remarks(asked)
    sha256 = rows_hash((row.input, row.output) for row in rows)
    if settings.dedupe:
        rows, dropped = _distinct(rows)
        if dropped:
            notes.append(f"{dropped} repeated rows dropped")
    learnable = learnable_rows(task, rows, asked)
    rows, form, thin = learnable.rows, learnable.form, learnable.left_out
    if learnable.merged and table is not None:
        shown = ", ".join(f"{name!r} as {common!r}" for name, common in list(learnable.merged.items())[:3])
        command = f"smidgen check {shlex.quote(str(settings.train))} --label {shlex.quote(table.label.name if table.label else '')}"
        notes.append(f"labels that are seen once were taken for their commonest spelling: {shown}. Correct the file: {command} --fix OUT")
    if thin:
        shown = ", ".join(map(repr, thin[:3])) + (f" and {len(thin) - 3} more" if len(thin) > 3 else "")
        notes.append(f"labels with one row are left out, the model never answers them: {shown}. Add a second row to each")
        context.progress.say(notes[-1])
        missing = rare_share([*label_counts(rows).values(), *[1] * len(thin)])
        notes.append(
            f"the accuracy is of texts with labels that the model knows. About {missing:.0%} of later texts have another: a label that is "
            "left out, or that no row has. The model answers them wrong. More rows of rare labels help most"
        )
        context.progress.say(notes[-1])
    columns = {**_NO_TABLE, "input": ",".join(task.pair)} if task.pair else _NO_TABLE
    if table is not None:
        columns = {"input": ",".join(table.input.names), "label": table.label.name if table.label else ""}
    # From here on the task is the one of these rows, with their values.
    work = replace(work, form=form, left_out=thin, columns=columns, sha256=sha256, notes=tuple(notes))
    work = _split(work, rows)
    context.progress.finish(f"{len(work.train):,} rows to learn from, {len(work.test):,} to test on")
    check_errors_file(work)
    return work


def _split(work: Work, told: list[Row]) -> Work:
    """The work with its rows for learning, calibration and the test, all apart."""
    recipe, task, settings, notes = work.recipe, work.task, work.recipe.settings(DataSettings), [*work.notes]
    written, rows, test_sha256 = task.writes, _settled(told, task), None
    divided = task.split(rows, work.recipe.asked, work.recipe.seed)
    if divided is not None:
        if settings.test is not None:
            raise DataError("flows.task_takes_no_test_file", value=settings.test)
        if not (divided.fit and divided.held and divided.test):
            value = f"{len(divided.fit)} to learn from, {len(divided.held)} for calibration, {len(divided.test)} to test on"
            raise DataError("flows.too_few_rows_to_keep_some_apart", value=value)
        work = replace(work, train=divided.fit, fit=divided.fit, held=divided.held, test=divided.test)
        return replace(work, source=_source(settings, rows), test_source=divided.how)
    if settings.test is not None:
        rows, test, test_sha256, leaked = _given_test(work, rows)
        test_source = f"{Path(settings.test).name}, {len(test)} rows, given apart"
        if leaked:
            notes.append(f"{leaked} training rows dropped because the test file holds the same text")
    else:
        share = _capped(settings.test_share, len(rows), _MOST_TEST_WRITTEN if written else _MOST_TEST)
        rows, test = split_rows(rows, task.strata(rows), share, recipe.seed, _groups(rows, written), minimum_per_stratum=1)
        test_source = f"{len(test)} rows of the training file, drawn by stratum with seed {recipe.seed} and kept apart"
    if written and rows and rows != told:
        # A form learns nothing from the test rows: it is made again, once, if the training rows are not all that it was made of.
        work = replace(work, form=registry.find("tasks", recipe.task).form(rows, recipe.asked))
        task = work.task
        rows, test = _settled(rows, task), _settled(test, task)
    if not rows or not test:
        raise DataError("flows.too_few_rows_for_test", rows=len(rows) + len(test))
    strata = task.strata(rows)
    most = _MOST_HELD_WRITTEN if written else _MOST_HELD_UNKNOWN if _has_unknown(work.form) else _MOST_HELD
    share = _capped(settings.holdout, len(rows), most) if written else _held_share(settings, rows, strata, most)
    fit, held = split_rows(rows, strata, share, recipe.seed + 1, _groups(rows, written), minimum_per_stratum=1)
    # A writer needs its held-out rows for stopping, and training it again takes as long as the first time.
    refit = not written and are_few(len(rows), strata)
    if not held:
        raise DataError("flows.too_few_rows_for_calibration", rows=len(rows))
    held, test = merged_rows(task, held), merged_rows(task, test)
    work = replace(work, train=rows if refit else fit, fit=fit, held=held, test=test, refit=refit)
    return replace(work, source=_source(settings, rows), test_source=test_source, test_sha256=test_sha256, notes=tuple(notes))


def _source(settings: DataSettings, rows: Sequence[Row]) -> str:
    """The origin of the rows, in words."""
    return f"{Path(settings.train).name}, {len(rows)} rows" if settings.train else f"{len(rows)} rows made from what the recipe names"


def gather_material(work: Work, context: BuildContext) -> Work:
    """The work with a folder of what students need beside the rows; unchanged if the task gathers nothing. Raises DataError if a row names
    what is not there."""
    if work.task.files is None:
        return work
    asked = work.task.members.with_folders(work.recipe.asked, work.members) if work.task.members and work.members else work.recipe.asked
    settings = work.recipe.settings(DataSettings)
    has_table = not work.given and settings.train not in (None, STDIN)
    table = partial(open_columns, path_of(str(settings.train), work.recipe), settings=settings) if has_table else None
    examples = work.task.examples
    names, notes = examples.names(table, work.columns.get("label", ""), asked) if examples is not None else ({}, ())
    files = work.task.files.for_students([*work.fit, *work.held, *work.test], asked, names)
    if not files:
        return work
    folder = context.scratch / "material"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return replace(work, material=folder, notes=(*work.notes, *notes))


def _given_test(work: Work, rows: list[Row]) -> tuple[list[Row], list[Row], str, int]:
    """The rows that the test file lacks, those of the test file, the hash of these, and the number of rows in both."""
    settings, task, asked = work.recipe.settings(DataSettings), work.task, work.recipe.asked
    assert settings.test is not None
    remembered, most = (work.columns["input"], work.columns["label"]), task.most_columns
    table = work.given.test if work.given else None
    table = table or open_table(path_of(settings.test, work.recipe), remembered=remembered, settings=settings, most_labels=most)
    test = list(table.rows(lambda cell: task.parse(cell, asked), placed=task.place))
    known = {joined(row.input) for row in test}
    kept = [row for row in rows if joined(row.input) not in known]
    if rows and not kept:
        raise DataError("flows.test_file_holds_every_training_row", test=settings.test, rows=len(rows))
    if work.form.labelling is not None and (wanted := work.form.labelling.foreign(task.labelled(row.output, work.form) for row in test)):
        raise DataError(
            "flows.no_test_label_is_in_training_file", test=settings.test, wanted=wanted[0], labels=min(work.form.labelling.labels)
        )
    return kept, test, rows_hash((row.input, row.output) for row in test), len(rows) - len(kept)


def check_errors_file(work: Work) -> None:
    """Raise InputError, before anything is trained, if an error file is requested and cannot be made."""
    if work.errors is None:
        return
    settings = work.recipe.settings(DataSettings)
    if work.task.writes or work.recipe.settings(TeacherSettings).source is not None or settings.train in (None, STDIN):
        raise InputError("flows.errors_over_all_rows_cannot_be_made", value=work.errors)
    answer_files.error_file_for(work.errors, training_table(work))


def training_table(work: Work) -> DataTable:
    """The given training rows, or the file with them."""
    if work.given:
        return work.given.train
    settings, task = work.recipe.settings(DataSettings), registry.find("tasks", work.recipe.task)
    input, label = task.examples.columns(work.recipe.asked) if task.examples is not None else (None, None)
    if task.examples is not None and not ((input or settings.input) and (label or settings.label)):
        raise RecipeError("flows.columns_of_examples_are_not_named", value=settings.train)
    return open_table(path_of(str(settings.train), work.recipe), input=input, label=label, settings=settings, most_labels=task.most_columns)


def _settled(rows: Sequence[Row], task: Task) -> list[Row]:
    """The rows with their outputs in the task's final form."""
    place = task.place
    return list(rows) if place is None else [replace(row, output=place(row.input, row.output)) for row in rows]


def _has_unknown(form: Form) -> bool:
    """Whether there is an answer for out-of-scope texts, whose threshold takes more rows than a temperature."""
    return form.labelling is not None and form.labelling.unknown is not None


def _held_share(settings: DataSettings, rows: Sequence[Row], strata: Sequence[str], most: int) -> float:
    """The share to hold out. A refit costs no row, so it can afford twice the share; with many rows a few hundred are enough for a
    temperature, some more for the threshold of the unknown answer."""
    doubled = min(0.5, 2 * settings.holdout) if are_few(len(rows), strata) else settings.holdout
    return _capped(doubled, len(rows), most)


def are_few(rows: int, strata: Sequence[str]) -> bool:
    """Whether there are so few rows that the final model must be trained on every one of them."""
    return rows < FEW_ROWS or rows < FEW_PER_STRATUM * len(set(strata))


def _groups(rows: Sequence[Row], written: bool) -> list[int]:
    """Groups that keep near-duplicates on one side of a split, so that a model is not judged on the twin of a training text. If texts are
    written and nearly all inputs form one chain of near-duplicates (lists of attributes do), a group would be too large for either side:
    then only equal inputs stay together."""
    texts = [joined(row.input) for row in rows]
    found = near_duplicates.near_groups(texts)
    if written and max(Counter(found).values(), default=0) > max(_LARGEST_GROUP, 0.05 * len(texts)):
        first: dict[str, int] = {}
        return [first.setdefault(text, place) for place, text in enumerate(texts)]
    return found


def _capped(share: float, total: int, most: int) -> float:
    return min(share, most / max(1, total))


def path_of(name: str, recipe: Recipe) -> str | Path:
    """Resolve a path in a recipe from the recipe's folder."""
    return name if name == "-" else recipe.folder / Path(name).expanduser()


def _distinct(rows: Sequence[Row]) -> tuple[list[Row], int]:
    seen: set[tuple[str, str]] = set()
    kept = []
    for row in rows:
        key = (joined(row.input), repr(row.output))
        if key not in seen:
            seen.add(key)
            kept.append(row)
    return kept, len(rows) - len(kept)


def _choices(table: DataTable) -> list[str]:
    """How the columns were found, if they were not given."""
    notes = []
    for role, choice in (("input", table.input), ("label", table.label)):
        if choice is not None:
            notes.append(f"{role} column: {', '.join(choice.names)} ({choice.how})")
    return notes


def select_rows(work: Work, context: BuildContext) -> Work:
    """The work with `data.select` training rows, those that cover the rest; unchanged if that is not set, or there are no more.

    The held-out and the test rows stay unchanged. Raises BaseError if there is no encoder to compare texts by.
    """
    count, rows, seed = work.recipe.settings(DataSettings).select, work.fit, work.recipe.seed
    if count is None or count >= len(rows):
        return work
    context.progress.start(f"choose {count:,} of {len(rows):,} rows", None)
    embed = embedder(work.bases.get("encoder"), context.threads)
    if embed is None:
        raise BaseError("flows.rows_cannot_be_compared_without_encoder", value="data.select")
    texts = [joined(row.input) for row in rows]
    vectors = embed(texts)
    if (form := work.form.single_label) is not None:
        labels = [str(row.output) for row in rows]
        good = sound_rows(texts, labels, vectors, form.unknown)
        found = row_selection.select_labelled(vectors[good], [labels[place] for place in good], count, seed)
        chosen = [good[place] for place in found]
    else:
        chosen = sorted(row_selection.select_covering(vectors, count, np.random.default_rng([seed, 61])))
    context.progress.finish(f"{len(chosen):,} rows that cover the rest")
    kept = [rows[place] for place in chosen]
    note = f"{len(kept):,} of {len(rows):,} rows chosen to learn from (data.select)"
    train = [*kept, *work.held] if work.refit else kept
    return replace(work, train=train, fit=kept, notes=(*work.notes, note), source=f"{work.source}, of which {len(kept)} chosen")


def sound_rows(
    texts: list[str], labels: list[str], vectors: np.ndarray[tuple[int, int], np.dtype[np.float32]], unknown: object
) -> list[int]:
    """Places of the rows whose label is not likely wrong: a wrong one among few does more harm than among many."""
    if len(set(labels)) < 2 or len(texts) < LEAST_ROWS:
        return list(range(len(texts)))
    wrong = {doubt.place for doubt in judge_labels(texts, labels, vectors).doubts(LOWEST_AGREEMENT) if doubt.given != unknown}
    return [place for place in range(len(texts)) if place not in wrong]
