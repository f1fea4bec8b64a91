"""From a recipe's files to the rows of a build: read, parsed, without repeats, split three ways.

Of a large file only the rows that cover the rest are learnt from.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from smidgen.core.errors import BaseError, DataError, RecipeError
from smidgen.core.forms import Form
from smidgen.core.parts import Base, Task, placing
from smidgen.core.progress import Progress
from smidgen.core.rows import Row, joined
from smidgen.core.settings import Settings
from smidgen.data import row_selection
from smidgen.data.findings.labels import respelt
from smidgen.data.label_errors import LEAST_ROWS, judge_labels
from smidgen.data.settings import DataSettings
from smidgen.data.splits import split_rows
from smidgen.data.tables import DataTable, open_table
from smidgen.flows.embedding import embedder
from smidgen.judge.sections import TeacherFacts
from smidgen.parts.recipe import Recipe
from smidgen.store.hashing import rows_hash
from smidgen.text import near_duplicates

# From a recipe's files to the rows that a build works with: read, parsed, without repeats, split three ways.

FEW_ROWS = 2_000
FEW_PER_STRATUM = 30
_MOST_HELD = 500
_MOST_HELD_UNKNOWN = 1_000
_MOST_TEST = 10_000
_LARGEST_GROUP = 50
_MOST_HELD_WRITTEN = 150
_MOST_TEST_WRITTEN = 500
"""Writing a text takes a hundred times as long as giving a label."""


@dataclass(frozen=True)
class Examples:
    """The rows of a build.

    Attributes:
        train: rows that the final model may learn from. Where `refit` is set, `held` is among them.
        fit: rows that a model may learn from while it is being judged on `held`.
        held: rows apart from `fit`: they calibrate, and choose between alternatives. Never the test rows.
        test: rows that are only measured on.
        form: what a model of these rows answers with, before calibration.
        refit: after calibration the model is trained again on all of `train`, because every row counts.
        columns: the names of the input and output columns, as the bundle remembers them.
        sha256: hash of the training rows as read.
        source, test_source: where the rows came from, in words.
        notes: what was guessed or dropped, in words.
        teacher: what a larger model taught, where one did; its rows are in `train` and `fit`.
        test_sha256: hash of the test rows as read, where they came in a file of their own.
    """

    train: list[Row]
    fit: list[Row]
    held: list[Row]
    test: list[Row]
    form: Form
    refit: bool
    columns: dict[str, str]
    sha256: str
    source: str
    test_source: str
    notes: tuple[str, ...]
    teacher: TeacherFacts | None = None
    test_sha256: str | None = None


@dataclass(frozen=True)
class GivenTables:
    """Training rows, and test rows if there are any, in place of the files that the recipe names."""

    train: DataTable
    test: DataTable | None = None


def read_examples(recipe: Recipe, task: Task, given: GivenTables | None = None) -> Examples:
    """Read and split. Raises DataError for what cannot be read or learnt from; RecipeError where no data is named."""
    settings = recipe.settings(DataSettings)
    asked = recipe.asked
    if settings.train is None:
        raise RecipeError(
            "no training data is named", value=recipe.name, todo='Set data.train = "FILE" in the recipe, or give --data FILE.'
        )
    most_labels = task.most_columns
    table = given.train if given else open_table(path_of(settings.train, recipe), settings=settings, most_labels=most_labels)
    rows = list(table.rows(lambda cell: task.parse(cell, asked), placed=placing(task)))
    notes = _choices(table)
    sha256 = rows_hash((row.input, row.output) for row in rows)
    if settings.dedupe:
        rows, dropped = _distinct(rows)
        if dropped:
            notes.append(f"{dropped} repeated rows dropped")
    rows, form, merged = _formed(task, rows, asked)
    if merged:
        shown = ", ".join(f"{name!r} as {common!r}" for name, common in list(merged.items())[:3])
        command = f"smidgen check {shlex.quote(settings.train)} --label {shlex.quote(table.label.name if table.label else '')}"
        notes.append(f"labels that are seen once were taken for their commonest spelling: {shown}. Mend the file: {command} --fix OUT")
    told = rows
    # From here on the task is the one of these rows, and theirs are the values that it knows.
    kind = task.formed(form)
    written = kind.writes
    rows = _settled(rows, kind)
    columns = {"input": ",".join(table.input.names), "label": table.label.name if table.label else ""}
    if settings.test is not None:
        remembered = columns["input"], columns["label"]
        tests = given.test if given else None
        if tests is None:
            tests = open_table(path_of(settings.test, recipe), remembered=remembered, settings=settings, most_labels=most_labels)
        test = list(tests.rows(lambda cell: kind.parse(cell, asked), placed=placing(kind)))
        test_source = f"{Path(settings.test).name}, {len(test)} rows, given apart"
        test_sha256: str | None = rows_hash((row.input, row.output) for row in test)
        known = {joined(row.input) for row in test}
        leaked = sum(joined(row.input) in known for row in rows)
        if leaked:
            rows = [row for row in rows if joined(row.input) not in known]
            if not rows:
                raise DataError(
                    "the test file holds every training row: nothing is left to learn from",
                    value=f"{settings.test}: {leaked} rows in both",
                    todo="Give a test file of other rows, or none: some rows are then kept apart by themselves.",
                )
            notes.append(f"{leaked} training rows dropped because the test file holds the same text")
    else:
        test_sha256 = None
        share = _capped(settings.test_share, len(rows), _MOST_TEST_WRITTEN if written else _MOST_TEST)
        rows, test = split_rows(rows, kind.strata(rows), share, recipe.seed, _groups(rows, written), minimum_per_stratum=1)
        test_source = f"{len(test)} rows of the training file, drawn by stratum with seed {recipe.seed} and kept apart"
    if written and rows and rows != told:
        # What is learnt of the texts (which words state what, which fields there are) is learnt without the test rows: once,
        # where these are all the rows that the form was made of.
        form = task.form(rows, asked)
        kind = task.formed(form)
        rows, test = _settled(rows, kind), _settled(test, kind)
    if not rows or not test:
        raise DataError(
            "too few rows to keep some apart for the test", value=f"{len(rows) + len(test)} rows", todo="Add rows, or give a test file."
        )
    strata = kind.strata(rows)
    most = _MOST_HELD_WRITTEN if written else _MOST_HELD_UNKNOWN if _has_unknown(form) else _MOST_HELD
    share = _capped(settings.holdout, len(rows), most) if written else _held_share(settings, rows, strata, most)
    fit, held = split_rows(rows, strata, share, recipe.seed + 1, _groups(rows, written), minimum_per_stratum=1)
    # A writer is stopped by its held rows, and teaching it again takes as long as the first time.
    refit = not written and are_few(len(rows), strata)
    if not held:
        raise DataError(
            "too few rows to keep some apart for calibration", value=f"{len(rows)} rows", todo="Add rows: two or more per label."
        )
    held, test = kind.gathered(held), kind.gathered(test)
    return Examples(
        rows if refit else fit,
        fit,
        held,
        test,
        form,
        refit,
        columns,
        sha256,
        f"{Path(settings.train).name}, {len(rows)} rows",
        test_source,
        tuple(notes),
        test_sha256=test_sha256,
    )


def _settled(rows: Sequence[Row], task: Task) -> list[Row]:
    """The rows with their outputs as the task has them, now that its form is known."""
    place = placing(task)
    return list(rows) if place is None else [replace(row, output=place(row.input, row.output)) for row in rows]


def _has_unknown(form: Form) -> bool:
    """Whether there is an answer for out-of-scope texts, whose threshold takes more rows than a temperature."""
    return form.labelling is not None and form.labelling.unknown is not None


def _held_share(settings: DataSettings, rows: Sequence[Row], strata: Sequence[str], most: int) -> float:
    """A refit costs no row, so it can afford twice the share; many rows need no more than a few hundred for a temperature, some more for
    the threshold of the unknown answer."""
    doubled = min(0.5, 2 * settings.holdout) if are_few(len(rows), strata) else settings.holdout
    return _capped(doubled, len(rows), most)


def are_few(rows: int, strata: Sequence[str]) -> bool:
    """Whether there are so few rows that the final model must learn from every one of them."""
    return rows < FEW_ROWS or rows < FEW_PER_STRATUM * len(set(strata))


def _groups(rows: Sequence[Row], written: bool) -> list[int]:
    """Near-duplicates stay on one side of a split: a model that has read a text is not judged on its twin. Where texts are
    written and nearly every input is near to one that is near to another (lists of attributes are), a group would be too large for either
    side: then only equal inputs stay together."""
    texts = [joined(row.input) for row in rows]
    found = near_duplicates.near_groups(texts)
    if written and max(Counter(found).values(), default=0) > max(_LARGEST_GROUP, 0.05 * len(texts)):
        first: dict[str, int] = {}
        return [first.setdefault(text, place) for place, text in enumerate(texts)]
    return found


def _capped(share: float, total: int, most: int) -> float:
    return min(share, most / max(1, total))


def path_of(name: str, recipe: Recipe) -> str | Path:
    """Paths in a recipe start from the recipe's folder."""
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


