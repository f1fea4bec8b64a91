"""Every shipped recipe resolves, and so does what `smidgen init` writes for every task."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from smidgen.cli.main import code
from smidgen.core.settings import is_file, settings_of
from smidgen.parts import recipe, registry
from smidgen.plans.solver_recipe import read_solver_recipe

from .conftest import ROOT

EVERY = sorted((ROOT / "recipes").rglob("*.toml"))
RECIPES = [file for file in EVERY if "\ntask = " in file.read_text(encoding="utf-8")]
SOLVED = [file for file in EVERY if "\nsolver = " in file.read_text(encoding="utf-8")]
"""Recipes of solvers."""
SAMPLES = sorted((ROOT / "src" / "smidgen" / "samples").glob("*/*.toml"))
PACKAGED = [file for file in SAMPLES if "\ntask = " in file.read_text(encoding="utf-8")]
"""The recipes in the package; other TOML files there are theirs: a policy, tools."""
TASKS = registry.names("tasks")


def test_there_are_recipes_and_tasks() -> None:
    assert len(RECIPES) >= 8
    assert len(PACKAGED) >= 4
    assert len(TASKS) >= 1
    assert len(RECIPES) + len(SOLVED) == len(EVERY) == len({file.name for file in EVERY}), (
        "a recipe has a task or a solver, and its own name"
    )


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_a_shipped_recipe_resolves(file: Path) -> None:
    made = recipe.read(file)
    assert made.name == file.stem
    assert registry.find("tasks", made.task)
    assert "gate" in tomllib.loads(file.read_text(encoding="utf-8")), "a recipe says which gate its model must pass"
    assert file.read_text(encoding="utf-8").startswith("# "), "a recipe begins by saying what it is for"


@pytest.mark.parametrize("file", RECIPES, ids=lambda file: file.stem)
def test_a_recipe_written_out_with_its_defaults_is_the_same_recipe(file: Path, tmp_path: Path) -> None:
    made = recipe.read(file)
    again = tmp_path / "again.toml"
    again.write_text(made.toml(), encoding="utf-8")
    assert recipe.read(again).json() == made.json()


@pytest.mark.parametrize("file", PACKAGED, ids=lambda file: file.stem)
def test_a_recipe_in_the_package_is_the_shipped_one(file: Path) -> None:
    """What `smidgen init --recipe` and the demo give lies with its data inside the package; but for the paths it is the same recipe."""
    source = shipped_as(file)
    shipped = tomllib.loads(source.read_text(encoding="utf-8"))
    packaged = tomllib.loads(file.read_text(encoding="utf-8"))
    places = taken(shipped)
    assert places and {key: (source.parent / name).resolve() for key, name in places.items()} == {
        key: (file.parent / name).resolve() for key, name in taken(packaged).items()
    }
    assert all((source.parent / name).exists() for name in places.values()) and shipped == packaged


def shipped_as(file: Path) -> Path:
    """The recipe in `recipes/` that one of the package is a copy of."""
    found = [recipe for recipe in EVERY if recipe.name == file.name]
    assert len(found) == 1, file.name
    return found[0]


@pytest.mark.parametrize("file", SOLVED, ids=lambda file: file.stem)
def test_a_shipped_recipe_of_a_solver_resolves_and_is_in_the_package(file: Path) -> None:
    made = read_solver_recipe(str(file))
    named = {name: getattr(made.settings, name) for name, field in settings_of(type(made.settings)).items() if is_file(field)}
    assert made.name == file.stem and file.read_text(encoding="utf-8").startswith("# ")
    assert named and all(Path(place).is_file() for place in named.values() if place)
    packaged = [sample for sample in SAMPLES if sample.name == file.name]
    assert len(packaged) == 1
    copy = read_solver_recipe(str(packaged[0]))
    assert {name: Path(place).resolve() for name, place in named.items() if place} == {
        name: Path(getattr(copy.settings, name)).resolve() for name, place in named.items() if place
    }
    assert copy.settings.model_dump(exclude=set(named)) == made.settings.model_dump(exclude=set(named))


def taken(tree: dict[str, Any]) -> dict[str, str]:
    """The files that a recipe names, by setting, which are taken out of it."""
    own, data = tree.get(tree["task"], {}), tree.get("data", {})
    fields = registry.find("tasks", tree["task"]).settings.model_fields
    named = {key: own.pop(key) for key, field in fields.items() if is_file(field) and key in own}
    named |= {key: data.pop(key) for key in ("train", "test") if key in data}
    if "members" in named:
        # Recipes, which are compared by themselves.
        own["members"] = {member: Path(place).name for member, place in named.pop("members").items()}
    return named


def test_every_recipe_that_comes_with_data_is_in_the_package() -> None:
    """And those without say which file of the user's they expect."""
    said = {file.stem: tomllib.loads(file.read_text(encoding="utf-8")).get("data", {}) for file in RECIPES}
    bare = {name for name, data in said.items() if not data}
    said = {name: data for name, data in said.items() if data}
    # What a program here has made in out/ does not come with the recipe.
    places = {file.stem: file for file in RECIPES}
    comes = {name: places[name].parent / data["train"] for name, data in said.items() if "/out/" not in data["train"]}
    with_data = {name for name, file in comes.items() if file.is_file()}
    assert with_data | bare == {file.stem for file in PACKAGED}
    without = sorted(set(said) - with_data)
    texts = {name: places[name].read_text(encoding="utf-8") for name in without}
    assert [name for name in without if f"Expects {said[name]['train']}" in texts[name]] == without


@pytest.mark.parametrize("task", TASKS)
def test_init_writes_a_recipe_that_resolves(task: str, tmp_path: Path) -> None:
    assert code(["init", str(tmp_path / "here"), "--task", task]) == 0
    made = recipe.read(tmp_path / "here" / "smidgen.toml")
    assert made.task == task
    assert (tmp_path / "here" / "data" / "examples.csv").is_file()


@pytest.mark.parametrize("task", TASKS)
def test_init_shows_every_setting_there_is(task: str, tmp_path: Path) -> None:
    assert code(["init", str(tmp_path), "--task", task]) == 0
    text = (tmp_path / "smidgen.toml").read_text(encoding="utf-8")
    owners = recipe.owners_of(task)
    missing = [f"{section}.{name}" for section, owner in owners.items() for name in settings_of(owner) if f"{name} = " not in text]
    assert missing == []
    assert sum(len(settings_of(owner)) for owner in owners.values()) > 20
