"""Tool files: TOML that says which tools a desk has, and how each is called.

```toml
database = "sqlite:///orders.db"

[tools.order_status]
description = "Look up an order"
words = "Look up order {order}"
changes = false
confirm = "never"
owner = ["order", "email"]
sql = "SELECT status FROM orders WHERE order_id = :order AND lower(email) = lower(:email)"

[tools.order_status.arguments]
order = { type = "string", pattern = "FH-[0-9]{5}", title = "order number" }
email = { type = "string", format = "email", title = "e-mail address" }
```
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from pydantic import ValidationError

from smidgen.core.errors import RecipeError
from smidgen.core.settings import mistake_in
from smidgen.tools.arguments import TYPES, schema_mistakes
from smidgen.tools.definition import (
    NAME,
    WHOLE_MESSAGE,
    FoundTool,
    HttpTarget,
    McpTarget,
    SqlTarget,
    Target,
    Tool,
    ToolExample,
    plain_name,
    slots,
)
from smidgen.tools.environment import VARIABLE
from smidgen.tools.mcp_servers import read_definitions
from smidgen.tools.openapi_documents import read_operations
from smidgen.tools.results import plain_text
from smidgen.tools.shown_values import ByLanguage, ShownColumn, in_language
from smidgen.tools.sql_calls import named_parameters, statement_faults
from smidgen.tools.tool_settings import ChosenSettings, HttpSettings, SeenSettings, ToolFileSettings, ToolSettings

NO_KIND = "give either sql or http"
_NAME_RULE = "a tool's name has lower-case letters, digits and underscores, and begins with a letter"
_MOST_BYTES = 1_000_000
_MOST_TOOLS = 100
_LANGUAGE = re.compile(r"([a-z]{2,3}(-[A-Za-z]{2,8})?)?")


def read_tools(file: Path) -> tuple[Tool, ...]:
    """The tools that a tool file states, in its order. Raises RecipeError with all mistakes in it. Asks no server."""
    tools, mistakes = _tools_of(read_settings(file), file.resolve().parent)
    if not tools and not mistakes:
        mistakes.append("tools: it has none")
    if mistakes:
        raise _refusal(file, mistakes)
    return tuple(tools)


def tools_and_mistakes(tree: Mapping[str, Any], folder: Path) -> tuple[list[Tool], list[str]]:
    """The tools that a tool file's tree states, and every mistake in it, each behind its place. Its files are relative to `folder`."""
    try:
        given = ToolFileSettings.model_validate(tree)
    except ValidationError as error:
        return [], _mistakes_in(error)
    return _tools_of(given, folder.resolve())


def _tools_of(given: ToolFileSettings, folder: Path) -> tuple[list[Tool], list[str]]:
    mistakes = list[str]()
    tools: list[Tool] = []
    for name, settings in given.tools.items():
        tool, faults = _tool(name, settings, given.database, folder)
        mistakes += [f"tools.{name}: {fault}" for fault in faults]
        tools.append(tool)
    for place, found, chosen, preview in [*_operations(given, folder, mistakes), *_mcp_tools(given, folder, mistakes)]:
        tool, faults = _chosen(found, chosen, given.database, folder, preview)
        mistakes += [f"{place}: {fault}" for fault in faults]
        tools.append(tool)
    names = [tool.name for tool in tools]
    mistakes += [f"tools: {name} is the name of two" for name in sorted({name for name in names if names.count(name) > 1})]
    if len(tools) > _MOST_TOOLS:
        mistakes.append(f"tools: a desk has at most {_MOST_TOOLS}")
    return tools, mistakes


def _mistakes_in(error: ValidationError) -> list[str]:
    return [f"{'.'.join(map(str, entry['loc']))}: {mistake_in(dict(entry))}" for entry in error.errors()]


def called_tools(known: Sequence[Tool], file: Path) -> tuple[Tool, ...]:
    """Known tools with how they are called, as a tool file says. Raises RecipeError if it has mistakes, or other tools."""
    found = {tool.name: tool for tool in read_tools(file)}
    other = [tool.name for tool in known if tool.name not in found or found[tool.name].schema != tool.schema]
    if other:
        raise RecipeError("tools.tool_file_has_other_tools_than_desk", value=", ".join(other))
    return tuple(found[tool.name] for tool in known)


_Chosen: TypeAlias = tuple[str, FoundTool, ChosenSettings, FoundTool | None]
"""The place in the file, the tool, what the file says of it, and its preview."""


