"""The Studio's plans: made, filled with tables and settings, solved, changed by sentences, deleted."""

from __future__ import annotations

import json
import re
import secrets
import shutil
import threading
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smidgen.core.errors import InputError, RequestError
from smidgen.core.printable import HALVES
from smidgen.parts import registry
from smidgen.parts.recipe import laid_over, written
from smidgen.plans.flows.problem import PLAN, MadeChange, OpenProblem, ProposedChange, made_changes, outputs, read_plan
from smidgen.plans.flows.sample_plans import sample_plan
from smidgen.plans.solver_recipe import ROOM, solver_recipe_from
from smidgen.plans.solving import Solver
from smidgen.store import files

MAX_TABLE_BYTES = 64 << 20
MAX_SECONDS = 120.0
MAX_PLANS = 1_000
_RECIPE, _TABLES, _RESULT = "recipe.toml", "tables", "result"
_ID = re.compile(r"[0-9a-f]{12}")
_UNSAFE = re.compile(r"[^\w.\-]+")
_SOLVING = threading.Lock()
"""One plan is solved at a time: a search takes a whole core."""


@dataclass(frozen=True, slots=True)
class PlanTable:
    """A table that a plan may have.

    Attributes:
        setting: the setting that names it.
        help: what it holds.
        needed: whether there is no plan without it.
        file: its file's name; empty if none was sent.
    """

    setting: str
    help: str
    needed: bool
    file: str


@dataclass(frozen=True, slots=True)
class StudioPlan:
    """A plan.

    Attributes:
        id: of its folder.
        name: its name for people.
        solver: the part that solves it.
        settings: those that were given, without tables.
        solve: those of the search, and of the models.
        tables: those that it may have, in the order of the settings.
        changed: when it was changed last, in seconds since 1970.
        solved: what `plan.json` says of the last solution; None before the first.
    """

    id: str
    name: str
    solver: Solver
    settings: Mapping[str, Any]
    solve: Mapping[str, Any]
    tables: Sequence[PlanTable]
    changed: float
    solved: Mapping[str, Any] | None


def plans_folder() -> Path:
    """The folder of all plans; created if missing."""
    folder = files.home() / "studio" / "plans"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def all_plans() -> list[StudioPlan]:
    """Every plan, the last changed first."""
    found = [studio_plan(folder.name) for folder in plans_folder().iterdir() if (folder / _RECIPE).is_file()]
    return sorted(found, key=lambda plan: -plan.changed)


def create_plan(solver: str, name: str, sample: bool) -> StudioPlan:
    """A new plan; with `sample`, filled with the solver's own sample. Raises UnknownPart for a solver that does not exist."""
    part: Solver = registry.find(ROOM, solver)
    folder = plans_folder()
    if sum(1 for _ in folder.iterdir()) >= MAX_PLANS:
        raise InputError("plans.there_are_too_many_plans", value=f"{MAX_PLANS:,}")
    tree: dict[str, Any] = {"name": name, "solver": part.name, part.name: {}}
    given = sample_plan(part.name) if sample else None
    place = folder / secrets.token_hex(6)
    (place / _TABLES).mkdir(parents=True)
    if given is not None:
        tree[part.name], tree["solve"] = dict(given.settings), dict(given.solve)
        for setting, (file, content) in given.tables.items():
            files.write(place / _TABLES / file, content)
            tree[part.name][setting] = f"{_TABLES}/{file}"
    _write_recipe(place, tree)
    return studio_plan(place.name)


def studio_plan(id: str) -> StudioPlan:
    """One plan. Raises RequestError if there is none with this id."""
    folder = _folder(id)
    tree = _read_recipe(folder)
    solver: Solver = registry.find(ROOM, tree["solver"])
    own = tree.get(solver.name, {})
    tables = [
        PlanTable(name, field.description or "", field.is_required(), Path(own[name]).name if own.get(name) else "")
        for name, field in solver.table_settings().items()
    ]
    settings = {name: value for name, value in own.items() if name not in {table.setting for table in tables}}
    result = folder / _RESULT / PLAN
    solved = read_plan(result) if result.is_file() else None
    newest = max(file.stat().st_mtime for file in (folder / _RECIPE, folder / _TABLES, result) if file.exists())
    return StudioPlan(id, tree["name"], solver, settings, tree.get("solve", {}), tables, newest, solved)


def delete_plan(id: str) -> None:
    """Delete a plan with its tables and its solution."""
    shutil.rmtree(_folder(id))


def set_table(id: str, setting: str, file: Path | None, name: str = "") -> StudioPlan:
    """Take a file as one of the plan's tables, in place of the one before; None takes the table away.

    Raises InputError for a setting that is no table, DataError for a file that cannot be read as one.
    """
    folder, tree = _folder(id), _read_recipe(_folder(id))
    solver: Solver = registry.find(ROOM, tree["solver"])
    if setting not in solver.table_settings():
        raise InputError("plans.plan_has_no_such_table", value=setting, known=", ".join(solver.table_settings()))
    own = tree.setdefault(solver.name, {})
    old = own.pop(setting, None)
    if file is not None:
        from smidgen.data.tables import open_columns

        open_columns(file)
        kept = f"{setting}-{_UNSAFE.sub('_', Path(name or file.name).name)[-80:]}"
        shutil.copyfile(file, folder / _TABLES / kept)
        own[setting] = f"{_TABLES}/{kept}"
    if old and old != own.get(setting):
        (folder / old).unlink(missing_ok=True)
    _write_recipe(folder, tree)
    return studio_plan(id)


