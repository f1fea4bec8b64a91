"""Open a desk from its bundle, with the tools that may be called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from smidgen.apps.desk.desk import Desk
from smidgen.apps.tools.definition import McpTarget, SqlTarget, Tool
from smidgen.apps.tools.tool_file import read_tools
from smidgen.apps.tools.toolbox import Toolbox
from smidgen.flows.local_model import Model
from smidgen.store.calls import CallStore

TOOLS = "tools.toml"


def desk_of(model: Model) -> Desk | None:
    """The desk in a loaded model; None if it is another kind of model. It makes no call that changes anything."""
    found = getattr(model.runner, "desk", None)
    return found if isinstance(found, Desk) else None


def live_desk(model: Model, calls: CallStore, tools: Path | None = None, environment: Mapping[str, str] | None = None) -> Desk:
    """The desk in a loaded model, which makes calls after the customer's yes.

    Args:
        model: a loaded desk.
        calls: where proposed calls wait, and calls are logged.
        tools: a tool file in place of the bundle's own; its relative paths start from its folder.
        environment: where `${NAME}` in the tools is looked up; the process's own by default.

    Raises RecipeError for a tool file with mistakes.
    """
    desk = desk_of(model)
    assert desk is not None, "the model is a desk"
    return desk.live_with(Toolbox(tools_of(model, tools), calls, environment))


def tools_of(model: Model, file: Path | None = None) -> tuple[Tool, ...]:
    """The tools of a desk, with how they are called: those of a file, or of its bundle; empty if it has none."""
    own = model.folder / TOOLS
    if file is not None:
        return read_tools(file)
    if not own.is_file():
        return ()
    folder = str(model.manifest.engine.options.get("tools_folder", model.folder))
    return tuple(_moved(tool, folder) for tool in read_tools(own))


def _moved(tool: Tool, folder: str) -> Tool:
    """A tool whose relative paths start from a folder."""
    target = replace(tool.target, folder=folder) if isinstance(tool.target, SqlTarget | McpTarget) else tool.target
    return replace(tool, target=target, guard=replace(tool.guard, folder=folder) if tool.guard is not None else None)