def _operations(given: ToolFileSettings, folder: Path, mistakes: list[str]) -> list[_Chosen]:
    """The chosen operations of every OpenAPI document, with their places in the file."""
    chosen: list[_Chosen] = []
    for name, document in given.openapi.items():
        place = f"openapi.{name}"
        try:
            found = {one.id: one for one in read_operations(folder / document.file, document.server, document.headers)}
        except RecipeError as error:
            mistakes.append(f"{place}: {error}")
            continue
        chosen += _matched(found, document.operations, f"{place}.operations", mistakes)
    return chosen


def _mcp_tools(given: ToolFileSettings, folder: Path, mistakes: list[str]) -> list[_Chosen]:
    """The chosen tools of every MCP server, with their places in the file."""
    chosen: list[_Chosen] = []
    for name, server in given.mcp.items():
        place = f"mcp.{name}"
        if sum(map(bool, (server.command, server.url, server.plan))) != 1:
            mistakes.append(f"{place}: give either command, plan or url")
            continue
        try:
            found = {one.id: one for one in read_definitions(folder / server.definitions, server, folder)}
        except RecipeError as error:
            mistakes.append(f"{place}: {error}")
            continue
        chosen += _matched(found, server.tools, f"{place}.tools", mistakes)
    return chosen


def _matched(found: Mapping[str, FoundTool], chosen: Mapping[str, ChosenSettings], place: str, mistakes: list[str]) -> list[_Chosen]:
    if not chosen:
        mistakes.append(f"{place}: choose at least one of: {', '.join(sorted(found)[:30])}")
    mistakes += [f"{place}.{name}: there is none; there are: {', '.join(sorted(found)[:30])}" for name in chosen if name not in found]
    for name, settings in chosen.items():
        if settings.preview and settings.preview not in found:
            mistakes.append(f"{place}.{name}: preview: there is no {settings.preview}; there are: {', '.join(sorted(found)[:30])}")
    return [(f"{place}.{name}", found[name], one, found.get(one.preview)) for name, one in chosen.items() if name in found]


def _chosen(
    found: FoundTool, settings: ChosenSettings, database: str | None, folder: Path, preview: FoundTool | None
) -> tuple[Tool, list[str]]:
    """A tool that is described elsewhere, and all mistakes in it. `preview`: the tool beside it that says what a call would do."""
    mistakes = [*found.faults, *schema_mistakes(found.schema)]
    properties = found.schema.get("properties", {})
    mistakes += [f"values_from: {one} is no argument" for one in settings.values_from if one not in properties]
    listed = {one: {**properties[one], "values_from": values} for one, values in settings.values_from.items() if one in properties}
    if settings.message:
        fits = properties.get(settings.message, {}).get("type") == "string" and settings.message not in listed
        mistakes += [] if fits else [f"message: {settings.message} is no text argument, or takes its values from a list"]
        listed |= {settings.message: {**properties[settings.message], WHOLE_MESSAGE: True}} if fits else {}
    schema = {**found.schema, "properties": {**properties, **listed}} if listed else found.schema
    name = settings.name or plain_name(found.id)
    if not NAME.fullmatch(name):
        mistakes.append(f"name: {_NAME_RULE}")
    target = replace(found.target, result=settings.result) if isinstance(found.target, HttpTarget) else found.target
    source = settings.database or database
    if settings.guard is not None:
        mistakes += _sql_faults(settings.guard, source, found.schema, "guard")
    guard: SqlTarget | McpTarget | None = None
    if settings.guard is not None:
        guard = SqlTarget(settings.guard.strip(), source or "", str(folder))
    if preview is not None:
        mistakes += _preview_faults(preview, found, settings)
        guard = preview.target if isinstance(preview.target, McpTarget) else guard
    description = " ".join((settings.description or plain_text(found.description) or name.replace("_", " ")).split())[:2000]
    tool = Tool(
        name=name,
        description=description,
        schema=schema,
        changes=found.changes if settings.changes is None else settings.changes,
        target=target,
        guard=guard,
        words=_by_language(settings.words),
        **_seen(settings),
    )
    return tool, mistakes + _template_faults(tool) + _owner_faults(tool)


def _preview_faults(preview: FoundTool, found: FoundTool, settings: ChosenSettings) -> list[str]:
    """Mistakes of a preview: it must read, and take every argument of the tool."""
    lacking = sorted(set(found.schema.get("properties", {})) - set(preview.schema.get("properties", {})))
    faults = [
        (not isinstance(preview.target, McpTarget), "only tools of an MCP server have one"),
        (preview.changes, f"{preview.id} may change something: the server does not say that it only reads"),
        (settings.guard is not None, "give either a guard or a preview"),
        (bool(lacking), f"{preview.id} lacks arguments of {found.id}: {', '.join(lacking)}"),
    ]
    return [f"preview: {fault}" for there, fault in faults if there]


