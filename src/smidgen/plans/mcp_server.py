"""A plan as an MCP server on standard input and output: `ask` reads it, `change` changes it and solves it again.

A desk names the server in its tool file (`[mcp.NAME]`), and asks for a yes before a change, with the words of `would_change`. If a model
reads sentences for the plan, `change_said` and `would_change_said` do the same with a sentence. Every call ends in time: a question reads
the plan as it lies there, and a search after a change has a limit.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from smidgen.core.errors import InputError, MissingExtra, SmidgenError
from smidgen.core.version import VERSION
from smidgen.plans.changes import MAX_SENTENCE_LENGTH
from smidgen.plans.flows.served_plan import ServedPlan

if TYPE_CHECKING:
    from mcp.server.lowlevel import Server
    from mcp_types import CallToolResult
    from mcp_types import Tool as McpTool

MAX_NAME_LENGTH = 200


def serve_plan(plan: ServedPlan) -> None:
    """Serve a plan until standard input ends. Raises MissingExtra without the library `mcp`."""
    try:
        from mcp.server.stdio import stdio_server
    except ModuleNotFoundError:
        raise MissingExtra("mcp", "desk") from None

    async def served() -> None:
        server = plan_server(plan)
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())

    threading.Thread(target=plan.warm_up, name="warm up the plan", daemon=True).start()
    asyncio.run(served())


def plan_server(plan: ServedPlan) -> Server[Any]:
    """The MCP server of a plan, with its tools to ask and to change."""
    from mcp.server.lowlevel import Server
    from mcp_types import CallToolResult, ListToolsResult, TextContent

    tools = _tools(plan)
    names = {tool.name for tool in tools}

    async def list_tools(context: Any, params: Any) -> ListToolsResult:
        return ListToolsResult(tools=tools)

    async def call_tool(context: Any, params: Any) -> CallToolResult:
        if params.name not in names:
            return CallToolResult(content=[TextContent(text=f"There is no tool {params.name!r}.")], is_error=True)
        try:
            return await asyncio.to_thread(_call_tool, plan, params.name, params.arguments or {})
        except SmidgenError as error:
            return CallToolResult(content=[TextContent(text=str(error))], is_error=True)

    return Server("smidgen plan", version=VERSION, on_list_tools=list_tools, on_call_tool=call_tool)


def _call_tool(plan: ServedPlan, name: str, arguments: Mapping[str, Any]) -> CallToolResult:
    from mcp_types import CallToolResult, TextContent

    given = str(arguments.get("sentence") or "") if name.endswith("_said") else arguments
    try:
        if name == "ask":
            answer = plan.ask(str(arguments.get("about") or "")[:MAX_NAME_LENGTH])
        else:
            answer = plan.would_change(given) if name.startswith("would_") else plan.change(given)
    except InputError as error:
        if name.startswith("change"):
            raise
        # Nothing is found, and the text says what is there.
        return CallToolResult(content=[TextContent(text=str(error))], structured_content={"result": []})
    return CallToolResult(content=[TextContent(text=answer.get("sentence_en", answer.get("change_en", "")))], structured_content=answer)


def _tools(plan: ServedPlan) -> list[McpTool]:
    from mcp_types import Tool as McpTool
    from mcp_types import ToolAnnotations

    about = {"type": "string", "maxLength": MAX_NAME_LENGTH, "description": "One thing that the plan names; none: the whole plan."}
    ask = McpTool(
        name="ask",
        description=f"Say what the plan {plan.name} says ({plan.solver.title.lower()}), of one thing or as a whole.",
        input_schema={"type": "object", "properties": {"about": about}, "additionalProperties": False},
        annotations=ToolAnnotations(read_only_hint=True),
    )
    if not plan.solver.changes:
        return [ask]
    sentence = {"type": "string", "maxLength": MAX_SENTENCE_LENGTH, "description": f"For example: {plan.solver.examples[0]}"}
    by_sentence = {"type": "object", "properties": {"sentence": sentence}, "required": ["sentence"], "additionalProperties": False}
    tools = [ask, *_change_tools(plan, _without_null(dict(plan.solver.changes)), "", "")]
    if plan.reads_sentences:
        tools += _change_tools(plan, by_sentence, "_said", " by a sentence")
    return tools


def _change_tools(plan: ServedPlan, schema: dict[str, Any], ending: str, how: str) -> list[McpTool]:
    """The tool that describes a change, and the one that makes it."""
    from mcp_types import Tool as McpTool
    from mcp_types import ToolAnnotations

    previewed = McpTool(
        name=f"would_change{ending}",
        description=f"Say what a change of the plan {plan.name} would be{how}, and make none",
        input_schema=schema,
        annotations=ToolAnnotations(read_only_hint=True),
    )
    changed = McpTool(
        name=f"change{ending}",
        description=f"Change the plan {plan.name}{how} and solve it again, as in: {plan.solver.examples[0]}",
        input_schema=schema,
        annotations=ToolAnnotations(read_only_hint=False, destructive_hint=True),
    )
    return [previewed, changed]


def _without_null(node: Any) -> Any:
    """A schema without null: optional fields are left out instead, and enums get a type."""
    if isinstance(node, list):
        return [_without_null(one) for one in node if one != "null"]
    if not isinstance(node, Mapping):
        return node
    found = {name: _without_null(one) for name, one in node.items()}
    types = found.get("type", "string" if "enum" in found else None)
    if types is not None:
        found["type"] = types
    return {**found, "type": types[0]} if isinstance(types, list) and len(types) == 1 else found
