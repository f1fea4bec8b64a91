"""The models of a project: the bundles that its finished builds made, and the answers that each gave to the test rows of its build.

A model is named by its build's run.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from smidgen.core.errors import InputError
from smidgen.flows.build.work import AnsweredRow
from smidgen.store.files import write
from smidgen.studio.flows.run_process import run_folder
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.runs import Run, RunStore

BUILD = "build"
"""The kind of run that makes a model."""


def models_of(store: StudioStore, project: str) -> Sequence[Run]:
    """The builds that made a model, the newest first."""
    return [run for run in RunStore(store.database).of_project(project) if run.kind == BUILD and run.state == "done"]


def model_folder(store: StudioStore, project: str, model: str) -> Path:
    """The bundle's folder. Raises InputError if the project has no such model."""
    run = RunStore(store.database).get(model)
    if run.project != project or run.kind != BUILD or run.state != "done":
        raise InputError("studio.project_has_no_such_model", value=model)
    return run_folder(model) / "model"


FILE = "answers.jsonl"


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """A test row with the model's answer.

    Attributes:
        key: the row's key in the project's data; 0 where it has none.
        wanted: the answer in the data at the time of the build.
        grade: 1 for right, 0 for wrong; between them for a graded task.
        labels: the wanted and the answered label, if each text gets one.
    """

    key: int
    input: str
    second: str | None
    wanted: Any
    answer: Any
    score: float
    grade: float
    labels: tuple[str, str] | None = None


def write_answers(model: str, answers: Iterable[AnsweredRow], keys: Sequence[int]) -> None:
    """Store the answers of a model. `keys`: of the rows of the table that the test rows are from, in their order."""
    lines = []
    for answered in answers:
        text, place = answered.row.input, answered.row.number
        first, second = (text, None) if isinstance(text, str) else text
        key = keys[place - 1] if 0 < place <= len(keys) else 0
        found = ModelAnswer(
            key, first, second, answered.row.output, answered.reply.output, float(answered.reply.score), answered.grade, answered.labels
        )
        lines.append(json.dumps(asdict(found), ensure_ascii=False) + "\n")
    write(run_folder(model) / FILE, "".join(lines).encode())


def read_answers(model: str) -> Sequence[ModelAnswer]:
    """The answers of a model; none for a model that was built before they were stored."""
    file = run_folder(model) / FILE
    return _read(file, file.stat().st_mtime_ns) if file.is_file() else ()


@functools.lru_cache(maxsize=4)
def _read(file: Path, changed: int) -> tuple[ModelAnswer, ...]:
    found = []
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            fields = json.loads(line)
            labels = fields.pop("labels")
            found.append(ModelAnswer(**fields, labels=None if labels is None else (labels[0], labels[1])))
    return tuple(found)
