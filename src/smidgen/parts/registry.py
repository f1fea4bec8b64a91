"""Find parts: a file in a room, a file in a wing, or an entry point of an installed package.

A part is a line `part = ...` at the top level of a module. Its name is the file's, with dashes for underscores. A file with several parts
names each in its line: `part_q4_0 = ...` is the part `q4-0`. To add a task, drop a file in `tasks/`; to add one from another package,
declare an entry point in the group `smidgen.tasks`. Nothing else changes.

A wing is a product on the platform, such as `smidgen.desk`. An entry point in the group `smidgen.wings` names its package. Its parts for a
room stand in the module of the same name: `smidgen.desk.tasks` adds to `tasks`. Some rooms have another name in a wing, see `_DOORS`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smidgen.core.errors import UnknownPart

_PART = re.compile(r"^(part(?:_\w+)?)\b[^=\n]*=", re.MULTILINE)
_SINGULAR = {
    "tasks": "task",
    "students": "student",
    "compress": "compression method",
    "engines": "engine",
    "bases": "base source",
    "bases.conversions": "conversion of a base",
    "data": "data source",
    "plans.solvers": "solver",
    "cli": "command",
    "flows.export": "export target",
    "demos": "demo",
    "corrections": "source of corrections",
    "recipes": "recipe",
}
_DOORS = {"server": "routes", "shown": "studio.shown"}
"""Rooms that have another name in a wing."""


def names(room: str) -> list[str]:
    """The names of a room's parts, sorted. Imports none of them."""
    return sorted(_places(room))


def find(room: str, name: str) -> Any:
    """The part of a room with this name. Raises UnknownPart, with the nearest name, if there is none."""
    places = _places(room)
    if name not in places:
        raise UnknownPart(_SINGULAR.get(room, room), name, places)
    module, line = places[name]
    return getattr(importlib.import_module(module), line)


def declared(room: str, name: str, attribute: str, otherwise: Any = None) -> Any:
    """An attribute of a part; `otherwise` if there is no such part, or it has no such attribute."""
    return getattr(find(room, name), attribute, otherwise) if name in _places(room) else otherwise


def declaring(room: str, attribute: str) -> Any:
    """The part of a room that has an attribute, true; the first by name where there are several."""
    return next(part for part in (find(room, name) for name in names(room)) if getattr(part, attribute, False))


def forget() -> None:
    """Clear the cache, so that the next call finds a part that this program has just added."""
    wings.cache_clear()
    _places.cache_clear()


@functools.cache
def wings() -> dict[str, Path]:
    """The folders of the installed wings, by the name of their package, such as `smidgen.desk`."""
    found = {}
    for entry in sorted(importlib.metadata.entry_points(group="smidgen.wings"), key=lambda entry: entry.name):
        spec = importlib.util.find_spec(entry.value)
        if spec is not None and spec.submodule_search_locations:
            found[entry.value] = Path(next(iter(spec.submodule_search_locations)))
    return found


@functools.cache
def _places(room: str) -> dict[str, tuple[str, str]]:
    """Of each part of a room, its module and the variable that holds it."""
    found: dict[str, tuple[str, str]] = {}
    for module, file in _modules(room):
        for line in _PART.findall(
            file.read_text(encoding="utf-8")
        ):  # read, not imported, because listing parts must not load what they need
            name = line.removeprefix("part_") if line != "part" else module.rpartition(".")[2]
            found.setdefault(name.replace("_", "-"), (module, line))
    for entry in importlib.metadata.entry_points(group=f"smidgen.{room}"):
        found.setdefault(entry.name, (entry.value, "part"))
    return found


def _modules(room: str) -> Iterator[tuple[str, Path]]:
    """The modules that may hold parts of a room, in the platform and in the wings, each with its file."""
    roots = {"smidgen": Path(__file__).parents[1], **wings()}
    for package, root in roots.items():
        name = room if package == "smidgen" else _DOORS.get(room, room)
        place, module = root.joinpath(*name.split(".")), f"{package}.{name}"
        if place.with_suffix(".py").is_file():
            yield module, place.with_suffix(".py")
        elif (place / "__init__.py").is_file():
            for found in pkgutil.iter_modules(importlib.import_module(module).__path__):
                file = Path(str(getattr(found.module_finder, "path", place)), found.name)
                yield f"{module}.{found.name}", file / "__init__.py" if found.ispkg else file.with_suffix(".py")
