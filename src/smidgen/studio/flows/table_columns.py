"""The columns of a project's tables: chosen by people, or guessed by name and content."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from smidgen.core.errors import InputError
from smidgen.flows.recipe_files import MaterialKind, files_named
from smidgen.flows.table_columns import ROLES, TableColumns, columns_in, first_rows, name_columns, written_table
from smidgen.parts.toml_text import edited
from smidgen.studio.flows.data.upload_reader import read_upload
from smidgen.studio.flows.material import material_name, member_trees, write_file
from smidgen.studio.flows.recipes.project_recipe import project_folder, recipe_tree, save_recipe
from smidgen.studio.store.projects import Project, StudioStore

_MOST_ROWS = 1_000_000
LEAST_KINDS = 2
"""Kinds of messages below which there is nothing to tell apart."""
_TASK = "classify"
"""The task whose tables spreadsheets are read as."""


def project_columns(project: Project) -> list[TableColumns]:
    """The columns of the project's tables that are there, its own and its members'."""
    own = columns_in(recipe_tree(project), project.task, project_folder(project.id))
    folders = [(tree, project_folder(project.id) / PurePosixPath(file).parent) for file, tree in member_trees(project).values()]
    return [*own, *(one for tree, folder in folders for one in columns_in(tree, str(tree.get("task", "")), folder))]


def choose_columns(store: StudioStore, project: Project, kind: MaterialKind, chosen: Mapping[str, str]) -> list[TableColumns]:
    """Name the columns of a table in the recipe that it belongs to. An empty name leaves the choice to the guess.

    Raises InputError for a table that has no columns to choose, a role that is not one of its, and a column that it does not have.
    """
    found = next((one for one in project_columns(project) if one.kind == kind), None)
    if found is None:
        raise InputError("studio.this_project_has_no_such_table", value=kind)
    roles = ROLES[kind]
    for role, column in chosen.items():
        if role not in roles:
            raise InputError("studio.table_has_no_such_role", value=role, roles=", ".join(roles))
        if column and column not in found.columns:
            raise InputError("studio.table_has_no_such_column", value=column, columns=", ".join(found.columns))
    own = recipe_tree(project)
    if kind in files_named(own, project.task):
        return project_columns(save_recipe(store, project, name_columns(own, roles, chosen)))
    for file, tree in member_trees(project).values():
        if kind in files_named(tree, str(tree.get("task", ""))):
            text = (project_folder(project.id) / file).read_text(encoding="utf-8")
            write_file(project, file, edited(text, name_columns(tree, roles, chosen)).text.encode("utf-8"))
    return project_columns(project)


def take_table(project: Project, kind: MaterialKind, file: Path) -> str:
    """Put an uploaded file in the place of the project's own, a spreadsheet as CSV where that is one. Returns the name of that file."""
    place = material_name(project, kind)
    if PurePosixPath(place).suffix.lower() == ".csv" and file.suffix.lower() != ".csv":
        lines = file.with_name("records.jsonl")
        columns = read_upload("preview", file, _TASK, {})["columns"]
        read_upload("records", file, _TASK, {"input": columns[:1]}, lines)
        write_file(project, place, written_table(*first_rows(lines, _MOST_ROWS)))
    else:
        write_file(project, place, file.read_bytes())
    return place


def labels_in(file: Path, column: str) -> set[str]:
    """The kinds that a table names."""
    return {label for row in first_rows(file, _MOST_ROWS)[1] if (label := row.get(column, "").strip())}
