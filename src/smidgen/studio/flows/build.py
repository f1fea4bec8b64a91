"""The run `build`: a model from a version of a project's data."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from smidgen.core.errors import InputError, RecipeError
from smidgen.data.tables import DataTable, table_in_memory
from smidgen.flows.build.pipeline import build
from smidgen.flows.build.work import GivenTables
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe, make
from smidgen.studio.flows.file_recipes import recipe_of_files
from smidgen.studio.flows.models.built_models import write_answers
from smidgen.studio.flows.models.model_report import report_summary
from smidgen.studio.flows.recipes.project_recipe import laid_over, model_name, project_folder, recipe_tree, stray_files
from smidgen.studio.flows.run_process import RunProgress, run_folder
from smidgen.studio.store.data_rows import DataRow, Part, RowFilter
from smidgen.studio.store.projects import Project, StudioStore
from smidgen.studio.store.runs import Run

_SCRATCH = ".build"
_INPUT, _SECOND, _OUTPUT = "input", "second", "output"


def run_build(store: StudioStore, run: Run, progress: RunProgress) -> Mapping[str, Any]:
    """Build a bundle in the run's folder. What `request` may hold: `version` of the data, `recipe` (settings that go over the
    project's own recipe).

    A run that was stopped goes on from the last finished step, since the intermediate results lie in the run's folder.
    """
    project = store.project(run.project)
    if registry.find("tasks", project.task).files is not None:
        return _build_files(project, run, progress)
    version = int(run.request.get("version") or project.version)
    folder = run_folder(run.id)
    given = tables_of(store, project, version)
    scratch = folder / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    asked = run.request.get("recipe") or {}
    taught = "teacher" in laid_over(recipe_tree(project), asked).get("data", {})
    recipe = recipe_of(project, asked, given, _unlabelled(store, project, version, folder / "unlabelled.jsonl") if taught else None)
    made = build(recipe, folder / "model", given=given, progress=progress, listed=False, scratch=scratch)
    shutil.rmtree(scratch, ignore_errors=True)
    write_answers(run.id, made.answers, _keys(store, project, version, "train" if given.test is None else "test"))
    return {"model": str(made.folder), "version": version, "seconds": made.seconds, "report": report_summary(made.report)}


def _build_files(project: Project, run: Run, progress: RunProgress) -> Mapping[str, Any]:
    """Build the bundle of a project that consists of files. Intermediate results stay in its folder: a member whose files have not changed
    is not built again."""
    recipe = recipe_of_files(project, run.request.get("recipe") or {}, progress.say)
    scratch = project_folder(project.id) / _SCRATCH
    scratch.mkdir(parents=True, exist_ok=True)
    made = build(recipe, run_folder(run.id) / "model", progress=progress, listed=False, scratch=scratch)
    write_answers(run.id, made.answers, ())
    return {"model": str(made.folder), "version": 0, "seconds": made.seconds, "report": report_summary(made.report)}


def tables_of(store: StudioStore, project: Project, version: int) -> GivenTables:
    """The labelled rows of a version as tables. Raises InputError where no row has an answer."""
    train = _table(store, project, version, "train")
    if train is None:
        raise InputError("studio.no_row_of_this_version_has_answer", version=version)
    return GivenTables(train, _table(store, project, version, "test"))


def recipe_of(project: Project, settings: Mapping[str, Any], given: GivenTables, unlabelled: Path | None = None) -> Recipe:
    """The recipe of a build: the project's own with these settings over it, for the project's task and these tables."""
    data = {"train": given.train.name, "input": ",".join(given.train.input.names), "label": _OUTPUT}
    if given.test is not None:
        data["test"] = given.test.name
    tree = laid_over({"name": model_name(project), **recipe_tree(project)}, settings)
    own = {name: value for name, value in tree.get("data", {}).items() if name not in ("train", "test", "unlabelled")}
    source = f"the project {project.name}"
    strays = stray_files(make({**tree, "task": project.task, "data": own}, [], folder=project_folder(project.id), source=source))
    if strays:
        raise RecipeError("studio.recipe_names_files_outside_this_project", value=source, mistakes=strays)
    if unlabelled is not None:
        data["unlabelled"] = str(unlabelled)
    tree |= {"task": project.task, "data": {**own, **data}}
    return make(tree, [], folder=project_folder(project.id), source=source)


def _unlabelled(store: StudioStore, project: Project, version: int, file: Path) -> Path | None:
    """A file of the rows without an answer, for a teacher to label; None where there are none."""
    rows = [row for row in store.rows(project.id).each(version, RowFilter(part="train")) if row.output is None]
    if not rows:
        return None
    pairs = any(row.second is not None for row in rows)
    lines = (json.dumps(_record(row, pairs), ensure_ascii=False) for row in rows)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    return file.resolve()


def _labelled(store: StudioStore, project: Project, version: int, part: Part) -> Iterator[DataRow]:
    return (row for row in store.rows(project.id).each(version, RowFilter(part=part)) if row.output is not None)


def _keys(store: StudioStore, project: Project, version: int, part: Part) -> list[int]:
    """The keys of a table's rows, in their order."""
    return [row.key for row in _labelled(store, project, version, part)]


def _table(store: StudioStore, project: Project, version: int, part: Part) -> DataTable | None:
    rows = list(_labelled(store, project, version, part))
    if not rows:
        return None
    pairs = any(row.second is not None for row in rows)
    names = (_INPUT, _SECOND) if pairs else (_INPUT,)
    return table_in_memory(f"{part} rows, version {version}", [_record(row, pairs) for row in rows], names, _OUTPUT)


def _record(row: DataRow, pairs: bool) -> dict[str, Any]:
    record = {_INPUT: row.input, _OUTPUT: row.output}
    return {**record, _SECOND: row.second or ""} if pairs else record


part = run_build
