"""A desk's member that finds personal data: a model of this Studio, copied into the project; without one, that of smidgen itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic.dataclasses import dataclass

from smidgen.bundles.manifest import Manifest
from smidgen.bundles.open import read_manifest
from smidgen.core.errors import InputError, SmidgenError
from smidgen.core.forms import SpanForm
from smidgen.desk.policy import REDACTION
from smidgen.privacy.policy import FILE, KINDS
from smidgen.studio.flows.models.built_models import model_folder, models_of
from smidgen.studio.flows.recipes.project_recipe import project_folder, recipe_tree, save_recipe
from smidgen.studio.store.projects import Project, StudioStore

_TASK = "extract"


@dataclass(frozen=True, slots=True)
class Finder:
    """A model that finds personal data.

    Attributes:
        model: its build; empty for one that no project of this Studio has any more.
        name: that of its project, or its own.
        kinds: the kinds that it finds.
    """

    model: str
    name: str
    created: str
    kinds: tuple[str, ...]


def finders(store: StudioStore) -> Iterator[Finder]:
    """The newest model of each project whose models find spans."""
    for project in store.projects():
        for run in models_of(store, project.id)[:1] if project.task == _TASK else ():
            if manifest := _manifest(model_folder(store, project.id, run.id)):
                yield Finder(run.id, project.name, manifest.created, tuple(manifest.form["kinds"]))


def chosen_finder(store: StudioStore, project: Project) -> Finder | None:
    """The member of a project's desk; None where smidgen's own model finds personal data."""
    named = _members(project).get(REDACTION)
    manifest = _manifest(project_folder(project.id) / named) if named else None
    if manifest is None:
        return None
    known = next((one for one in finders(store) if one.created == manifest.created), None)
    return known or Finder("", manifest.name, manifest.created, tuple(manifest.form["kinds"]))


def choose_finder(store: StudioStore, project: Project, model: str) -> Project:
    """Make a model the desk's member, from the next build on. `model`: its build; empty for smidgen's own.

    Raises InputError for a model that finds no spans.
    """
    members = {role: file for role, file in _members(project).items() if role != REDACTION}
    place = project_folder(project.id) / REDACTION
    if model:
        models = (run for each in store.projects() if each.task == _TASK for run in models_of(store, each.id))
        source = next((run for run in models if run.id == model), None)
        folder = model_folder(store, source.project, model) if source is not None else None
        if folder is None or _manifest(folder) is None:
            raise InputError("desk.this_model_finds_no_spans", value=model)
        fresh = place.with_name(f".{REDACTION}")
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.copytree(folder, fresh)
        shutil.rmtree(place, ignore_errors=True)
        fresh.rename(place)
        members[REDACTION] = REDACTION
    else:
        shutil.rmtree(place, ignore_errors=True)
    tree = recipe_tree(project)
    return save_recipe(store, project, {**tree, project.task: {**tree.get(project.task, {}), "members": members}})


def personal_kinds(store: StudioStore, project: Project) -> tuple[str, ...]:
    """The kinds of personal data that a desk's policy may name."""
    own = chosen_finder(store, project)
    return tuple(dict.fromkeys([*(kind for kind in KINDS if kind != FILE), *(own.kinds if own is not None else ())]))


def _members(project: Project) -> Mapping[str, str]:
    own = recipe_tree(project).get(project.task)
    found = own.get("members") if isinstance(own, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _manifest(folder: Path) -> Manifest | None:
    """The manifest of a model that finds spans; None for any other folder."""
    try:
        manifest = read_manifest(folder)
        SpanForm.model_validate(manifest.form)
    except (SmidgenError, ValueError):
        return None
    return manifest
