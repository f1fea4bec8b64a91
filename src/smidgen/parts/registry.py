"""Find parts: a file in a room, or an entry point of an installed package.

A part is a line `part = ...` at the top level of a module. Its name is the file's, with dashes for underscores. A file with several parts
names each in its line: `part_q4_0 = ...` is the part `q4-0`. To add a task, drop a file in `tasks/`; to add one from another package,
declare an entry point in the group `smidgen.tasks`. Nothing else changes.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import pkgutil
import re
from collections.abc import Iterable
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
    "apps.solvers": "solver",
    "cli": "command",
    "flows.export": "export target",
}


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
    _places.cache_clear()


@functools.cache
def _places(room: str) -> dict[str, tuple[str, str]]:
    """Of each part of a room, its module and the variable that holds it."""
    package = importlib.import_module(f"smidgen.{room}")
    found: dict[str, tuple[str, str]] = {}
    for module in pkgutil.iter_modules(package.__path__):
        for line in _parts_in(module, package.__path__):
            name = line.removeprefix("part_") if line != "part" else module.name
            found[name.replace("_", "-")] = f"smidgen.{room}.{module.name}", line
    for entry in importlib.metadata.entry_points(group=f"smidgen.{room}"):
        found.setdefault(entry.name, (entry.value, "part"))
    return found


def _parts_in(module: pkgutil.ModuleInfo, places: Iterable[str]) -> list[str]:
    """Whether a module's source declares a part. It is read, not imported, because listing parts must not load their dependencies."""
    for place in places:
        file = Path(place) / module.name / "__init__.py" if module.ispkg else Path(place) / f"{module.name}.py"
        if file.is_file():
            return _PART.findall(file.read_text(encoding="utf-8"))
    return []
