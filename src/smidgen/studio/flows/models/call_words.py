"""The call in an answer, in words and exactly, by the project's own tools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smidgen.core.errors import SmidgenError
from smidgen.studio.flows.material import material_kinds, material_path
from smidgen.studio.flows.tool_files.tool_calls import dry_run
from smidgen.studio.store.projects import Project
from smidgen.tools.overview import exact_call
from smidgen.tools.tool_file import read_tools


def call_in_words(project: Project, output: Any, language: str = "") -> tuple[str, str]:
    """The call that an answer proposes, in words, and as it would go out; both empty if it proposes none, or the tools as they are now do
    not have it."""
    if not isinstance(output, Mapping) or "tool" not in output or "tools" not in material_kinds(project):
        return "", ""
    try:
        tools = {tool.name: tool for tool in read_tools(material_path(project, "tools"))}
    except SmidgenError:
        return "", ""
    tool, arguments = tools.get(str(output["tool"])), output.get("arguments")
    if tool is None:
        return "", ""
    shown = dry_run(project, tool, arguments if isinstance(arguments, Mapping) else {}, language)
    return shown.words, exact_call(shown)
