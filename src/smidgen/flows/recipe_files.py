"""The files that a recipe names, by kind: orders, documents, tools."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Literal, TypeAlias, get_args

from smidgen.core.parts import Task
from smidgen.parts import registry

MaterialKind: TypeAlias = Literal[
    "documents", "questions", "intents", "tools", "calls", "policy", "conversations", "orders", "catalogue", "repository"
]
"""The kinds of files, in the order in which people give them."""
KINDS: tuple[MaterialKind, ...] = get_args(MaterialKind)


def files_kept(part: Task) -> Mapping[str, str]:
    """The files of a task by kind, with the settings that name them: those of its projects, or of its models as members."""
    return part.files.kinds if part.files is not None else part.member_files


def files_named(tree: Mapping[str, Any], task: str) -> dict[MaterialKind, str]:
    """The files that a recipe of a task names, by kind."""
    part: Task | None = registry.find("tasks", task) if task in registry.names("tasks") else None
    found: dict[MaterialKind, str] = {}
    for kind, setting in files_kept(part).items() if part is not None else ():
        section, _, name = setting.partition(".")
        held = tree.get(section)
        value = held.get(name) if isinstance(held, Mapping) else None
        if kind in KINDS and isinstance(value, str) and value:
            found[kind] = PurePosixPath(value).as_posix()
    return found
