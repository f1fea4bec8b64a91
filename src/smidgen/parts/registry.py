"""Find parts: a file in a room, or an entry point of an installed package.

A part is a module with a line `part = ...` at its top level. Its name is the file's, with dashes for underscores. To add a task, drop
a file in `tasks/`; to add one from another package, declare an entry point in the group `smidgen.tasks`. Nothing else changes.
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

_PART = re.compile(r"^part\b.*=", re.MULTILINE)
_SINGULAR = {
    "tasks": "task",
    "students": "student",
    "compress": "compression method",
    "engines": "engine",
    "bases": "base source",
    "data": "data source",
    "cli": "command",
    "flows.export": "export target",
}


def names(room: str) -> list[str]:
    """The names of a room's parts, sorted. Imports none of them."""
    return sorted(_modules(room))


def find(room: str, name: str) -> Any:
    """The part of a room with this name. Raises UnknownPart, with the nearest name, if there is none."""
    modules = _modules(room)
    if name not in modules:
        raise UnknownPart(_SINGULAR.get(room, room), name, modules)
    return importlib.import_module(modules[name]).part


def forget() -> None:
    """Clear the cache, so that the next call finds a part that this program has just added."""
    _modules.cache_clear()


@functools.cache
def _modules(room: str) -> dict[str, str]:
    package = importlib.import_module(f"smidgen.{room}")
    found: dict[str, str] = {}
    for module in pkgutil.iter_modules(package.__path__):
        if _declares_part(module, package.__path__):
            found[module.name.replace("_", "-")] = f"smidgen.{room}.{module.name}"
    for entry in importlib.metadata.entry_points(group=f"smidgen.{room}"):
        found.setdefault(entry.name, entry.value)
    return found


def _declares_part(module: pkgutil.ModuleInfo, places: Iterable[str]) -> bool:
    """Whether a module's source declares a part. It is read, not imported, because listing parts must not load their dependencies."""
    for place in places:
        file = Path(place) / module.name / "__init__.py" if module.ispkg else Path(place) / f"{module.name}.py"
        if file.is_file():
            return bool(_PART.search(file.read_text(encoding="utf-8")))
    return False
