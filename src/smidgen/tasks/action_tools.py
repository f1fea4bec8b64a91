"""Tools as a model of the task `act` knows them: read from a file, normalised, and checked.

A file is a desk's tool file (see `apps.tools.tool_file`), or a JSON list of `{"name", "description", "parameters"}`, as OpenAI's API takes
them, with or without `{"type": "function", "function": ...}` around each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from smidgen.core.errors import RecipeError
from smidgen.stats import field_values
from smidgen.tasks import field_schema
from smidgen.tasks.field_schema import Schema, kind_of
from smidgen.tasks.known_values import cleaned, values_in
from smidgen.tools.definition import Tool
from smidgen.tools.tool_file import read_tools

ToolFacts = dict[str, Any]
"""A tool, JSON-ready: `name`, `description`, and `parameters`, a normalised schema (see `field_schema`) whose `properties` may be empty;
and `values`, those of arguments that take them from a list."""

MOST_TOOLS = 200
_MOST_BYTES = 4_000_000
_LONGEST_NAME, _LONGEST_DESCRIPTION = 100, 4_000
_EMPTY: Schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
_OTHER_NAMES = {"dict": "object", "float": "number", "tuple": "array", "list": "array", "str": "string", "int": "integer", "any": "string"}
"""Names of types that other programs use, and those of JSON Schema."""
_KNOWN_FORMATS = field_schema.FORMATS
_CLOCK = "^([01][0-9]|2[0-3]):[0-5][0-9]$"
"""The form of a time of day."""


def read(file: str) -> list[ToolFacts]:
    """The tools of a file. Raises RecipeError with all mistakes in it."""
    path = Path(file)
    if not path.is_file():
        raise RecipeError("tasks.there_is_no_such_file_of_tools", value=file)
    if path.stat().st_size > _MOST_BYTES:
        raise RecipeError("tasks.file_of_tools_is_too_large", path=file, st_size=path.stat().st_size)
    tools, mistakes = normal([_facts(tool) for tool in read_tools(path)] if _is_tool_file(path) else _json_of(path), path.parent)
    if mistakes:
        raise RecipeError("tasks.these_tools_cannot_be_used", value=file, mistakes=mistakes)
    return tools


def examples(file: str) -> list[tuple[str, dict[str, Any]]]:
    """The messages that a file's tools have as examples, with their calls; none in a JSON file. Raises RecipeError as `read` does."""
    path = Path(file)
    if not path.is_file() or not _is_tool_file(path):
        return []
    return [(one.message, {"tool": tool.name, "arguments": dict(one.arguments)}) for tool in read_tools(path) for one in tool.examples]


def normal(given: Any, folder: Path | None = None) -> tuple[list[ToolFacts], list[str]]:
    """Normalise a list of tools. Returns it and all mistakes; with mistakes it is unusable. `folder`: of the files that arguments take
    their values from; None where there are no files to read."""
    if isinstance(given, Mapping) and isinstance(given.get("tools"), list):
        given = given["tools"]
    if not isinstance(given, list) or not given:
        return [], ["a list of tools is expected"]
    if len(given) > MOST_TOOLS:
        return [], [f"there are {len(given)} tools; at most {MOST_TOOLS} are possible"]
    tools: list[ToolFacts] = []
    mistakes: list[str] = []
    for number, one in enumerate(given, start=1):
        tool, why = _tool(one, number, folder)
        tools.append(tool)
        mistakes += why
    names = [tool.get("name") for tool in tools]
    mistakes += [f"the tool {name!r} is there twice" for name in dict.fromkeys(names) if name is not None and names.count(name) > 1]
    return tools, mistakes


def parameters_of(given: Any) -> tuple[Schema, list[str]]:
    """The normalised schema of a tool's arguments, and its mistakes. None, or an object without properties, means no arguments."""
    if given is None or (isinstance(given, Mapping) and not given.get("properties")):
        return dict(_EMPTY), []
    return field_schema.normal(_adapted(given))


def called(tools: Sequence[ToolFacts]) -> tuple[str, ...]:
    """The names of tools."""
    return tuple(tool["name"] for tool in tools)


def missing_in(arguments: Mapping[str, Any], schema: Schema, before: str = "") -> Iterator[str]:
    """The paths of the required arguments that a call lacks."""
    for name, node in schema["properties"].items():
        value = arguments.get(name)
        if value is None:
            if name in schema["required"] and not kind_of(node)[1]:
                yield f"{before}{name}"
        elif "properties" in node and isinstance(value, Mapping):
            yield from missing_in(value, node, f"{before}{name}.")


