"""Tools that somebody else describes, of which a person chooses: the operations of an OpenAPI document, the tools of an MCP server."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from smidgen.core.errors import InputError
from smidgen.studio.flows.material import file_place, material_name, read_file, safe_name, write_file
from smidgen.studio.flows.tool_files.tool_secrets import tool_environment
from smidgen.studio.flows.tool_files.tools import FILES, ProjectTools, save_source, set_database
from smidgen.studio.store.projects import Project
from smidgen.tools.arguments import schema_mistakes
from smidgen.tools.definition import FoundTool, McpTarget
from smidgen.tools.mcp_servers import listed_tools, read_definitions
from smidgen.tools.openapi_documents import read_operations
from smidgen.tools.table_database import database_from_tables, tables_in
from smidgen.tools.tool_settings import McpSettings

MOST_DOCUMENT = 5_000_000
_MOST_DEFINITIONS = 2_000_000
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_DATABASE = "database.sqlite3"
_SQLITE = b"SQLite format 3\0"


def operations_in(text: str) -> list[tuple[FoundTool, list[str]]]:
    """The operations in an OpenAPI document, JSON or YAML, each with why it cannot be used. Raises RecipeError if it cannot be read."""
    with tempfile.TemporaryDirectory(prefix="smidgen-openapi-") as folder:
        file = Path(folder) / f"document{_suffix(text)}"
        file.write_text(text, encoding="utf-8")
        return [(found, [*found.faults, *schema_mistakes(found.schema)]) for found in read_operations(file)]


def save_document(
    project: Project, name: str, text: str, settings: Mapping[str, Any], chosen: Mapping[str, Any], stamp: str
) -> tuple[ProjectTools, bool]:
    """Keep an OpenAPI document in the project's folder, and the operations of it that the desk may call. An empty text keeps the one that
    is there. `settings`: `server` and `headers`."""
    _check_name(name)
    file = f"openapi/{name}.json" if not text or _suffix(text) == ".json" else f"openapi/{name}.yaml"
    if text:
        operations_in(text)
        write_file(project, beside_tools(project, file), text.encode("utf-8"))
    given = {key: settings[key] for key in ("server", "headers") if settings.get(key)}
    return save_source(project, "openapi", name, {"file": file, **given, "operations": dict(chosen)}, stamp)


def ask_server(project: Project, url: str, headers: Mapping[str, str]) -> list[dict[str, Any]]:
    """Ask an MCP server for its tools, as it describes them. It must be reached by https, or be on this machine.

    Raises InputError if it cannot be asked.
    """
    return listed_tools(McpTarget("", url=url, headers=dict(headers)), tool_environment(project.id))


def tools_described(entries: Sequence[Mapping[str, Any]], url: str) -> list[tuple[FoundTool, list[str]]]:
    """The tools that a server describes, each with why it cannot be used."""
    text = json.dumps({"tools": list(entries)}, ensure_ascii=False)
    with tempfile.TemporaryDirectory(prefix="smidgen-mcp-") as folder:
        file = Path(folder) / "definitions.json"
        file.write_text(text, encoding="utf-8")
        found = read_definitions(file, McpSettings(url=url, definitions=file.name), Path(folder))
    return [(one, [*one.faults, *schema_mistakes(one.schema)]) for one in found]


def save_server(
    project: Project,
    name: str,
    url: str,
    headers: Mapping[str, str],
    entries: Sequence[Mapping[str, Any]],
    chosen: Mapping[str, Any],
    stamp: str,
) -> tuple[ProjectTools, bool]:
    """Keep what an MCP server says of its tools, and those of them that the desk may call. `entries`: as `ask_server` returned them."""
    _check_name(name)
    text = json.dumps({"tools": list(entries)}, ensure_ascii=False, indent=1) + "\n"
    if len(text.encode("utf-8")) > _MOST_DEFINITIONS:
        raise InputError("studio.server_says_too_much_of_its_tools", characters=len(text))
    tools_described(entries, url)
    file = f"mcp/{name}.json"
    write_file(project, beside_tools(project, file), text.encode("utf-8"))
    given = {"headers": dict(headers)} if headers else {}
    return save_source(project, "mcp", name, {"url": url, **given, "definitions": file, "tools": dict(chosen)}, stamp)


def make_database(project: Project, tables: Sequence[str], stamp: str) -> tuple[ProjectTools, bool]:
    """Make a database of the project's own CSV tables, and name it in the tool file. Raises InputError if a table cannot be read."""
    for name in tables:
        read_file(project, name)
    place = file_place(project, beside_tools(project, _DATABASE))
    database_from_tables([file_place(project, name) for name in tables], place)
    return set_database(project, f"sqlite:///{_DATABASE}", stamp)


def take_database(project: Project, name: str, sent: Path, stamp: str) -> tuple[ProjectTools, bool]:
    """Keep a SQLite database that was sent beside the tool file, and name it there. Raises InputError for a file that is none."""
    content = sent.read_bytes()
    if not content.startswith(_SQLITE):
        raise InputError("studio.this_is_no_sqlite_database", value=name)
    kept = f"{safe_name(PurePosixPath(name).stem) or 'database'}.sqlite3"
    write_file(project, beside_tools(project, kept), content)
    return set_database(project, f"sqlite:///{kept}", stamp)


def database_tables(project: Project, tools: ProjectTools) -> dict[str, list[str]]:
    """The columns of each table of the database that queries read; empty where it lies elsewhere, or is not there yet."""
    found = FILES.fullmatch(str(tools.tree.get("database", "")))
    if found is None or "${" in found[1]:
        return {}
    try:
        return tables_in(file_place(project, beside_tools(project, found[1])))
    except InputError:  # outside the project's folder
        return {}


def beside_tools(project: Project, file: str) -> str:
    """A file beside the tool file, as a path from the project's folder."""
    above = PurePosixPath(material_name(project, "tools")).parent
    return (above / file).as_posix()


def _suffix(text: str) -> str:
    return ".json" if text.lstrip()[:1] == "{" else ".yaml"


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise InputError("studio.this_name_cannot_be_used", value=name[:80])
