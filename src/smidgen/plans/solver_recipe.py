"""Read the recipe of a solver: a TOML file that names the solver, its tables and its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smidgen.core.errors import RecipeError, UnknownPart
from smidgen.core.settings import Settings, setting
from smidgen.parts import registry
from smidgen.parts.recipe import DATA_SUFFIXES, found_from, laid_over, load_tree, read_section, recipe_mistakes
from smidgen.plans.solving import Solver

ROOM = "plans.solvers"


class SolveSettings(Settings):
    """How a problem is solved, whatever it is."""

    seconds: float = setting(10.0, "Time limit of the search, in seconds.", flag="--seconds", gt=0.0, le=3600.0)
    changes: str | None = setting(
        None,
        "Folder of a bundle that extracts a change from a sentence (task extract, with the solver's schema).",
        flag="--model",
        file=True,
    )
    texts: str | None = setting(
        None,
        "Folder of a bundle that rewrites the sentences from their facts (task write). A text with another number is discarded.",
        flag="--texts",
        file=True,
    )
    sure: float = setting(0.9, "With --yes, minimum score for a sentence to change the plan.", gt=0.0, le=1.0)


@dataclass(frozen=True, slots=True)
class SolverRecipe:
    """A checked recipe of a solver. Paths in its settings start from the working folder."""

    name: str
    solver: Solver
    settings: Settings
    solve: SolveSettings

    def json(self) -> dict[str, Any]:
        """The recipe, JSON-ready, with absolute paths: `solver_recipe_from` reads it again from any working folder."""
        own = found_from(Path.cwd(), self.settings).model_dump(mode="json", exclude_none=True)
        shared = found_from(Path.cwd(), self.solve).model_dump(mode="json", exclude_none=True)
        return {"name": self.name, "solver": self.solver.name, "solve": shared, self.solver.name: own}


def read_solver_recipe(source: str, overrides: Sequence[str] = ()) -> SolverRecipe:
    """The recipe in a file, or that of a solver by its name, with its settings in `overrides` (`sales=sales.csv`).

    Raises RecipeError with every mistake, UnknownPart for a solver that does not exist.
    """
    if source in registry.names(ROOM):
        own = [given if "." in given.partition("=")[0] else f"{source}.{given}" for given in overrides]
        return solver_recipe_from({"name": source, "solver": source}, own, Path(), "the command line")
    file = Path(source)
    if not file.exists() and not file.suffix:
        raise UnknownPart("solver", source, registry.names(ROOM))
    if file.is_file() and file.suffix.lower() in DATA_SUFFIXES:
        raise RecipeError("plans.this_is_data_and_recipe_was_expected", value=source, path=file)
    return solver_recipe_from(load_tree(file), overrides, file.parent, source)


def solver_recipe_from(given: Mapping[str, Any], overrides: Sequence[str], folder: Path, source: str) -> SolverRecipe:
    """The recipe of a mapping whose paths start from a folder. Raises as `read_solver_recipe` does."""
    tree = laid_over(given, overrides)
    kind = tree.pop("solver", None)
    known = registry.names(ROOM)
    if not isinstance(kind, str):
        raise RecipeError("plans.recipe_names_no_solver", value=source, example=known[0], solvers=", ".join(known))
    solver: Solver = registry.find(ROOM, kind)
    name = tree.pop("name", kind)
    mistakes: list[str] = []
    if not isinstance(name, str) or not 0 < len(name) <= 100:
        mistakes.append(f"name: a short text is expected, not {name!r}")
    own = read_section(kind, solver.settings, tree.pop(kind, {}), mistakes)
    shared = read_section("solve", SolveSettings, tree.pop("solve", {}), mistakes)
    mistakes += [f"{stranger}: no such section (there are: name, solver, solve, {kind})" for stranger in tree]
    if mistakes or own is None or not isinstance(shared, SolveSettings):
        raise recipe_mistakes(mistakes, source)
    return SolverRecipe(name, solver, found_from(folder, own), found_from(folder, shared))