def without_required(schema: Schema) -> Schema:
    """The schema in which every argument may be left out: that of a call that may be incomplete."""
    made = {**schema}
    if "properties" in schema:
        made["properties"] = {name: without_required(node) for name, node in schema["properties"].items()}
        made["required"] = []
    if "items" in schema:
        made["items"] = schema["items"]
    return made


def told(tool: ToolFacts) -> str:
    """A tool in words, for a prompt: its name, its arguments, its description."""
    arguments = ", ".join(path for path, _ in field_values.schema_paths(tool["parameters"]))
    return f"{tool['name']}({arguments}): {tool['description']}" if tool["description"] else f"{tool['name']}({arguments})"


def _is_tool_file(path: Path) -> bool:
    return path.suffix.lower() == ".toml"


def _facts(tool: Tool) -> ToolFacts:
    """A tool in OpenAI's form. The arguments that prove whose data is asked for are required; one that is the whole message is not found
    by a model, and left out."""
    properties = {name: node for name, node in tool.properties.items() if name not in tool.whole_messages}
    schema = {**tool.schema, "properties": properties, "required": [name for name in tool.required if name in properties]}
    return {"name": tool.name, "description": tool.description, "parameters": schema}


def _json_of(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise RecipeError("tasks.tools_are_not_json", value=str(path), error=error) from None


def _tool(given: Any, number: int, folder: Path | None) -> tuple[ToolFacts, list[str]]:
    place = f"tool {number}"
    if isinstance(given, Mapping) and isinstance(given.get("function"), Mapping):
        given = given["function"]
    if not isinstance(given, Mapping):
        return {}, [f"{place}: an object is expected"]
    name, description = given.get("name"), given.get("description") or ""
    if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST_NAME:
        return {}, [f"{place}: it needs a name of at most {_LONGEST_NAME} characters"]
    if not isinstance(description, str) or len(description) > _LONGEST_DESCRIPTION:
        return {}, [f"{name}: its description is a text of at most {_LONGEST_DESCRIPTION} characters"]
    values, unread = _listed(given, folder)
    parameters, mistakes = parameters_of(given.get("parameters"))
    made: ToolFacts = {"name": name.strip(), "description": " ".join(description.split()), "parameters": parameters}
    if values:
        made["values"] = values
    return made, [f"{name}: {mistake}" for mistake in [*mistakes, *unread]]


def _listed(given: Mapping[str, Any], folder: Path | None) -> tuple[dict[str, list[str]], list[str]]:
    """The values of text arguments that take them from a list, by `values_from` or as a form holds them; and why some cannot be read."""
    found: dict[str, list[str]] = {}
    mistakes: list[str] = []
    parameters = given.get("parameters")
    properties = parameters.get("properties") if isinstance(parameters, Mapping) else None
    properties = properties if isinstance(properties, Mapping) else {}
    held = given.get("values") if isinstance(given.get("values"), Mapping) else {}
    told = {
        name: node["values_from"] for name, node in properties.items() if isinstance(node, Mapping) and node.get("values_from") is not None
    }
    for name, place in {**(held or {}), **told}.items():
        try:
            if name not in properties or properties[name].get("type") != "string":
                raise ValueError("only a text argument takes its values from a list")
            if isinstance(place, str) and folder is None:
                raise ValueError("files cannot be named here")
            if not isinstance(place, str | list | tuple):
                raise ValueError("a list of values is expected, or FILE.csv:COLUMN")
            found[name] = values_in(place, folder) if isinstance(place, str) and folder is not None else cleaned(place)
        except ValueError as error:
            mistakes.append(f"{name}: values_from: {error}")
    return found, mistakes


def _adapted(node: Any) -> Any:
    """A schema with the names of types that JSON Schema has, and without what does not limit values."""
    if not isinstance(node, Mapping):
        return node
    made = {key: value for key, value in node.items() if key not in ("optional", "default", "additionalProperties", "values_from")}
    kind = made.get("type")
    if isinstance(kind, str):
        made["type"] = _OTHER_NAMES.get(kind.lower(), kind)
    if made.get("format") == "time" and "pattern" not in made:
        made["pattern"] = _CLOCK
    if made.get("format") is not None and made["format"] not in _KNOWN_FORMATS:
        del made["format"]
    if isinstance(made.get("properties"), Mapping):
        made["properties"] = {name: _adapted(one) for name, one in made["properties"].items()}
    if made.get("type") == "array":
        made["items"] = _adapted(made.get("items") or {"type": "string"})
    return made
