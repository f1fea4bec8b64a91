"""The run `learn`: build the next version of a project's line on all that is known now, and let it serve if it is better."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from smidgen.core.errors import InputError
from smidgen.flows.learn.cycle import learn
from smidgen.flows.learn.settings import LearnSettings
from smidgen.store import files
from smidgen.store.line import is_line
from smidgen.store.traffic.tables import use_store
from smidgen.studio.flows.models.built_models import model_folder, models_of
from smidgen.studio.flows.run_process import RunProgress, run_folder
from smidgen.studio.flows.serving.servers import line_folder, served_name, traffic_url
from smidgen.studio.store.data_rows import DataRow
from smidgen.studio.store.projects import StudioStore
from smidgen.studio.store.runs import Run, RunStore

_INPUT, _SECOND, _OUTPUT = "input", "second", "output"


class LearnRequest(BaseModel):
    """The request of a run `learn`. `model`: the build that a new line begins with; empty for the newest."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(default="", max_length=50)
    uncertified: bool = Field(default=False, description="Whether a better version may serve although it could not be certified.")


def run_learn(store: StudioStore, run: Run, progress: RunProgress) -> Mapping[str, Any]:
    """Learn once. A new line begins with a build of the project; its rows, and those that came since, are given to the line."""
    try:
        asked = LearnRequest(**run.request)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError("studio.setting_cannot_be_used", value=first["input"], setting=first["loc"][0], reason=first["msg"]) from None
    use_store(traffic_url(run.project))
    folder, scratch = line_folder(run.project), run_folder(run.id)
    begun = folder.with_suffix(".json")  # beside the line: it takes only files of its own
    for place in (folder.parent, scratch):
        place.mkdir(parents=True, exist_ok=True)
    given: dict[str, Any] = {"uncertified": "promote" if asked.uncertified else "keep"}
    if not is_line(folder):
        model = asked.model or next((one.id for one in models_of(store, run.project)), "")
        if not model:
            raise InputError("studio.there_is_no_model_to_begin_with")
        bundle = model_folder(store, run.project, model)
        files.write(begun, json.dumps({"model": model}).encode("ascii"))
        given |= {"start": bundle, "name": served_name(bundle)}
    else:
        model = str(json.loads(begun.read_text(encoding="utf-8"))["model"])
    data, names = _files(store, run.project, model, scratch)
    given |= {"data": tuple(data), "input": names, "label": _OUTPUT}
    return learn(folder, LearnSettings(**given), progress).json()


def _files(store: StudioStore, project: str, model: str, scratch: Path) -> tuple[list[Path], str]:
    """The rows that the line's first version learnt from, exactly, and all that are there now and were not among them, as files."""
    rows = store.rows(project)
    built = int((RunStore(store.database).get(model).result or {})["version"])
    old = [row for row in rows.each(built) if row.output is not None]
    first = [row for row in old if row.part == "train"]
    known = {_key(row) for row in first}
    new = [row for row in rows.each() if row.output is not None and _key(row) not in known]
    pairs = any(row.second is not None for row in first)
    parts = {"first": first, "later": new}
    found = [_write(scratch / f"{name}.jsonl", part, pairs) for name, part in parts.items() if part]
    return found, f"{_INPUT},{_SECOND}" if pairs else _INPUT


def _key(row: DataRow) -> str:
    return json.dumps([row.input, row.second, row.output], ensure_ascii=False, sort_keys=True)


def _write(file: Path, rows: Iterable[DataRow], pairs: bool) -> Path:
    records = ({_INPUT: row.input, **({_SECOND: row.second or ""} if pairs else {}), _OUTPUT: row.output} for row in rows)
    files.write(file, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode("utf-8"), 0o600)
    return file


part = run_learn
