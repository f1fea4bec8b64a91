"""The recipes that come with smidgen together with their data: what `smidgen init --recipe` writes and the Studio's examples begin with."""

from __future__ import annotations

import importlib.resources
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any

from smidgen.core.errors import UnknownPart
from smidgen.core.settings import is_file
from smidgen.parts import registry

_TASK = re.compile(r"^task = ", re.MULTILINE)
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
        data = self.tree.get("data", {})
        return {key: data[key] for key in _FILES if key in data}

    @property
    def task_files(self) -> dict[str, str]:
        """The files that its task's settings name, by setting."""
        task = self.tree["task"]
        fields = registry.find("tasks", task).settings.model_fields
        own = self.tree.get(task, {})
        return {key: own[key] for key, field in fields.items() if is_file(field) and isinstance(own.get(key), str)}

    @property
    def is_table(self) -> bool:
        """Whether its data are tables of inputs and outputs, for learning and for the test: the Studio begins projects with these."""
        data = self.tree.get("data", {})
        return {"train", "test", "input", "label"} <= set(data)

    @property
    def members(self) -> dict[str, str]:
        """The recipes of the models that it consists of, by role; empty for a recipe of one model."""
        found = self.tree.get(self.tree["task"], {}).get("members", {})
        return {role: file for role, file in found.items() if isinstance(file, str)}

    def every_file(self) -> dict[str, bytes]:
        """The content of every file that it needs, by its path from the recipe's folder: those of its members, too."""
        found: dict[str, bytes] = {}
        for file in (*self.data_files.values(), *self.task_files.values()):
            found |= _content(self.folder / file, file)
        for file in self.members.values():
            member = _read(self.folder / file, self.folder)
            found |= {file: member.text.encode("utf-8"), **member.every_file()}
        return found

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
    return _read(*places[name])


def _read(file: Traversable, folder: Traversable) -> SampleRecipe:
    text = file.read_text(encoding="utf-8")
    return SampleRecipe(file.name.removesuffix(".toml"), text, tomllib.loads(text), folder)


def _content(place: Traversable, name: str) -> dict[str, bytes]:
    """A file's content, or that of every file in a folder, by name."""
    if not place.is_dir():
        return {name: place.read_bytes()}
    entries = [inner for inner in place.iterdir() if inner.name != "__pycache__"]
    return {path: content for inner in entries for path, content in _content(inner, f"{name}/{inner.name}").items()}


def _places() -> dict[str, tuple[Traversable, Traversable]]:
    """By name, the file of the recipe and the folder of its data."""
    homes = [home for home in (importlib.resources.files("smidgen") / "samples").iterdir() if home.is_dir()]
    files = [(file, home) for home in homes for file in home.iterdir() if file.name.endswith(".toml")]
    # Other TOML files beside the recipes are theirs: a policy, tools.
    return {file.name.removesuffix(".toml"): (file, home) for file, home in files if _TASK.search(file.read_text(encoding="utf-8"))}
