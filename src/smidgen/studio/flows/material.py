"""The files of a project that is no table: documents, tools, a policy, conversations, a catalogue. Listed, read, replaced, deleted.

They lie in the project's folder under the names that its recipe, and the recipes of its members, give them.
"""

from __future__ import annotations

import contextlib
import os
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic.dataclasses import dataclass

from smidgen.core.errors import InputError
from smidgen.core.parts import Task
from smidgen.flows.recipe_files import KINDS, MaterialKind, files_named
from smidgen.parts import registry
from smidgen.parts.recipe import parsed
from smidgen.search.documents.folder import forget_reading
from smidgen.store import files
from smidgen.studio.flows.recipes.project_recipe import project_folder, recipe_tree
from smidgen.studio.store.projects import Project
from smidgen.studio.store.tables import StudioMissing

MOST_FILE_BYTES = 50 << 20
MOST_FILES = 10_000
MOST_PROJECT_BYTES = 1 << 30
_MOST_RECIPE_BYTES = 100_000
_LONGEST_PART = 150
_MOST_TOOL_FILE = 1_000_000
"""Bytes of a file of tools; a larger one is not read as such."""
_DEEPEST = 8
_UNSAFE = frozenset('\\:*?"<>|')
_RESERVED = frozenset({"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))})
"""Names that Windows keeps for itself, with any suffix."""


@dataclass(frozen=True, slots=True)
class ProjectOverview(Project):
    """A project.

    Attributes:
        version: the newest version of its data; 0 before the first import.
        kinds: the kinds of files that it consists of; empty for a project of rows.
        converses: whether its model talks with customers: it has channels and conversations.
    """

    kinds: list[MaterialKind]
    converses: bool


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """A file of a project: its path from the project's folder, its bytes, and when it was changed, in seconds since 1970.

    `named`: in lists, whether a recipe of the project names it. Without it, a build fails or leaves a part out.
    """

    name: str
    size: int
    changed: float
    named: bool = False


def files_of(project: Project, under: str = "") -> list[ProjectFile]:
    """The files of a project, or those under one of its folders, by name. Hidden files are left out."""
    top = project_folder(project.id)
    place = _placed(top, under) if under else top
    found = [place] if place.is_file() else _walk(place)
    told = []
    for file in found:
        with contextlib.suppress(FileNotFoundError):  # deleted in between
            state = file.stat()
            told.append(ProjectFile(file.relative_to(top).as_posix(), state.st_size, state.st_mtime))
    return sorted(told, key=lambda one: one.name)


def read_file(project: Project, name: str, most: int = MOST_FILE_BYTES) -> bytes:
    """The content of a file. Raises StudioMissing if it is not there, InputError if it has more than `most` bytes."""
    place = file_place(project, name)
    if not place.is_file():
        raise StudioMissing("studio.there_is_no_such_file", value=name)
    size = place.stat().st_size
    if size > most:
        raise InputError("studio.file_is_too_large_to_be_read_here", name=name, size=size, most=most)
    return place.read_bytes()


def write_file(project: Project, name: str, content: bytes) -> ProjectFile:
    """Write a file whole: readers see the old content or the new one. Raises InputError for an unsafe name, for too much, and for a file
    of tools that would start a program: only who may use this machine may say that."""
    place = file_place(project, name)
    if _starts_program(content):
        raise InputError("studio.tool_file_starts_program", value=name, place=place)
    if len(content) > MOST_FILE_BYTES:
        raise InputError("studio.file_is_too_large_to_be_kept", name=name, size=len(content) >> 20, most=MOST_FILE_BYTES >> 20)
    if place.is_dir() or any(above.is_file() for above in place.parents):
        raise InputError("studio.file_and_folder_cannot_have_one_name", value=name)
    held = [one for one in files_of(project) if one.name != name]
    if len(held) >= MOST_FILES or sum(one.size for one in held) + len(content) > MOST_PROJECT_BYTES:
        raise InputError("studio.project_has_too_many_files", value=name, files=MOST_FILES, size=MOST_PROJECT_BYTES >> 30)
    place.parent.mkdir(parents=True, exist_ok=True)
    files.write(place, content)
    state = place.stat()
    return ProjectFile(place.relative_to(project_folder(project.id)).as_posix(), state.st_size, state.st_mtime)


def _starts_program(content: bytes) -> bool:
    """Whether a content is a file of tools with an MCP server that is started by a command."""
    if len(content) > _MOST_TOOL_FILE:
        return False
    try:
        servers = tomllib.loads(content.decode("utf-8-sig")).get("mcp")
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        return False
    return isinstance(servers, dict) and any(isinstance(one, dict) and one.get("command") for one in servers.values())


def delete_file(project: Project, name: str) -> None:
    """Delete a file. Raises StudioMissing if it is not there."""
    place = file_place(project, name)
    if not place.is_file():
        raise StudioMissing("studio.there_is_no_such_file", value=name)
    forget_reading(place)
    place.unlink()


def file_place(project: Project, name: str) -> Path:
    """The place of a file with this name. Raises InputError for a name that is unsafe, or leads out of the project's folder."""
    return _placed(project_folder(project.id), name)


def safe_name(name: str) -> str:
    """A name that came with an upload as a safe path: odd characters become `_`. Empty if nothing is left."""
    parts = []
    for part in unicodedata.normalize("NFC", name.replace("\\", "/")).split("/"):
        kept = "".join(letter if letter.isprintable() and letter not in _UNSAFE else "_" for letter in part).strip(" ")
        kept = kept.lstrip(".").rstrip(". ")
        if kept.partition(".")[0].lower() in _RESERVED:
            kept = f"_{kept}"
        parts.append(kept if len(kept) <= _LONGEST_PART else f"{kept[: _LONGEST_PART - 20]}{kept[-20:]}")
    return "/".join([part for part in parts if part][-_DEEPEST:])


def material_kinds(project: Project) -> list[MaterialKind]:
    """The kinds of files that a project consists of: its own, and those of its members; empty for a project of rows."""
    found = _named(project)
    return [kind for kind in KINDS if kind in found]


def project_overview(project: Project) -> ProjectOverview:
    """Read what goes with a project."""
    own = {field.name: getattr(project, field.name) for field in fields(Project)}
    known = project.task in registry.names("tasks")
    converses = known and registry.find("tasks", project.task).serving is not None
    return ProjectOverview(**own, kinds=material_kinds(project), converses=converses)


def material_path(project: Project, kind: MaterialKind) -> Path:
    """The place of a project's files of a kind, by its recipe or a member's: a file, or the folder of documents. It may not exist yet.

    Raises InputError if the project has no such files, or the recipe puts them outside its folder.
    """
    return file_place(project, material_name(project, kind))


def material_name(project: Project, kind: MaterialKind) -> str:
    """That place as a path from the project's folder."""
    found = _named(project).get(kind)
    if found is None:
        raise InputError("studio.this_project_has_no_such_files", value=kind, material_kinds=", ".join(material_kinds(project)) or "rows")
    return found


def member_trees(project: Project) -> dict[str, tuple[str, dict[str, Any]]]:
    """The recipes of a project's members that lie in its folder: by role, the file and what it says."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    tree = recipe_tree(project)
    own = tree.get(project.task)
    members = own.get("members") if isinstance(own, Mapping) else None
    for role, file in members.items() if isinstance(members, Mapping) else ():
        if isinstance(file, str) and file.lower().endswith(".toml"):
            with contextlib.suppress(StudioMissing):
                text = read_file(project, file, _MOST_RECIPE_BYTES).decode("utf-8", errors="replace")
                found[str(role)] = (file, parsed(text, file))
    return found


def files_named_by_recipes(project: Project) -> set[str]:
    """The files that the project's recipe, or a member's, names, as paths from the project's folder."""
    trees = {"": recipe_tree(project), **dict(member_trees(project).values())}
    return {(PurePosixPath(file).parent / text).as_posix() for file, tree in trees.items() for text in _texts_in(tree)}


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for one in value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ():
        yield from _texts_in(one)


def _named(project: Project) -> dict[MaterialKind, str]:
    """The project's own files by kind, and those of its members of kinds that are not its own."""
    found: dict[MaterialKind, str] = {}
    part: Task | None = registry.find("tasks", project.task) if project.task in registry.names("tasks") else None
    if part is None or part.files is None:
        return found
    found |= files_named(recipe_tree(project), project.task)
    for file, tree in member_trees(project).values():
        above = PurePosixPath(file).parent
        for kind, name in files_named(tree, str(tree.get("task", ""))).items():
            found.setdefault(kind, (above / name).as_posix())
    return found


def _placed(top: Path, name: str) -> Path:
    if fault := _fault(name):
        raise InputError("studio.this_is_no_name_for_file_here", value=name[:300], cause=fault)
    place = top.joinpath(*PurePosixPath(name).parts)
    if not place.resolve().is_relative_to(top.resolve()):
        raise InputError("studio.name_leads_out_of_project_folder", value=name[:300])
    return place


def _fault(name: str) -> str:
    """Why a path is no safe name, a clause; empty if it is."""
    parts = name.split("/")
    if not name or len(parts) > _DEEPEST:
        return "it is empty, or has too many folders"
    for part in parts:
        if not part or part in (".", "..") or part.startswith("."):
            return "a part of it is empty or hidden"
        if len(part.encode("utf-8", errors="replace")) > 255 or len(part) > _LONGEST_PART:
            return "a part of it is too long"
        if part.endswith((" ", ".")) or not part.isprintable() or _UNSAFE & set(part):
            return "it has letters that file names cannot have"
        if part.partition(".")[0].lower() in _RESERVED:
            return "this name is reserved"
    return ""


def _walk(top: Path) -> Iterator[Path]:
    """The files of a folder and the folders in it; links are not followed."""
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            file = Path(folder) / name
            if not name.startswith(".") and not file.is_symlink() and file.is_file():
                yield file
