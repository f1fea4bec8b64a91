"""The recipes that come with smidgen together with their data: what `smidgen init --recipe` writes and the Studio's examples begin with."""

from __future__ import annotations

import importlib.resources
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any

from smidgen.core.errors import UnknownPart
from smidgen.core.settings import is_file
from smidgen.parts import registry

_FILES = ("train", "test", "unlabelled")
"""Settings of `[data]` that are files."""


@dataclass(frozen=True, slots=True)
class SampleRecipe:
    """A recipe with its data.

    Attributes:
        name: how it is called.
        text: the recipe file.
        tree: what it says.
        folder: where its files lie.
    """

    name: str
    text: str
    tree: Mapping[str, Any]
    folder: Traversable

    @property
    def summary(self) -> str:
        """The first line of the recipe's own comment."""
        return self.text.partition("\n")[0].lstrip("# ").strip()

    @property
    def data_files(self) -> dict[str, str]:
        """The files of its data, by setting."""
        return {key: self.tree["data"][key] for key in _FILES if key in self.tree["data"]}

    @property
    def task_files(self) -> dict[str, str]:
        """The files that its task's settings name, by setting."""
        task = self.tree["task"]
        fields = registry.find("tasks", task).settings.model_fields
        own = self.tree.get(task, {})
        return {key: own[key] for key, field in fields.items() if is_file(field) and key in own}

    def read(self, file: str) -> str:
        """The content of one of its files."""
        return (self.folder / file).read_text(encoding="utf-8")


def sample_names() -> list[str]:
    """The names of all, sorted."""
    return sorted(_places())


def sample_recipe(name: str) -> SampleRecipe:
    """One of them. Raises UnknownPart for an unknown name."""
    places = _places()
    if name not in places:
        raise UnknownPart("recipe", name, places)
    file, folder = places[name]
    text = file.read_text(encoding="utf-8")
    return SampleRecipe(name, text, tomllib.loads(text), folder)


def _places() -> dict[str, tuple[Traversable, Traversable]]:
    """By name, the file of the recipe and the folder of its data."""
    homes = [home for home in (importlib.resources.files("smidgen") / "samples").iterdir() if home.is_dir()]
    return {file.name.removesuffix(".toml"): (file, home) for home in homes for file in home.iterdir() if file.name.endswith(".toml")}
