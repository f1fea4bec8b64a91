"""A desk's tools as the Studio and the command line list them: each with its source, its variables, and whether it can be called."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from smidgen.core.errors import SmidgenError
from smidgen.tools.definition import HttpTarget, McpTarget, SqlTarget, Tool, to_json
from smidgen.tools.environment import VARIABLE
from smidgen.tools.sql_calls import run_query, shown_database
from smidgen.tools.toolbox import DryRun


def tool_overview(tool: Tool, environment: Mapping[str, str]) -> dict[str, Any]:
    """A tool as JSON, with its `source` (`sql`, `http`, `mcp` or `none`), `target`, `waits`, `required`, `variables` and `faults`.

    `variables` has the environment variables that it names, and whether each is set. `faults` are the reasons why a call would fail: a
    query is tried with empty values, a server is not asked. No value of a variable is in it.
    """
    source, target = _target(tool)
    variables = {name: bool(environment.get(name, "").strip()) for name in _variables(tool)}
    faults = [f"the environment variable {name} is not set" for name, there in variables.items() if not there]
    for query in (tool.target, tool.guard):
        if isinstance(query, SqlTarget) and not faults:
            try:
                run_query(query, {}, environment, 0)
            except SmidgenError as error:
                faults.append(str(error))
    if tool.target is None:
        faults.append("it is not known how this tool is called")
    told = to_json(tool)
    return {
        **told,
        "source": source,
        "target": target,
        "guard": tool.guard.sql if isinstance(tool.guard, SqlTarget) else tool.guard.tool if tool.guard else None,
        "waits": tool.waits,
        "required": list(tool.required),
        "variables": variables,
        "faults": faults,
    }


def tools_overview(tools: Sequence[Tool], environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """Every tool as JSON; see `tool_overview`."""
    return [tool_overview(tool, environment) for tool in tools]


def dry_run_json(shown: DryRun) -> dict[str, Any]:
    """A dry run as JSON."""
    return asdict(shown)


def exact_call(shown: DryRun) -> str:
    """The exact call as text: a query with its values, a request as it goes over the wire, an MCP tool with its arguments. Empty if it is
    not known how the tool is called."""
    call = shown.call
    if shown.kind == "sql":
        lines = [str(call["shown"]).strip(), "", f"-- {call['database']}"]
    elif shown.kind == "http":
        body = ["", str(call["body"])] if call.get("body") is not None else []
        lines = [f"{call['method']} {call['url']}", *(f"{name}: {line}" for name, line in call["headers"].items()), *body]
    elif shown.kind == "mcp":
        named = {name: value for name, value in call.items() if name != "guard"}
        lines = [json.dumps(named, ensure_ascii=False, indent=2)]
    else:
        return ""
    return "\n".join([*lines, *(["", f"-- {call['guard']}"] if call.get("guard") else [])])


def _target(tool: Tool) -> tuple[str, dict[str, Any]]:
    """How a tool is called, as its file says it: variables by their names."""
    target = tool.target
    if isinstance(target, SqlTarget):
        try:
            database = shown_database(target)
        except SmidgenError as error:
            database = str(error)
        return "sql", {"sql": target.sql, "database": database}
    if isinstance(target, HttpTarget):
        return "http", {"method": target.method, "url": target.url, "headers": dict(target.headers), "body": target.body}
    if isinstance(target, McpTarget):
        return "mcp", {"server": target.shown, "tool": target.tool}
    return "none", {}


def _variables(tool: Tool) -> list[str]:
    """The environment variables that a tool names, in order."""
    told = [json.dumps(asdict(one)) for one in (tool.target, tool.guard) if one is not None]
    return list(dict.fromkeys(name for text in told for name in VARIABLE.findall(text)))