def set_settings(id: str, settings: Mapping[str, Any], solve: Mapping[str, Any]) -> StudioPlan:
    """Replace a plan's settings; its tables stay. Raises RecipeError with every mistake."""
    folder, tree = _folder(id), _read_recipe(_folder(id))
    solver: Solver = registry.find(ROOM, tree["solver"])
    tables = solver.table_settings()
    kept = {name: value for name, value in tree.get(solver.name, {}).items() if name in tables}
    tree[solver.name] = {**{name: value for name, value in settings.items() if name not in tables and value is not None}, **kept}
    tree["solve"] = {name: value for name, value in solve.items() if value is not None}
    if float(tree["solve"].get("seconds", 0) or 0) > MAX_SECONDS:
        raise InputError("plans.search_is_too_long", value=tree["solve"]["seconds"], most_seconds=f"{MAX_SECONDS:.0f}")
    missing = {name: "missing" for name, field in tables.items() if name not in kept and field.is_required()}
    solver_recipe_from({**tree, solver.name: {**tree[solver.name], **missing}}, (), folder, "the settings")
    _write_recipe(folder, tree)
    _store_reader(folder / _RESULT / PLAN, tree["solve"].get("changes"))
    return studio_plan(id)


def _store_reader(file: Path, reader: str | None) -> None:
    """Write the model that reads sentences into the solved plan, too, since desks open that one. Its solution stays."""
    if file.is_file():
        plan = read_plan(file)
        plan["solve"] = {name: value for name, value in {**plan["solve"], "changes": reader}.items() if value is not None}
        files.write(file, (json.dumps(plan, ensure_ascii=False, indent=2) + "\n").encode("utf-8"))


def solve_plan(id: str, keep_changes: bool = True) -> StudioPlan:
    """Solve a plan with the changes made so far, or without them. Raises RequestError if another is being solved."""
    return _solve_and_store(id, _open_problem(id, keep_changes))


def propose_change(id: str, given: str | Mapping[str, Any]) -> ProposedChange:
    """The change that a sentence asks for, or one given as it is; nothing is changed yet. Raises InputError if there is none that fits."""
    return _open_problem(id).proposed(given)


def make_change(id: str, change: Mapping[str, Any], sentence: str) -> StudioPlan:
    """Make a change that a person confirmed, and solve the plan again from the last solution."""
    problem = _open_problem(id)
    proposed = problem.proposed(change)
    problem.make(ProposedChange(proposed.change, proposed.words, sentence, proposed.score))
    return _solve_and_store(id, problem)


def result_file(id: str, name: str) -> Path:
    """A file of the last solution. Raises RequestError if it has none of this name."""
    plan = studio_plan(id)
    if plan.solved is None or name not in plan.solved.get("files", ()) or Path(name).name != name:
        raise RequestError("plans.plan_has_no_such_file", value=name, status=404)
    return _folder(id) / _RESULT / name


def result_folder(id: str) -> Path:
    """The folder of a plan's last solution, as `smidgen solve` writes one. Raises RequestError if it was not solved."""
    folder = _folder(id) / _RESULT
    if not (folder / PLAN).is_file():
        raise RequestError("plans.plan_was_not_made_yet", value=studio_plan(id).name, status=409)
    return folder


def _open_problem(id: str, keep_changes: bool = True) -> OpenProblem:
    folder = _folder(id)
    recipe = solver_recipe_from(_read_recipe(folder), (), folder, "the settings")
    solved = studio_plan(id).solved
    made: tuple[MadeChange, ...] = made_changes(solved) if solved is not None and keep_changes else ()
    return OpenProblem(recipe, made, solved["result"] if solved is not None else None)


def _solve_and_store(id: str, problem: OpenProblem) -> StudioPlan:
    if not _SOLVING.acquire(blocking=False):
        raise RequestError("plans.another_plan_is_being_solved", value=id, status=409, code="busy")
    try:
        made = outputs(problem.solve())
    finally:
        _SOLVING.release()
    folder = _folder(id) / _RESULT
    fresh = folder.with_name(f"{_RESULT}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    for name, content in made.items():
        files.write(fresh / name, content)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    return studio_plan(id)


def _folder(id: str) -> Path:
    folder = plans_folder() / id
    if not _ID.fullmatch(id) or not (folder / _RECIPE).is_file():
        raise RequestError("plans.there_is_no_such_plan", value=id, status=404, code="no_plan")
    return folder


def _read_recipe(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / _RECIPE).read_text(encoding="utf-8"))


def _write_recipe(folder: Path, tree: Mapping[str, Any]) -> None:
    text = written(laid_over(tree, ()))
    if HALVES.search(text):
        raise InputError("plans.text_has_invalid_character", value=tree["name"])
    files.write(folder / _RECIPE, text.encode("utf-8"))


def settings_schema(solver: Solver) -> dict[str, Any]:
    """The JSON Schema of a solver's settings, without its tables."""
    schema, tables = solver.settings.model_json_schema(), solver.table_settings()
    schema["properties"] = {name: node for name, node in schema.get("properties", {}).items() if name not in tables}
    schema["required"] = [name for name in schema.get("required", []) if name not in tables]
    return schema
