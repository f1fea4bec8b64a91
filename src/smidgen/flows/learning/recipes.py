"""The recipe of the next version: the champion's own, over the rows of the line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smidgen.core.settings import is_file
from smidgen.parts import recipe as recipes
from smidgen.parts.recipe import Recipe, make, owners_of

_NOT_AGAIN = ("train", "test", "unlabelled", "select", "input", "label", "max_rows", "encoding", "sheet")
"""Settings of the data that were about the files of the version before."""


def of_bundle(folder: Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe that a bundle was built by. Raises RecipeError where it holds none that can be read."""
    found = recipes.read(folder / "recipe.toml")
    return make(asked_for(found), overrides, folder=Path.cwd(), source=str(folder / "recipe.toml"))


def asked_for(recipe: Recipe) -> dict[str, Any]:
    """What a recipe asks for beyond the defaults. A bundle's recipe has them all written out, and those of [train] are one student's."""
    tree: dict[str, Any] = {"name": recipe.name, "task": recipe.task, "seed": recipe.seed}
    for name, section in recipe.sections.items():
        fields = type(section).model_fields
        plain = section.model_dump(mode="json", exclude_none=True)
        kept = {key: value for key, value in plain.items() if getattr(section, key) != fields[key].get_default(call_default_factory=True)}
        if kept:
            tree[name] = kept
    return tree


def over(recipe: Recipe, name: str, rows: Path, test: Path | None, columns: tuple[tuple[str, ...], str], line: Path) -> Recipe:
    """The same job over these files, which lie in one folder. A larger model is not asked again: what it answered is among the rows."""
    tree = asked_for(recipe)
    tree.pop("data.teacher", None)
    data = {key: value for key, value in tree.get("data", {}).items() if key not in _NOT_AGAIN}
    data |= {"train": rows.name, "input": ",".join(columns[0]), "label": columns[1]}
    if test is not None:
        data["test"] = test.name
    tree |= {"name": name, "data": data}
    job = tree.get(recipe.task, {})
    for key, field in owners_of(recipe.task)[recipe.task].model_fields.items():
        if is_file(field) and job.get(key):
            places = (recipe.folder / Path(job[key]).expanduser(), line / job[key])
            job = {**job, key: str(next((place.resolve() for place in places if place.is_file()), places[0]))}
    if job:
        tree[recipe.task] = job
    return make(tree, folder=rows.parent, source="the line's recipe")