def _formed(task: Task, rows: list[Row], asked: Settings) -> tuple[list[Row], Form, dict[str, str]]:
    """The form of these rows. Where a label could not be learnt because it is seen once, and is another spelling of one that is seen more
    often, the rows have the common spelling; which these were comes last."""
    try:
        return rows, task.form(rows, asked), {}
    except DataError:
        merged = respelt(Counter(label for row in rows for label in _labels(row.output)))
        if not merged:
            raise
    rows = [replace(row, output=_merged(row.output, merged)) if merged.keys() & _labels(row.output) else row for row in rows]
    return rows, task.form(rows, asked), merged


def _labels(output: Any) -> list[str]:
    found = output if isinstance(output, list) else [output]
    return found if all(isinstance(label, str) for label in found) else []


def _merged(output: Any, merged: dict[str, str]) -> Any:
    return merged.get(output, output) if isinstance(output, str) else sorted({merged.get(label, label) for label in output})


def _choices(table: DataTable) -> list[str]:
    """How the columns were found, where they were not given."""
    notes = []
    for role, choice in (("input", table.input), ("label", table.label)):
        if choice is not None:
            notes.append(f"{role} column: {', '.join(choice.names)} ({choice.how})")
    return notes


# A large file made small before anything is trained: the rows that cover the rest, likely wrong ones left out.


