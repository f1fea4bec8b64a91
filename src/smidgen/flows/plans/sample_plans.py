"""Sample plans: a recipe of each solver that comes with smidgen, with its tables."""

from __future__ import annotations

import importlib.resources
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any

from smidgen.core.settings import is_file, settings_of
from smidgen.parts import registry
from smidgen.parts.solver_recipe import ROOM


@dataclass(frozen=True, slots=True)
class SamplePlan:
    """A solver's sample.

    Attributes:
        name: of its recipe.
        text: the recipe file.
        settings: the solver's settings, without tables.
        solve: the settings of the search.
        tables: name and content of each table's file, by its setting.
    """

    name: str
    text: str
    settings: Mapping[str, Any]
    solve: Mapping[str, Any]
    tables: Mapping[str, tuple[str, bytes]]


def sample_solvers() -> list[str]:
    """The solvers that have a sample, sorted."""
    return sorted(_recipes())


def sample_plan(solver: str) -> SamplePlan | None:
    """The sample of a solver; None if it has none."""
    place = _recipes().get(solver)
    if place is None:
        return None
    file, folder = place
    text = file.read_text(encoding="utf-8")
    tree = tomllib.loads(text)
    own = tree.get(solver, {})
    named = [name for name, field in settings_of(registry.find(ROOM, solver).settings).items() if is_file(field) and name in own]
    tables = {name: (own[name].rpartition("/")[2], (folder / own[name]).read_bytes()) for name in named}
    # A model is built by its user: the sample names none that is there.
    shared = {name: value for name, value in tree.get("solve", {}).items() if name not in ("changes", "texts")}
    return SamplePlan(tree.get("name", solver), text, {name: value for name, value in own.items() if name not in named}, shared, tables)


def _recipes() -> dict[str, tuple[Traversable, Traversable]]:
    """By solver, the file of its recipe and the folder of its tables."""
    homes = [home for home in (importlib.resources.files("smidgen") / "samples").iterdir() if home.is_dir()]
    found = {}
    for home in homes:
        for file in home.iterdir():
            if file.name.endswith(".toml") and "\nsolver = " in (text := file.read_text(encoding="utf-8")):
                found[tomllib.loads(text)["solver"]] = (file, home)
    return found
