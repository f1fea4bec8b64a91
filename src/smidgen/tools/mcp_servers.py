"""Tools of MCP servers: their definitions, kept in a file when they are chosen, and calls.

A server may describe its tools differently tomorrow. So the definitions that a person chose lie in a file; a server whose tool is not as it
was there is not called. `readOnlyHint` is the server's word: it says that a tool only reads, and never that it may run without a yes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from smidgen.core.conversations import Facts
from smidgen.core.errors import InputError, RecipeError
from smidgen.tools.definition import FoundTool, McpTarget, plain_name
from smidgen.tools.http_calls import OutcomeUnknown
from smidgen.tools.mcp_sessions import MOST_SECONDS, McpSessions, NoMcpAnswer
from smidgen.tools.tool_settings import McpSettings

_MOST_BYTES = 2_000_000
_MOST_TOOLS = 200


def read_definitions(file: Path, server: McpSettings, folder: Path) -> list[FoundTool]:
    """The tools in a file of definitions. Raises RecipeError if it cannot be read."""
    if not file.is_file():
        raise RecipeError("tools.server_definitions_are_missing", value=file.name)
    if file.stat().st_size > _MOST_BYTES:
        raise RecipeError("tools.server_definitions_are_too_large", st_size=file.stat().st_size)
    try:
        given = json.loads(file.read_text(encoding="utf-8"))
        return [_found(entry, server, folder) for entry in given["tools"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise RecipeError("tools.server_definitions_cannot_be_read", value=file.name, error=error) from None


def _found(entry: Mapping[str, Any], server: McpSettings, folder: Path) -> FoundTool:
    given = dict(entry["inputSchema"])
    names: dict[str, str] = {}
    faults: list[str] = []
    for name in given.get("properties", {}):
        mine = plain_name(name)
        if not mine or mine in names:
            faults.append(f"the name {name!r} cannot be an argument's, or two are alike")
        names[mine] = name
    ours = {name: mine for mine, name in names.items()}
    schema = {
        "type": "object",
        "properties": {ours[name]: node for name, node in given.get("properties", {}).items()},
        "required": [ours[name] for name in given.get("required", ()) if name in ours],
        "additionalProperties": False,
    }
    hints = entry.get("annotations") or {}
    target = replace(server_target(server, folder), tool=str(entry["name"]), names=names, description=_described(entry))
    changes = hints.get("readOnlyHint") is not True
    return FoundTool(str(entry["name"]), str(entry.get("description") or ""), schema, changes, target, tuple(faults))


def server_target(server: McpSettings, folder: Path) -> McpTarget:
    """A server, with none of its tools."""
    return McpTarget("", tuple(server.command), server.url, dict(server.headers), dict(server.env), str(folder), plan=server.plan)


def _described(entry: Mapping[str, Any]) -> str:
    """A hash of all that a server says of a tool."""
    told = {name: entry.get(name) for name in ("name", "description", "inputSchema", "annotations")}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode("utf-8")).hexdigest()


def save_definitions(server: McpSettings, folder: Path, environment: Mapping[str, str] | None = None) -> list[str]:
    """Ask a server for its tools, and write them into its file of definitions, relative to `folder`; returns their names.

    Read what it says before you choose. Raises InputError if the server cannot be asked.
    """
    entries = listed_tools(server_target(server, folder), os.environ if environment is None else environment)
    text = json.dumps({"tools": entries}, indent=1, ensure_ascii=False)
    file = folder / server.definitions
    made = file.with_name(f".{file.name}.new")
    made.write_text(text + "\n", encoding="utf-8")
    made.replace(file)
    return [str(entry["name"]) for entry in entries]


def listed_tools(target: McpTarget, environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """The tools of a server as it describes them. Raises InputError if it cannot be asked."""

    with contextlib.closing(McpSessions()) as sessions:
        return sessions.run(target, environment, _listed, lambda: True)


def call_tool(target: McpTarget, values: Facts, environment: Mapping[str, str], changes: bool, sessions: McpSessions) -> list[Any]:
    """Call a tool; returns its rows.

    Raises InputError if it failed, or is no longer as it was chosen; OutcomeUnknown if it may have run.
    """
    begun: list[bool] = []
    arguments = {target.names.get(name, name): value for name, value in values.items()}

    async def called(client: Any) -> list[Any]:
        entry = next((one for one in await _listed(client) if one["name"] == target.tool), None)
        if entry is None or _described(entry) != target.description:
            raise InputError("tools.mcp_server_describes_tool_differently", value=target.tool)
        begun.append(True)
        return _rows(await client.call_tool(target.tool, arguments, read_timeout_seconds=MOST_SECONDS))

    try:
        return sessions.run(target, environment, called, lambda: not (changes and begun))
    except NoMcpAnswer as error:
        if changes and begun:
            raise OutcomeUnknown(error.what, value=target.tool, todo="Look at the server whether the call was carried out.") from None
        raise


def _rows(found: Any) -> list[Any]:
    """The rows of a result: its structured content, or else its texts."""
    texts = [str(block.text) for block in found.content or () if getattr(block, "type", "") == "text"]
    if found.is_error:
        raise InputError("tools.mcp_server_says_that_call_failed", value=" ".join(texts)[:200])
    content = found.structured_content
    if content is None:
        return [row for text in texts for row in _parsed(text)]
    if isinstance(content, Mapping) and set(content) == {"result"}:
        content = content["result"]
    return content if isinstance(content, list) else [] if content is None else [content]


def _parsed(text: str) -> list[Any]:
    if text.lstrip()[:1] in ("{", "["):
        with contextlib.suppress(ValueError, RecursionError):
            content = json.loads(text)
            return content if isinstance(content, list) else [content]
    return [text]


async def _listed(client: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while len(found) < _MOST_TOOLS:
        page = await client.list_tools(cursor=cursor)
        for tool in page.tools:
            told = tool.model_dump(mode="json", by_alias=True, exclude_none=True)
            found.append({name: told[name] for name in ("name", "description", "inputSchema", "annotations") if name in told})
        cursor = page.next_cursor
        if not cursor:
            break
    return found
