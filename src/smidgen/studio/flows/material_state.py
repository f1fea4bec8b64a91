"""How far a project of files is: what is there of each kind, what is missing, and what to do next."""

from __future__ import annotations

import csv
import io
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic.dataclasses import dataclass

from smidgen.core.parts import Task
from smidgen.flows.recipe_files import KINDS, MaterialKind, files_kept
from smidgen.parts import registry
from smidgen.studio.flows.material import files_of, material_kinds, material_name, member_trees
from smidgen.studio.flows.models.built_models import models_of
from smidgen.studio.flows.recipes.project_recipe import project_folder, recipe_tree
from smidgen.studio.store.projects import Project, StudioStore

LEAST_QUESTIONS = 20
"""Fewest asked questions that teach and measure a model; with fewer, questions are made from the documents."""
_ANSWER_NOTHING: frozenset[MaterialKind] = frozenset({"intents"})
"""The kinds of files whose members only sort messages."""
_MOST_COUNTED_BYTES = 50 << 20

NextStep: TypeAlias = Literal["fill", "build", "rebuild", "try"]


@dataclass(frozen=True, slots=True)
class KindState:
    """The files that are there of a kind.

    Attributes:
        kind: the kind.
        name: its file or folder, from the project's folder.
        files: files that are there.
        entries: documents, lines, rows or tools in them.
        changed: when the newest was changed, in seconds since 1970; None without files.
        needed: whether there is no model without it, as things are.
    """

    kind: MaterialKind
    name: str
    files: int
    entries: int
    changed: float | None
    needed: bool


@dataclass(frozen=True, slots=True)
class MaterialState:
    """All kinds, and what to do next: `fill` this kind, `build`, `rebuild` because files changed since, or `try`."""

    kinds: tuple[KindState, ...]
    next: NextStep
    fill: MaterialKind | None


def material_state(store: StudioStore, project: Project) -> MaterialState:
    """Look at the files of a project."""
    needed = _needed(project)
    members = {kind for kind, _ in _member_needs(project)} - _ANSWER_NOTHING
    states = [_state(project, kind, kind in needed) for kind in material_kinds(project)]
    counts = {state.kind: state.entries for state in states}
    missing = [kind for kind in KINDS if kind in needed and not counts.get(kind)]
    if members and not any(counts.get(kind) for kind in members):
        missing.insert(0, next(kind for kind in KINDS if kind in members))
    if missing:
        return MaterialState(tuple(states), "fill", missing[0])
    models = models_of(store, project.id)
    if not models:
        return MaterialState(tuple(states), "build", None)
    newest = max((state.changed for state in states if state.changed is not None), default=0.0)
    next_step: NextStep = "rebuild" if newest > (models[0].started or models[0].queued) else "try"
    return MaterialState(tuple(states), next_step, None)


def is_empty(kind: str, place: Path) -> bool:
    """Whether a file or folder of a kind holds nothing to learn from."""
    if place.is_dir():
        return not any(file.is_file() for file in place.rglob("*"))
    return count_entries(kind, place) == 0


def count_entries(kind: str, place: Path) -> int:
    """The entries of a file: tools, rows of a table, lines; 1 for a policy. 0 for a file that cannot be read as what it is."""
    if not place.is_file() or place.stat().st_size > _MOST_COUNTED_BYTES:
        return int(place.is_file())
    text = place.read_bytes().decode("utf-8-sig", errors="replace")
    if kind == "tools":
        return _tools_in(text, place.suffix.lower())
    if kind == "policy":
        return 1
    if place.suffix.lower() in (".csv", ".tsv"):
        try:
            return max(0, sum(1 for row in csv.reader(io.StringIO(text)) if any(row)) - 1)
        except csv.Error:
            return 0
    return sum(1 for line in text.splitlines() if line.strip())


def _tools_in(text: str, suffix: str) -> int:
    try:
        found: Any = json.loads(text) if suffix == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError):
        return 1  # it has something, which is told where it is used
    if isinstance(found, list):
        return len(found)
    own = found.get("tools", {}) if isinstance(found, Mapping) else {}
    chosen = [
        one.get(inner, {})
        for outer, inner in (("openapi", "operations"), ("mcp", "tools"))
        for one in (found.get(outer) or {}).values()
        if isinstance(one, Mapping)
    ]
    return sum(len(held) for held in (own, *chosen) if isinstance(held, Mapping | list))


def _state(project: Project, kind: MaterialKind, needed: bool) -> KindState:
    name = material_name(project, kind)
    place = project_folder(project.id) / name
    held = files_of(project, name) if place.exists() else []
    entries = len(held) if place.is_dir() else count_entries(kind, place)
    return KindState(kind, name, len(held), entries, max((one.changed for one in held), default=None), needed)


def _needed(project: Project) -> set[str]:
    part: Task = registry.find("tasks", project.task)
    return {next(iter(part.files.kinds))} if part.files is not None else set()


def _member_needs(project: Project) -> list[tuple[MaterialKind, str]]:
    """The kind that each member of files cannot do without, and its role."""
    found: list[tuple[MaterialKind, str]] = []
    for role, (_, tree) in member_trees(project).items():
        task = tree.get("task")
        part: Task | None = registry.find("tasks", task) if task in registry.names("tasks") else None
        first = next(iter(files_kept(part)), None) if part is not None else None
        found += [(kind, role) for kind in KINDS if kind == first]
    return found


def has_members(project: Project) -> bool:
    """Whether the project's model consists of other models."""
    own = recipe_tree(project).get(project.task)
    return isinstance(own, Mapping) and bool(own.get("members"))
