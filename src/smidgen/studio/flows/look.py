"""The run `look`: a first answer from a version of a project's data, and what the check finds in it. Started after every import.

It leaves three files in its folder: `answer.json`, as soon as there is one; `findings.json`; and `rows.safetensors`, with the quick model's
answer to each row and the order in which rows without an answer teach most.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smidgen.core.errors import DataError, InputError, MissingExtra
from smidgen.core.parts import Task
from smidgen.core.rows import Row, Text, joined
from smidgen.data.inspection import Survey, inspect
from smidgen.data.label_errors import word_vectors
from smidgen.data.rare_labels import learnable_rows
from smidgen.data.row_selection import select_covering
from smidgen.flows.embedding import embedder
from smidgen.parts import registry
from smidgen.parts.recipe import make
from smidgen.store.files import write
from smidgen.studio.flows.data.first_answer import LabelledTests, QuickAnswers, answer_quickly, measure, why_no_answer
from smidgen.studio.flows.run_process import QuickRun, RunProgress, run_folder
from smidgen.studio.store.data_rows import DataRow
from smidgen.studio.store.projects import Project, StudioStore
from smidgen.studio.store.runs import Run, RunStore

KIND = "look"
ANSWER, FINDINGS, ROWS = "answer.json", "findings.json", "rows.safetensors"
MOST_ROWS = 30_000
"""Most rows that are read, so that the answer comes within minutes; of more, an even part."""
FIRST_ROWS = 3_000
"""Of twice as many rows or more, this part gives an answer before the others are read."""
MOST_TESTS = 2_000
"""Test rows that the quick model is measured on; of more, an even part."""
MOST_QUEUED = 1_000
"""Rows without an answer that are put into the order in which they teach most."""
MOST_LISTED = 1_000
"""Rows that a finding lists."""
_BATCH = 256

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class StoredAnswers:
    """The quick model's answers to rows, by their keys.

    Attributes:
        names: the labels.
        keys: of the rows, (n).
        best, chances: (n, k) numbers of the likeliest labels and their probabilities; k is 0 without a model.
        order: keys of rows without an answer, the one that teaches most first.
    """

    names: tuple[str, ...]
    keys: NDArray[np.int64]
    best: NDArray[np.int64]
    chances: Floats
    order: NDArray[np.int64]

    def suggestions(self) -> dict[int, list[tuple[str, float]]]:
        """The likeliest labels of each row, by its key."""
        return {
            key: [(self.names[number], chance) for number, chance in zip(numbers, chances, strict=True)]
            for key, numbers, chances in zip(self.keys.tolist(), self.best.tolist(), self.chances.tolist(), strict=True)
        }


def queue_look(store: StudioStore, project: str, author: str) -> Run | None:
    """Queue a look at the newest version, in the place of one that still waits. None where one looks at this version already."""
    runs, version = RunStore(store.database), store.project(project).version
    looks = [run for run in runs.of_project(project) if run.kind == KIND]
    if any(run.request.get("version") == version and run.state in ("queued", "running", "done") for run in looks):
        return None
    for run in looks:
        if run.state == "queued":
            runs.ask_to_stop(run.id)
    return runs.enqueue(project, KIND, {"version": version}, author)


def newest_look(store: StudioStore, project: str) -> tuple[Run | None, Run | None]:
    """The newest look, and the newest one that has told its first answer."""
    looks = [run for run in RunStore(store.database).of_project(project) if run.kind == KIND]
    told = next((run for run in looks if (run_folder(run.id) / ANSWER).is_file()), None)
    return (looks[0] if looks else None), told


def read_look(run: Run, name: str) -> Any:
    """A JSON file of a look; None where it has not come so far."""
    file = run_folder(run.id) / name
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def read_answers(run: Run) -> StoredAnswers | None:
    """The quick model's answers; None where the look has not come so far."""
    file = run_folder(run.id) / ROWS
    if not file.is_file():
        return None
    from safetensors import safe_open

    with safe_open(str(file), "numpy") as found:
        names = json.loads(found.metadata()["names"])
        return StoredAnswers(tuple(names), *(found.get_tensor(name) for name in ("keys", "best", "chances", "order")))