def _seen(settings: SeenSettings, titles: Mapping[str, ByLanguage] = MappingProxyType({})) -> dict[str, Any]:
    """How a tool appears to customers, as a tool's attributes. `titles`: those that stand with its arguments."""
    return {
        "confirm": settings.confirm,
        "examples": tuple(ToolExample(one.message, one.arguments) for one in settings.examples),
        "owner": tuple(settings.owner),
        "answer": _by_language(settings.answer),
        "nothing": _by_language(settings.nothing),
        "refusals": {code: _by_language(texts) for code, texts in settings.refusals.items()},
        "card": settings.card,
        "titles": {**titles, **{name: _by_language(texts) for name, texts in settings.titles.items()}},
        "columns": {name: ShownColumn(_by_language(one.name), one.kind, one.currency) for name, one in settings.columns.items()},
        "links": tuple(host.lower() for host in settings.links),
    }


def read_settings(file: Path) -> ToolFileSettings:
    """The settings in a tool file. Raises RecipeError with all mistakes in it."""
    if not file.is_file():
        raise RecipeError("tools.there_is_no_such_tool_file", value=str(file))
    if file.stat().st_size > _MOST_BYTES:
        raise RecipeError("tools.tool_file_is_too_large", st_size=file.stat().st_size)
    try:
        return ToolFileSettings.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError("tools.tool_file_is_not_toml", value=str(file), error=error) from None
    except ValidationError as error:
        raise _refusal(file, _mistakes_in(error)) from None


def _refusal(file: Path, mistakes: list[str]) -> RecipeError:
    return RecipeError("tools.tool_file_has_mistakes", value=str(file), mistakes=mistakes)


def _tool(name: str, settings: ToolSettings, database: str | None, folder: Path) -> tuple[Tool, list[str]]:
    """The tool, and all mistakes in it."""
    mistakes: list[str] = []
    if not NAME.fullmatch(name):
        mistakes.append(f"name: {_NAME_RULE}")
    schema = argument_schema(settings.arguments)
    mistakes += schema_mistakes(schema)
    source = settings.database or database
    target: Target | None = None
    if (settings.sql is None) == (settings.http is None):
        mistakes.append(NO_KIND)
    elif settings.sql is not None:
        target = SqlTarget(settings.sql.strip(), source or "", str(folder))
        mistakes += _sql_faults(settings.sql, source, schema, "sql")
        if settings.changes:
            mistakes.append("changes: sql only reads, so write changes = false")
    elif settings.http is not None:
        target = HttpTarget(**settings.http.model_dump())
        mistakes += _http_faults(settings.http, schema)
    if settings.guard is not None:
        mistakes += _sql_faults(settings.guard, source, schema, "guard")
    tool = Tool(
        name=name,
        description=" ".join(settings.description.split()),
        schema=schema,
        changes=settings.changes,
        words=_by_language(settings.words),
        target=target,
        guard=SqlTarget(settings.guard.strip(), source or "", str(folder)) if settings.guard is not None else None,
        **_seen(settings, _titles(settings.arguments)),
    )
    return tool, mistakes + _template_faults(tool) + _owner_faults(tool)