def select_rows(recipe: Recipe, task: Task, examples: Examples, *, base: Base | None, threads: int | None, progress: Progress) -> Examples:
    """The examples with `data.select` rows to learn from; all of them, where that is not set, or there are no more.

    `base` is the encoder to compare texts by, None for the starter. The held-out and the test rows stay as they are. Raises BaseError where
    there is no encoder.
    """
    count, rows = recipe.settings(DataSettings).select, examples.fit
    if count is None or count >= len(rows):
        return examples
    progress.start(f"choose {count:,} of {len(rows):,} rows", None)
    embed = embedder(base, threads)
    if embed is None:
        raise BaseError("rows cannot be compared without an encoder", value="data.select", todo="Fetch one first: smidgen pull minilm")
    vectors = embed([joined(row.input) for row in rows])
    if (form := examples.form.single_label) is not None:
        labels = [str(row.output) for row in rows]
        good = sound_rows([joined(row.input) for row in rows], labels, vectors, form.unknown)
        chosen = [
            good[place] for place in row_selection.select_labelled(vectors[good], [labels[place] for place in good], count, recipe.seed)
        ]
    else:
        chosen = sorted(row_selection.select_covering(vectors, count, np.random.default_rng([recipe.seed, 61])))
    progress.finish(f"{len(chosen):,} rows that cover the rest")
    kept = [rows[place] for place in chosen]
    note = f"{len(kept):,} of {len(rows):,} rows chosen to learn from (data.select)"
    train = [*kept, *examples.held] if examples.refit else kept
    return replace(examples, train=train, fit=kept, notes=(*examples.notes, note), source=f"{examples.source}, of which {len(kept)} chosen")


def sound_rows(
    texts: list[str], labels: list[str], vectors: np.ndarray[tuple[int, int], np.dtype[np.float32]], unknown: object
) -> list[int]:
    """Places of the rows whose label is not likely wrong: a wrong one among few does more harm than among many."""
    if len(set(labels)) < 2 or len(texts) < LEAST_ROWS:
        return list(range(len(texts)))
    wrong = {doubt.place for doubt in judge_labels(texts, labels, vectors).doubts() if doubt.given != unknown}
    return [place for place in range(len(texts)) if place not in wrong]
