"""Sample plans: a recipe of each solver that comes with smidgen, with its tables."""

from __future__ import annotations

import functools
import importlib.resources
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any

from smidgen.parts import registry
from smidgen.plans.solver_recipe import ROOM


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
    return sorted(tree["solver"] for _, _, tree in _recipes())


def sample_plan(solver: str) -> SamplePlan | None:
    """The sample of a solver; None if it has none."""
    return next((_read(text, folder, tree) for text, folder, tree in _recipes() if tree["solver"] == solver), None)


def sample_plans() -> dict[str, SamplePlan]:
    """Every sample by the name of its recipe."""
    return {tree["name"]: _read(text, folder, tree) for text, folder, tree in _recipes()}


def _read(text: str, folder: Traversable, tree: Mapping[str, Any]) -> SamplePlan:
    solver = tree["solver"]
    own = tree.get(solver, {})
    named = [name for name in registry.find(ROOM, solver).table_settings() if name in own]
    tables = {name: (own[name].rpartition("/")[2], (folder / own[name]).read_bytes()) for name in named}
    # A model is built by its user: the sample names none that is there.
    shared = {name: value for name, value in tree.get("solve", {}).items() if name not in ("changes", "texts")}
    return SamplePlan(tree["name"], text, {name: value for name, value in own.items() if name not in named}, shared, tables)


@functools.cache
def _recipes() -> tuple[tuple[str, Traversable, Mapping[str, Any]], ...]:
    homes = [home for home in (importlib.resources.files("smidgen") / "samples").iterdir() if home.is_dir()]
    texts = [(file.read_text(encoding="utf-8"), home) for home in homes for file in home.iterdir() if file.name.endswith(".toml")]
    return tuple((text, home, tomllib.loads(text)) for text, home in texts if "\nsolver = " in text)