def argument_schema(arguments: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The JSON Schema of arguments as a tool file states them: each is required unless it says `required = false`, and a pattern is
    matched by the whole value."""
    properties: dict[str, Any] = {}
    for name, given in arguments.items():
        node = {key: value for key, value in given.items() if key != "required"}
        if isinstance(node.get("title"), Mapping):
            node["title"] = in_language(node["title"], "en")
        node.setdefault("type", "string")
        if isinstance(node.get("pattern"), str):
            node["pattern"] = f"^(?:{node['pattern'].removeprefix('^').removesuffix('$')})$"
        properties[name] = node
    required = [name for name, given in arguments.items() if given.get("required", True) is not False]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _titles(arguments: Mapping[str, Mapping[str, Any]]) -> dict[str, ByLanguage]:
    """The names in words that arguments have by language."""
    given = {name: node.get("title") for name, node in arguments.items()}
    return {name: dict(texts) for name, texts in given.items() if isinstance(texts, Mapping)}


def _by_language(given: str | Mapping[str, str]) -> ByLanguage:
    if isinstance(given, str):
        return {"": given} if given else {}
    return dict(given)


def _sql_faults(sql: str, database: str | None, schema: Mapping[str, Any], setting_name: str) -> list[str]:
    found = [] if database else [f"{setting_name}: no database is named; write database = at the top of the file"]
    unknown = sorted(set(named_parameters(sql)) - set(schema["properties"]))
    found += [f"{setting_name}: {fault}" for fault in statement_faults(sql)]
    return found + [f"{setting_name}: :{name} is no argument" for name in unknown]


def _http_faults(http: HttpSettings, schema: Mapping[str, Any]) -> list[str]:
    """Arguments may stand in the path, the query and the body: never in scheme, host, port or headers."""
    found: list[str] = []
    texts = [
        ("http.url", http.url),
        *((f"http.headers.{name}", line) for name, line in http.headers.items()),
        *_texts(http.body, "http.body"),
    ]
    for place, text in texts:
        try:
            names = list(slots(VARIABLE.sub("", text)))
        except ValueError as error:
            found.append(f"{place}: {error}")
            continue
        found += [f"{place}: {{{name}}} is no argument" for name in names if name not in schema["properties"]]
        if names and place.startswith("http.headers"):
            found.append(f"{place}: no argument may stand in a header")
    base = re.match(r"(?:https?://[^/?#{}\s@]+|\$\{[A-Za-z_][A-Za-z0-9_]*\})(?=[/?]|$)", http.url)
    if base is None:
        found.append("http.url: it begins with https://HOST/, or with ${NAME} for an address in an environment variable")
    if "#" in http.url:
        found.append("http.url: a fragment (#) is never sent; leave it out")
    if http.method == "GET" and http.body is not None:
        found.append("http.body: GET has no body")
    return found


def _texts(value: Any, place: str) -> list[tuple[str, str]]:
    """Every text in a body, with its place."""
    if isinstance(value, str):
        return [(place, value)]
    if isinstance(value, Mapping):
        return [one for name, part in value.items() for one in _texts(part, f"{place}.{name}")]
    if isinstance(value, list):
        return [one for number, part in enumerate(value) for one in _texts(part, f"{place}[{number}]")]
    return []


def _template_faults(tool: Tool) -> list[str]:
    found: list[str] = []
    refusals = [(f"refusals.{code}", texts) for code, texts in tool.refusals.items()]
    found += [f"refusals: {code!r} is no HTTP status of a refusal" for code in tool.refusals if not re.fullmatch("4[0-9][0-9]", code)]
    for name, texts in tool.titles.items():
        argument, _, choice = name.partition(".")
        where = f"titles.{name}" if choice else f"arguments.{name}.title"
        if argument not in tool.properties or (choice and choice not in _choices(tool.properties[argument])):
            found.append(f"{where}: there is no such argument or choice")
        found += [f"{where}.{language}: write a text" for language, text in texts.items() if not isinstance(text, str) or not text.strip()]
        found += [f"{where}: {language!r} is no language; write en or de" for language in texts if not _LANGUAGE.fullmatch(language)]
    for where, texts in [("words", tool.words), ("answer", tool.answer), ("nothing", tool.nothing), *refusals]:
        for language, text in texts.items():
            place = f"{where}.{language}" if language else where
            if not _LANGUAGE.fullmatch(language):
                found.append(f"{place}: {language!r} is no language; write en or de")
            try:
                names = set(slots(text))
            except ValueError as error:
                found.append(f"{place}: {error}")
                continue
            if (where == "words" and not isinstance(tool.guard, McpTarget)) or where.startswith("refusals"):
                found += [f"{place}: {{{name}}} is no argument" for name in sorted(names - set(tool.properties))]
            if where == "nothing" and names:
                found.append(f"{place}: it must not name anything, because it says the same of a wrong proof and of an unknown order")
    for number, example in enumerate(tool.examples, 1):
        found += [f"examples[{number}]: {name} is no argument" for name in example.arguments if name not in tool.properties]
    return found


def _choices(schema: Mapping[str, Any]) -> set[str]:
    """The choices of an argument, or of the entries of a list."""
    node = schema.get("items", schema) if isinstance(schema.get("items", schema), Mapping) else schema
    return {str(choice) for choice in node.get("enum", ())} | {
        str(one["const"]) for kind in ("oneOf", "anyOf") for one in node.get(kind, ()) if isinstance(one, Mapping) and "const" in one
    }


def _owner_faults(tool: Tool) -> list[str]:
    found = [f"owner: {name} is no argument" for name in tool.owner if name not in tool.properties]
    optional = set(tool.properties) - set(tool.schema["required"])
    found += [f"owner: {name} must be required" for name in tool.owner if name in optional]
    kinds = {name: node.get("type") for name, node in tool.properties.items() if isinstance(node, Mapping)}
    found += [f"{name}: its type must be one of {', '.join(TYPES)}" for name, kind in kinds.items() if kind not in TYPES]
    if tool.owner:
        query = tool.target if isinstance(tool.target, SqlTarget) else tool.guard
        if not isinstance(query, SqlTarget):
            found.append("owner: give a guard, a SELECT that finds a row only if all of them match")
        else:
            names = named_parameters(query.sql)
            found += [f"owner: the query does not use :{name}" for name in tool.owner if name not in names]
    return found