def run_look(store: StudioStore, run: Run, progress: RunProgress) -> Mapping[str, Any]:
    """Look at a version of the data. What `request` may hold: `version`, without it the newest."""
    started = time.monotonic()
    project = store.project(run.project)
    version = int(run.request.get("version") or project.version)
    folder = run_folder(run.id)
    progress.start("read the rows")
    train, test, total = _read(store, project, version)
    progress.finish(f"{total:,} rows")
    if not train:
        raise InputError("studio.this_version_has_no_rows_to_learn_from", version=version)
    labelling = _names_labels(project.task) and all(row.output is None or isinstance(row.output, str) for row in train)
    meaning = _Remembered(progress)
    told: dict[str, Any] = {}
    answers = None
    for rows in _stages(train) if labelling else []:
        # Of many rows, a part gives an answer within seconds; then all of them do.
        answers, vectors = _answered(rows, test, meaning, progress)
        labels = [row.output for row in rows]
        facts = {"version": version, "rows": total, "looked_at": len(rows), "unlabelled": sum(row.output is None for row in train)}
        by = "meaning" if meaning.embed is not None else "words"
        told = {**facts, "by": by, "why_not": why_no_answer(labels), "answer": None}
        if answers is not None:
            told["answer"] = measure(answers, [row.text for row in rows])
        if rows is train:
            _save(folder, train, answers, _order(train, vectors, answers))
        told["seconds"] = round(time.monotonic() - started, 1)
        write(folder / ANSWER, _json(told))
    if not labelling:
        unlabelled = sum(row.output is None for row in train)
        facts = {"version": version, "rows": total, "looked_at": len(train), "unlabelled": unlabelled}
        told = {**facts, "by": None, "why_not": "other_task", "answer": None, "seconds": None}
        write(folder / ANSWER, _json(told))
    write(folder / FINDINGS, _json(_findings(project, train, test, meaning, progress)))
    return told


def _stages(rows: list[DataRow]) -> list[list[DataRow]]:
    """The rows that are answered one after another: of many, a part first."""
    if len(rows) < 2 * FIRST_ROWS:
        return [rows]
    return [_evenly(rows, FIRST_ROWS), rows]


def _answered(
    rows: Sequence[DataRow], test: Sequence[DataRow], meaning: _Remembered, progress: RunProgress
) -> tuple[QuickAnswers | None, Floats]:
    """The quick model's answers, None where nothing can be learnt; and the vectors of the texts."""
    texts = [row.text for row in rows]
    labels = [row.output for row in rows]
    labelled = _evenly([row for row in test if isinstance(row.output, str)], MOST_TESTS)
    vectors = meaning.vectors([*texts, *(row.text for row in labelled)])  # together: words are counted in both
    if why_no_answer(labels):
        return None, vectors[: len(texts)]
    progress.start("answer each row")
    tests = LabelledTests([row.text for row in labelled], [row.output for row in labelled], vectors[len(texts) :])
    vectors = vectors[: len(texts)]
    answers = answer_quickly(texts, labels, vectors, tests)
    progress.finish()
    return answers, vectors


def _read(store: StudioStore, project: Project, version: int) -> tuple[list[DataRow], list[DataRow], int]:
    """The rows to learn from and those to test with, and how many there are of both."""
    rows: dict[str, list[DataRow]] = {"train": [], "test": []}
    for row in store.rows(project.id).each(version):
        rows[row.part].append(row)
    total = len(rows["train"]) + len(rows["test"])
    return _evenly(rows["train"], MOST_ROWS), _evenly(rows["test"], MOST_ROWS), total


