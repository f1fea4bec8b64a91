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
from smidgen.core.settings import Settings, is_file, settings_of
from smidgen.parts import registry
from smidgen.parts.recipe import laid_over, written
from smidgen.plans.flows.problem import PLAN, MadeChange, OpenProblem, ProposedChange, made_changes, outputs, read_plan
from smidgen.plans.flows.sample_plans import sample_plan
from smidgen.plans.solver_recipe import ROOM, solver_recipe_from
from smidgen.plans.solving import Solver
from smidgen.store import files

MOST_TABLE_BYTES = 64 << 20
MOST_SECONDS = 120.0
_MOST_PLANS = 1_000
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
    if sum(1 for _ in folder.iterdir()) >= _MOST_PLANS:
        raise InputError("plans.there_are_too_many_plans", value=f"{_MOST_PLANS:,}")
    tree: dict[str, Any] = {"name": name, "solver": part.name, part.name: {}}
    given = sample_plan(part.name) if sample else None
    place = folder / secrets.token_hex(6)
    (place / _TABLES).mkdir(parents=True)
    if given is not None:
        tree[part.name], tree["solve"] = dict(given.settings), dict(given.solve)
        for setting, (file, content) in given.tables.items():
            files.write(place / _TABLES / file, content)
            tree[part.name][setting] = f"{_TABLES}/{file}"
    _store(place, tree)
    return studio_plan(place.name)


def studio_plan(id: str) -> StudioPlan:
    """One plan. Raises RequestError if there is none with this id."""
    folder = _folder(id)
    tree = _tree(folder)
    solver: Solver = registry.find(ROOM, tree["solver"])
    own = tree.get(solver.name, {})
    tables = [
        PlanTable(name, field.description or "", field.is_required(), Path(own[name]).name if own.get(name) else "")
        for name, field in settings_of(solver.settings).items()
        if is_file(field)
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
    folder, tree = _folder(id), _tree(_folder(id))
    solver: Solver = registry.find(ROOM, tree["solver"])
    field = settings_of(solver.settings).get(setting)
    if field is None or not is_file(field):
        known = [key for key, value in settings_of(solver.settings).items() if is_file(value)]
        raise InputError("plans.plan_has_no_such_table", value=setting, known=", ".join(known))
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
    _store(folder, tree)
    return studio_plan(id)


def set_settings(id: str, settings: Mapping[str, Any], solve: Mapping[str, Any]) -> StudioPlan:
    """Replace a plan's settings; its tables stay. Raises RecipeError with every mistake."""
    folder, tree = _folder(id), _tree(_folder(id))
    solver: Solver = registry.find(ROOM, tree["solver"])
    named = {name for name, field in settings_of(solver.settings).items() if is_file(field)}
    kept = {name: value for name, value in tree.get(solver.name, {}).items() if name in named}
    tree[solver.name] = {**{name: value for name, value in settings.items() if name not in named and value is not None}, **kept}
    tree["solve"] = {name: value for name, value in solve.items() if value is not None}
    if float(tree["solve"].get("seconds", 0) or 0) > MOST_SECONDS:
        raise InputError("plans.search_is_too_long", value=tree["solve"]["seconds"], most_seconds=f"{MOST_SECONDS:.0f}")
    missing = {name: "missing" for name in named if name not in kept and settings_of(solver.settings)[name].is_required()}
    solver_recipe_from({**tree, solver.name: {**tree[solver.name], **missing}}, (), folder, "the settings")
    _store(folder, tree)
    _tell_reader(folder / _RESULT / PLAN, tree["solve"].get("changes"))
    return studio_plan(id)


def _tell_reader(file: Path, reader: str | None) -> None:
    """Write into a solved plan, which desks ask and change, which model reads its sentences: that changes nothing of the solution."""
    if file.is_file():
        told = read_plan(file)
        told["solve"] = {name: value for name, value in {**told["solve"], "changes": reader}.items() if value is not None}
        files.write(file, (json.dumps(told, ensure_ascii=False, indent=2) + "\n").encode("utf-8"))


def solve_plan(id: str, keep_changes: bool = True) -> StudioPlan:
    """Solve a plan with the changes made so far, or without them. Raises RequestError if another is being solved."""
    problem = _problem(id, keep_changes)
    return _solved(id, problem)


def propose_change(id: str, given: str | Mapping[str, Any]) -> ProposedChange:
    """The change that a sentence asks for, or one given as it is; nothing is changed yet. Raises InputError if there is none that fits."""
    return _problem(id).proposed(given)


def make_change(id: str, change: Mapping[str, Any], sentence: str) -> StudioPlan:
    """Make a change that a person confirmed, and solve the plan again from the last solution."""
    problem = _problem(id)
    proposed = problem.proposed(change)
    problem.make(ProposedChange(proposed.change, proposed.words, sentence, proposed.score))
    return _solved(id, problem)


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


def _problem(id: str, keep_changes: bool = True) -> OpenProblem:
    folder = _folder(id)
    recipe = solver_recipe_from(_tree(folder), (), folder, "the settings")
    solved = studio_plan(id).solved
    made: tuple[MadeChange, ...] = made_changes(solved) if solved is not None and keep_changes else ()
    return OpenProblem(recipe, made, solved["result"] if solved is not None else None)


def _solved(id: str, problem: OpenProblem) -> StudioPlan:
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


def _tree(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / _RECIPE).read_text(encoding="utf-8"))


def _store(folder: Path, tree: Mapping[str, Any]) -> None:
    text = written(laid_over(tree, ()))
    if HALVES.search(text):
        raise InputError("plans.text_holds_nul_or_half_character", value=tree["name"])
    files.write(folder / _RECIPE, text.encode("utf-8"))


def settings_schema(owner: type[Settings], tables: bool = False) -> dict[str, Any]:
    """The JSON Schema of a solver's settings, without its tables."""
    schema = json.loads(json.dumps(owner.model_json_schema()))
    named = {name for name, field in settings_of(owner).items() if is_file(field)}
    if not tables:
        schema["properties"] = {name: node for name, node in schema.get("properties", {}).items() if name not in named}
        schema["required"] = [name for name in schema.get("required", []) if name not in named]
    return dict(schema)
