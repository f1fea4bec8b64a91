"""The run `answer-file`: a file of texts, or a pasted list, answered by a model. Its answers are kept for a day."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from smidgen.core.errors import InputError
from smidgen.core.forms import Form
from smidgen.core.replies import Reply
from smidgen.flows.answer_files import AnswerFile, JsonRecords, answer_file_for
from smidgen.flows.local_model import load
from smidgen.flows.prediction import predict
from smidgen.machine.processor import threads as thread_count
from smidgen.store.files import home, write
from smidgen.studio.flows.data.imports import remembered_columns
from smidgen.studio.flows.data.upload_reader import read_upload
from smidgen.studio.flows.data.uploads import KEEP_SECONDS, forget_upload, uploaded
from smidgen.studio.flows.models.built_models import model_folder
from smidgen.studio.flows.models.project_point import project_point
from smidgen.studio.flows.run_process import QuickRun, RunProgress, run_folder
from smidgen.studio.store.projects import Project, StudioStore
from smidgen.studio.store.runs import Run, RunStore

KIND = "answer-file"
FORMATS = ("csv", "jsonl", "xlsx")
_MOST_COUNTED, _LONGEST_COUNTED = 20, 80
_ANSWERS = "answers"
_RECORDS, _SOURCE, _REPLIES = "records.jsonl", "source.json", "replies.jsonl"


def run_answer_file(store: StudioStore, run: Run, progress: RunProgress) -> Mapping[str, Any]:
    """Answer an uploaded file. `request`: `model`, `upload`, and `input`, the columns of the text (guessed if it is left out).

    The upload is removed as soon as it is read, and its rows as soon as they are answered. A run that was stopped goes on where it was.
    """
    forget_old_answers()
    project, folder = store.project(run.project), run_folder(run.id)
    folder.mkdir(parents=True, exist_ok=True)
    bundle = model_folder(store, project.id, str(run.request.get("model")))
    source = _read(store, project, run, folder, progress)
    model = load(bundle, max(1, thread_count() // 2))
    try:
        predict(model, str(folder / _RECORDS), str(folder / _REPLIES), input=",".join(source["input"]), progress=progress)
        answer_column, form = model.columns[1], model.form
    finally:
        model.close()
    point = project_point(store, project, str(run.request["model"]))
    progress.start("write the files", source["rows"])
    counts = _write_files(folder, source, (answer_column, form), None if point is None else point.threshold, progress)
    for name in (_RECORDS, _SOURCE, _REPLIES):
        (folder / name).unlink(missing_ok=True)
    progress.finish(f"{source['rows']:,} rows")
    return {"name": source["name"], "rows": source["rows"], **counts}


def _read(store: StudioStore, project: Project, run: Run, folder: Path, progress: RunProgress) -> dict[str, Any]:
    """The facts of the file; its records lie in the run's folder."""
    kept = folder / _SOURCE
    if not kept.is_file():
        progress.start("read the file")
        file = uploaded(str(run.request.get("upload")))
        settings, before = {"input": run.request.get("input") or []}, remembered_columns(store.rows(project.id))
        told = read_upload("records", file, project.task, settings, folder / _RECORDS, remembered=before)
        write(kept, json.dumps({**told, "name": file.name}).encode("utf-8"))
        forget_upload(file)
        progress.finish(f"{told['rows']:,} rows")
    found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
    return found


def _write_files(
    folder: Path, source: Mapping[str, Any], answer: tuple[str | None, Form], threshold: float | None, progress: RunProgress
) -> dict[str, Any]:
    """Write the answers beside the file's own columns, in each format; returns what is counted on the way. `answer`: column and form."""
    columns, facts = source["columns"], source["facts"]
    # Excel takes a CSV without a byte order mark for the machine's old encoding.
    table = {"delimiter": facts.get("delimiter", ","), "encoding": "utf-8-sig"}
    in_table, in_lines = answer_file_for("answers.csv", columns, table, *answer), JsonRecords(columns, errors=True)
    kinds: dict[str, AnswerFile] = {"csv": in_table, "jsonl": in_lines}
    if facts["format"] == "xlsx":
        kinds["xlsx"] = answer_file_for("answers.xlsx", columns, {}, *answer)
    streams = {name: (folder / f"{_ANSWERS}.{name}").open("wb") for name in kinds}
    answered = passed = failed = 0
    outputs: Counter[str] = Counter()
    try:
        for name, kind in kinds.items():
            streams[name].write(kind.head)
        for number, record, found in _answered(folder, source["faults"]):
            for name, kind in kinds.items():
                streams[name].write(kind.row(number, record, found))
            if isinstance(found, str):
                failed += 1
            else:
                sure = threshold is None or (found.output is not None and found.score >= threshold)
                answered, passed = answered + sure, passed + (not sure)
                outputs[_counted(found.output)] += 1
            progress.advance(1)
    finally:
        for stream in streams.values():
            stream.close()
    for name, kind in kinds.items():
        kind.finish(folder / f"{_ANSWERS}.{name}")
    few = outputs.most_common(_MOST_COUNTED) if len(outputs) <= max(_MOST_COUNTED, (answered + passed) // 2) else []
    return {"answered": answered, "passed": passed, "failed": failed, "formats": list(kinds), "outputs": few, "threshold": threshold}


def _counted(output: Any) -> str:
    text = output if isinstance(output, str) else json.dumps(output, ensure_ascii=False)
    return text[:_LONGEST_COUNTED]


def _answered(folder: Path, faults: Mapping[str, str]) -> Iterator[tuple[int, dict[str, Any], Reply | str]]:
    """Each row with its number, its record, and its answer or the reason why it has none."""
    with (folder / _RECORDS).open(encoding="utf-8") as records, (folder / _REPLIES).open(encoding="utf-8") as replies:
        for number, (record, line) in enumerate(zip(records, replies, strict=True), start=1):
            told = json.loads(line)
            if "error" in told:
                yield number, json.loads(record), faults.get(str(number), told["error"])
                continue
            others = tuple((other["output"], other["score"]) for other in told["alternatives"])
            yield number, json.loads(record), Reply(told["output"], told["score"], others, told.get("facts", {}))


def answers_of(store: StudioStore, project: str, id: str, kind: str) -> Path:
    """The file of a run's answers. Raises InputError where there is none any more."""
    run = RunStore(store.database).get(id)
    file = run_folder(id) / f"{_ANSWERS}.{kind}"
    if run.project != project or run.kind != KIND or kind not in FORMATS or not file.is_file() or _is_old(file):
        raise InputError("studio.there_are_no_such_answers", value=f"{id}, {kind}")
    return file


def first_answers(store: StudioStore, project: str, id: str, most: int) -> list[dict[str, Any]]:
    """The first rows with their answers."""
    with answers_of(store, project, id, "jsonl").open(encoding="utf-8") as stream:
        return [json.loads(line) for line in islice(stream, most)]


def forget_answers(store: StudioStore, project: str, id: str) -> None:
    """Remove the answers of a run from this machine. Raises InputError as `answers_of` does."""
    answers_of(store, project, id, "jsonl")
    for file in run_folder(id).glob(f"{_ANSWERS}.*"):
        file.unlink(missing_ok=True)


def forget_old_answers() -> None:
    """Remove answers that are older than a day."""
    for file in (home() / "studio" / "runs").glob(f"*/{_ANSWERS}.*"):
        if _is_old(file):
            file.unlink(missing_ok=True)


def _is_old(file: Path) -> bool:
    return file.stat().st_mtime < time.time() - KEEP_SECONDS


part = QuickRun(run_answer_file)