def _evenly(rows: list[DataRow], most: int) -> list[DataRow]:
    """The rows; of more than `most`, an even part."""
    return rows if len(rows) <= most else [rows[place * len(rows) // most] for place in range(most)]


def _names_labels(task: str) -> bool:
    part: Task = registry.find("tasks", task)
    return part.rows_name_labels


class _Remembered:
    """Vectors of texts, each computed once. Without a base, those of a project's texts come from their words."""

    def __init__(self, progress: RunProgress) -> None:
        self._progress = progress
        self._known: dict[str, Floats] = {}
        try:
            self.embed = embedder()
        except MissingExtra:
            self.embed = None

    def vectors(self, texts: Sequence[Text]) -> Floats:
        """The vector of each text, (n, width)."""
        if self.embed is None:
            return word_vectors([joined(text) for text in texts])
        return self.remembered(self.embed)(texts)

    def remembered(self, embed: Callable[[Sequence[Text]], Floats]) -> Callable[[Sequence[Text]], Floats]:
        """The function, which computes only what is new."""

        def vectors(texts: Sequence[Text]) -> Floats:
            whole = [joined(text) for text in texts]
            new = [text for text in dict.fromkeys(whole) if text not in self._known]
            if len(new) > _BATCH:
                self._progress.start("read the texts", len(new))
            for start in range(0, len(new), _BATCH):
                batch = new[start : start + _BATCH]
                self._known.update(zip(batch, embed(batch), strict=True))
                if len(new) > _BATCH:
                    self._progress.advance(len(batch))
            if len(new) > _BATCH:
                self._progress.finish()
            return np.stack([self._known[text] for text in whole])

        return vectors


def _order(rows: Sequence[DataRow], vectors: Floats, answers: QuickAnswers | None) -> list[int]:
    """Keys of the rows without an answer, the one that teaches most first: unlike the known rows and each other, and doubtful."""
    places = np.array([place for place, row in enumerate(rows) if row.output is None], dtype=np.int64)
    if not len(places):
        return []
    known = np.array([place for place, row in enumerate(rows) if row.output is not None], dtype=np.int64)
    doubt = None
    if answers is not None and answers.chances.shape[1] > 1:
        doubt = 1.0 - (answers.chances[places, 0] - answers.chances[places, 1])
    chosen = select_covering(
        vectors[places], min(MOST_QUEUED, len(places) - 1), np.random.default_rng(0), doubt, vectors[known] if len(known) else None
    ) if len(places) > 1 else []  # fmt: skip
    rest = np.setdiff1d(np.arange(len(places)), chosen)
    rest = rest[np.argsort(-doubt[rest], kind="stable")] if doubt is not None else rest
    return [rows[place].key for place in places[[*chosen, *rest.tolist()]].tolist()]


def _save(folder: Path, rows: Sequence[DataRow], answers: QuickAnswers | None, order: Sequence[int]) -> None:
    from safetensors.numpy import save

    number = len(rows)
    tensors: dict[str, NDArray[Any]] = {
        "keys": np.array([row.key for row in rows], dtype=np.int64),
        "best": np.ascontiguousarray(answers.best) if answers is not None else np.zeros((number, 0), np.int64),
        "chances": np.ascontiguousarray(answers.chances) if answers is not None else np.zeros((number, 0), np.float32),
        "order": np.array(order, dtype=np.int64),
    }
    write(folder / ROWS, save(tensors, {"names": json.dumps(answers.names if answers is not None else ())}))


def _findings(
    project: Project,
    train: Sequence[DataRow],
    test: Sequence[DataRow],
    meaning: _Remembered,
    progress: RunProgress,
) -> list[dict[str, Any]]:
    """The check's findings, rows by their keys."""
    part: Task = registry.find("tasks", project.task)
    asked = make({"task": project.task}, []).asked
    places = [place for place, row in enumerate(train) if row.output is not None]
    rows = [Row(train[place].text, train[place].output, train[place].key) for place in places]
    if not rows:
        return []
    try:
        labels = learnable_rows(part, rows, asked).form.labelling
    except DataError:  # rows that cannot teach the task: the findings say why
        labels = None
    unknown = frozenset([labels.unknown]) if labels is not None and labels.unknown is not None else frozenset[str]()
    embed = meaning.remembered(meaning.embed) if meaning.embed is not None else None
    tests = [Row(row.text, row.output, row.key) for row in test]
    survey = Survey(rows, (), tests, embed, unknown, progress, labels is not None or part.rows_name_labels, MOST_LISTED)
    progress.start("check the rows")
    found = inspect(survey)
    progress.finish()
    return [finding.json() for finding in found.findings]


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8")


part = QuickRun(run_look)
