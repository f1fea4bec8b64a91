"""The tools of a project: as cards with every mistake at its field, and changed one by one, so that the rest of the file stays as it is."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from smidgen.core.errors import InputError, RecipeError, SmidgenError
from smidgen.parts.toml_text import EditedToml, edited, renamed
from smidgen.studio.flows.recipes.project_recipe import project_folder
from smidgen.studio.flows.tool_files.text_files import FieldMistake, TextFile, changing, read_text, write_text
from smidgen.studio.store.projects import Project
from smidgen.tools.definition import HttpTarget, McpTarget, SqlTarget, Tool
from smidgen.tools.environment import VARIABLE
from smidgen.tools.tool_file import NO_KIND, tools_and_mistakes
from smidgen.tools.tool_settings import ChosenSettings, ToolSettings

MOST_BYTES = 1_000_000
Source: TypeAlias = Literal["tools", "openapi", "mcp"]
"""The sections of a tool file that tools come from."""
_CHOSEN = {"openapi": "operations", "mcp": "tools"}
_FIELDS = {*ToolSettings.model_fields, *ChosenSettings.model_fields}
_PLACE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)((?:[.\[][^\s:]*)?): (.+)", re.DOTALL)
FILES = re.compile(r"sqlite:///(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ToolKey:
    """Where a tool stands in its file: a table of `[tools]`, or a choice under a document or a server (`origin`)."""

    source: Source
    origin: str
    id: str

    @property
    def path(self) -> tuple[str, ...]:
        """The names that lead to it."""
        return ("tools", self.id) if self.source == "tools" else (self.source, self.origin, _CHOSEN[self.source], self.id)


@dataclass(frozen=True, slots=True)
class ToolCard:
    """A tool as the page shows it.

    Attributes:
        settings: what the file says of it.
        tool: what it is; None if it has mistakes that keep it from being read.
        variables: the environment variables that it names, in order.
    """

    key: ToolKey
    settings: Mapping[str, Any]
    tool: Tool | None
    mistakes: tuple[FieldMistake, ...]
    variables: tuple[str, ...]

    @property
    def kind(self) -> str:
        """How it is called: `sql`, `http`, `mcp`, or `none` if that is not known."""
        target = self.tool.target if self.tool is not None else None
        kinds = {SqlTarget: "sql", HttpTarget: "http", McpTarget: "mcp"}
        return next((name for kind, name in kinds.items() if isinstance(target, kind)), "none")


@dataclass(frozen=True, slots=True)
class ProjectTools:
    """The tool file of a project. `tree`: what it says; empty if it is no TOML. `mistakes`: those that stand at no tool."""

    file: TextFile
    tree: Mapping[str, Any]
    cards: tuple[ToolCard, ...] = ()
    mistakes: tuple[FieldMistake, ...] = ()
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def read_project_tools(project: Project) -> ProjectTools:
    """Read the tools of a project. Mistakes are told, and keep no other tool from being shown."""
    return tools_in(read_text(project, "tools", MOST_BYTES), project)


def tools_in(file: TextFile, project: Project) -> ProjectTools:
    """The tools that a text states."""
    try:
        tree = tomllib.loads(file.text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        return ProjectTools(file, {}, mistakes=(FieldMistake("", f"the file is not TOML ({error})"),))
    folder = _folder(project, file.name)
    cards = tuple(_card(tree, key, folder, project) for key in _keys(tree))
    return ProjectTools(file, tree, cards, tuple(_mistakes_of_all(tree, cards, folder, project)))


def _folder(project: Project, name: str) -> Path:
    """The folder that the files of a tool file are relative to."""
    return (project_folder(project.id) / name).parent


def _keys(tree: Mapping[str, Any]) -> Iterator[ToolKey]:
    yield from (ToolKey("tools", "", name) for name in _table(tree, "tools"))
    for source, chosen in _CHOSEN.items():
        for origin, given in _table(tree, source).items():
            yield from (ToolKey(source, origin, id) for id in _table(given, chosen))  # type: ignore[arg-type]


def _table(tree: Any, name: str) -> Mapping[str, Any]:
    found = tree.get(name) if isinstance(tree, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _card(tree: Mapping[str, Any], key: ToolKey, folder: Path, project: Project) -> ToolCard:
    settings = _at(tree, key.path)
    mistakes = [FieldMistake(place, text) for place, text in _strays(tree, project, key)]
    tools: list[Tool] = []
    if not mistakes:
        try:
            tools, told = _read(_alone(tree, key), key, folder)
            mistakes = [_placed(text, ".".join(key.path)) for text in told]
        except SmidgenError as error:  # what reads a document is not installed
            mistakes = [FieldMistake("", str(error))]
    tool = tools[0] if len(tools) == 1 else None
    return ToolCard(key, settings if isinstance(settings, Mapping) else {}, tool, _once(mistakes), _variables(tree, key))


def _read(alone: Mapping[str, Any], key: ToolKey, folder: Path) -> tuple[list[Tool], list[str]]:
    """A tool, and every mistake in it: those that show only once its words are there, too."""
    tools, told = tools_and_mistakes(alone, folder)
    settings = _at(alone, key.path)
    if not tools and key.source == "tools" and isinstance(settings, Mapping):
        filled = {name: settings.get(name) or name for name in ("description", "words")}
        told = list(dict.fromkeys([*told, *tools_and_mistakes(_with(alone, key.path, {**settings, **filled}), folder)[1]]))
    return tools, told


def _alone(tree: Mapping[str, Any], key: ToolKey) -> dict[str, Any]:
    """The tree of a file with this tool alone, so that the mistakes of others do not hide it."""
    found: dict[str, Any] = {name: tree[name] for name in ("database",) if name in tree}
    if key.source == "tools":
        return {**found, "tools": {key.id: tree["tools"][key.id]}}
    given = dict(tree[key.source][key.origin])
    given[_CHOSEN[key.source]] = {key.id: given[_CHOSEN[key.source]][key.id]}
    return {**found, key.source: {key.origin: given}}


def _mistakes_of_all(tree: Mapping[str, Any], cards: tuple[ToolCard, ...], folder: Path, project: Project) -> Iterator[FieldMistake]:
    """Mistakes that stand at no tool: unknown names at the top, documents without a choice, one name for two tools."""
    names = [card.tool.name for card in cards if card.tool is not None]
    yield from (FieldMistake("", f"tools: {name} is the name of two") for name in sorted({name for name in names if names.count(name) > 1}))
    rest = {name: value for name, value in tree.items() if name not in ("tools", *_CHOSEN)}
    yield from (_placed(text, "") for text in tools_and_mistakes(rest, folder)[1])
    yield from (FieldMistake(name, "a table is expected") for name in ("tools", *_CHOSEN) if not isinstance(tree.get(name, {}), Mapping))
    for source, chosen in _CHOSEN.items():
        for origin, given in _table(tree, source).items():
            if not _table(given, chosen) and not _strays(tree, project, ToolKey(source, origin, "")):  # type: ignore[arg-type]
                told = tools_and_mistakes({source: {origin: given}}, folder)[1]
                yield from (FieldMistake(f"{source}.{origin}", text) for text in told)


def _placed(text: str, before: str) -> FieldMistake:
    """A mistake with the field that it stands at, below a tool's own place."""
    rest = text.removeprefix(before).removeprefix(".").removeprefix(": ")
    found = _PLACE.fullmatch(rest)
    if found is None:
        return FieldMistake("kind" if rest == NO_KIND else "", rest)
    if before == "":
        return FieldMistake(found[1] + found[2], found[3])
    if found[1] in _FIELDS:
        return FieldMistake(found[1] + found[2].replace(".str", "").replace(".dict[str,str]", ""), found[3])
    if found[1] == "the":
        return FieldMistake("arguments", found[3])
    return FieldMistake(f"arguments{found[2]}" if found[1] == "properties" else f"arguments.{found[1]}{found[2]}", found[3])


def _once(mistakes: list[FieldMistake]) -> tuple[FieldMistake, ...]:
    return tuple(dict.fromkeys(mistakes))


def _strays(tree: Mapping[str, Any], project: Project, key: ToolKey) -> list[tuple[str, str]]:
    """Files outside the project's folder: a project must not read the server's other files."""
    own = _at(tree, key.path) if key.id else {}
    origin = _table(_table(tree, key.source), key.origin) if key.origin else {}
    named = {
        "database": own.get("database", tree.get("database")) if isinstance(own, Mapping) else None,
        **({"file": origin.get("file")} if key.source == "openapi" else {}),
        **({"definitions": origin.get("definitions")} if key.source == "mcp" else {}),
    }
    strays = [(place, _OUTSIDE) for place, value in named.items() if isinstance(value, str) and _leads_out(place, value, project)]
    plan = origin.get("plan") if key.source == "mcp" else None
    return strays if not plan or (isinstance(plan, str) and VARIABLE.fullmatch(plan)) else [*strays, ("plan", _NO_VARIABLE)]


_OUTSIDE = "it must be a file in the project's own folder"
_NO_VARIABLE = "write ${NAME}, a variable whose value an owner gives under Secrets"


def _leads_out(place: str, value: str, project: Project) -> bool:
    file = value if place != "database" else (found[1] if (found := FILES.fullmatch(value)) else "")
    top = project_folder(project.id).resolve()
    # A variable within a path could lead anywhere; one that is the whole address is an owner's to set.
    return bool(file) and ("${" in file or not (top / Path(file)).resolve().is_relative_to(top))


def _variables(tree: Mapping[str, Any], key: ToolKey) -> tuple[str, ...]:
    """The variables that a tool names, by itself or through where it comes from."""
    texts = list(_texts(_at(tree, key.path)))
    if key.origin:
        origin = _table(_table(tree, key.source), key.origin)
        texts += _texts({name: value for name, value in origin.items() if name != _CHOSEN[key.source]})
    own = _at(tree, key.path)
    asks = isinstance(own, Mapping) and ("sql" in own or "guard" in own) and "database" not in own
    texts += [tree["database"]] if asks and isinstance(tree.get("database"), str) else []
    return tuple(dict.fromkeys(name for text in texts for name in VARIABLE.findall(text)))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        tree = tree.get(step) if isinstance(tree, Mapping) else None
    return tree


# Changes.


def check_tool(project: Project, key: ToolKey, settings: Mapping[str, Any], before: ToolKey | None = None) -> ToolCard:
    """A tool as it would be with these settings. Nothing is written."""
    file = read_text(project, "tools", MOST_BYTES)
    return _found(tools_in(TextFile(file.name, _changed(file, key, settings, before).text, ""), project), key)


def save_tool(
    project: Project, key: ToolKey, settings: Mapping[str, Any], stamp: str, before: ToolKey | None = None
) -> tuple[ProjectTools, bool]:
    """Add or change a tool; `before`: its place so far, where its name changes. Returns the tools, and whether all comments were kept.

    Raises RecipeError with every mistake of this tool; those of others do not matter.
    """
    with changing(project, "tools", MOST_BYTES, stamp) as file:
        earlier = tools_in(file, project)
        if before is None and _at(earlier.tree, key.path) is not None:
            raise InputError("studio.tool_of_this_name_is_there", value=key.id)
        made = _changed(file, key, settings, before)
        after = tools_in(TextFile(file.name, made.text, ""), project)
        card = _found(after, key)
        wrong = [*card.mistakes, *(one for one in after.mistakes if one not in earlier.mistakes)]
        if wrong:
            raise _refusal(key.id, wrong)
        return tools_in(write_text(project, file.name, made.text, MOST_BYTES), project), made.kept


def delete_tool(project: Project, key: ToolKey, stamp: str) -> ProjectTools:
    """Remove a tool, and a document or server of which nothing is chosen any more. Raises InputError if it is not there."""
    with changing(project, "tools", MOST_BYTES, stamp) as file:
        tree = _parsed(file)
        if _at(tree, key.path) is None:
            raise InputError("studio.there_is_no_such_tool", value=key.id)
        return tools_in(write_text(project, file.name, edited(file.text, _without(tree, key.path)).text, MOST_BYTES), project)


def save_source(project: Project, source: Source, name: str, settings: Mapping[str, Any], stamp: str) -> tuple[ProjectTools, bool]:
    """Add or replace a document or a server, with the tools that are chosen of it. Raises RecipeError with every mistake in them."""
    with changing(project, "tools", MOST_BYTES, stamp) as file:
        earlier = tools_in(file, project)
        made = edited(file.text, _with(_parsed(file), (source, name), plain_settings(settings)))
        after = tools_in(TextFile(file.name, made.text, ""), project)
        own = [card for card in after.cards if (card.key.source, card.key.origin) == (source, name)]
        wrong = [FieldMistake(f"{card.key.id}.{one.place}".rstrip("."), one.text) for card in own for one in card.mistakes]
        wrong += [one for one in after.mistakes if one not in earlier.mistakes]
        if wrong:
            raise _refusal(name, wrong)
        return tools_in(write_text(project, file.name, made.text, MOST_BYTES), project), made.kept


def save_tool_text(project: Project, text: str, stamp: str) -> ProjectTools:
    """Replace the whole file. Raises RecipeError with every mistake."""
    with changing(project, "tools", MOST_BYTES, stamp) as file:
        after = tools_in(TextFile(file.name, text, ""), project)
        wrong = [
            FieldMistake(f"{'.'.join(card.key.path)}.{one.place}".rstrip("."), one.text) for card in after.cards for one in card.mistakes
        ]
        if wrong or after.mistakes:
            raise _refusal(file.name, [*after.mistakes, *wrong])
        return tools_in(write_text(project, file.name, text, MOST_BYTES), project)


def set_database(project: Project, database: str, stamp: str) -> tuple[ProjectTools, bool]:
    """Name the database of all tools that name none of their own. Raises RecipeError for one outside the project's folder."""
    if _leads_out("database", database, project):
        raise _refusal("database", [FieldMistake("database", _OUTSIDE)])
    with changing(project, "tools", MOST_BYTES, stamp) as file:
        made = edited(file.text, {"database": database, **{name: value for name, value in _parsed(file).items() if name != "database"}})
        return tools_in(write_text(project, file.name, made.text, MOST_BYTES), project), made.kept


def _found(tools: ProjectTools, key: ToolKey) -> ToolCard:
    if tools.mistakes and not tools.cards:
        raise _refusal(tools.file.name, list(tools.mistakes))
    return next(card for card in tools.cards if card.key == key)


def _changed(file: TextFile, key: ToolKey, settings: Mapping[str, Any], before: ToolKey | None) -> EditedToml:
    tree, text = _parsed(file), file.text
    if before is not None and before != key:
        if _at(tree, key.path) is not None:
            raise InputError("studio.tool_of_this_name_is_there", value=key.id)
        tree = _renamed(tree, before, key)
        text = renamed(text, before.path, key.id) if before.path[:-1] == key.path[:-1] else text
    return edited(text, _with(tree, key.path, plain_settings(settings)))


def _renamed(tree: Mapping[str, Any], before: ToolKey, key: ToolKey) -> dict[str, Any]:
    """The tree with a tool under its new name, in the same place."""
    if before.source != key.source or before.origin != key.origin:
        return _without(tree, before.path)
    *above, _ = before.path
    table = {key.id if name == before.id else name: value for name, value in _table_at(tree, tuple(above)).items()}
    return _with(tree, tuple(above), table)


def _table_at(tree: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any]:
    found = _at(tree, path)
    return found if isinstance(found, Mapping) else {}


_DEEPEST = 12


def plain_settings(value: Any, depth: int = 0) -> Any:
    """Settings as TOML can say them: without what is null. Raises InputError for settings that are nested too deep."""
    if depth > _DEEPEST:
        raise InputError("studio.settings_are_nested_too_deep", deepest=_DEEPEST)
    if isinstance(value, Mapping):
        return {str(name): plain_settings(part, depth + 1) for name, part in value.items() if part is not None}
    if isinstance(value, list):
        return [plain_settings(part, depth + 1) for part in value if part is not None]
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError("studio.number_must_be_finite", value=value)
    return value


def _with(tree: Any, path: tuple[str, ...], value: Any) -> dict[str, Any]:
    own = dict(tree) if isinstance(tree, Mapping) else {}
    name, *rest = path
    own[name] = _with(own.get(name), tuple(rest), value) if rest else value
    return own


def _without(tree: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """The tree without what a path leads to, nor the tables that are then without a tool."""
    *above, name = path
    table = {key: value for key, value in _table_at(tree, tuple(above)).items() if key != name}
    if table:
        return _with(tree, tuple(above), table)
    return _without(tree, tuple(above[:2])) if len(above) > 1 else {key: value for key, value in tree.items() if key != above[0]}


def _parsed(file: TextFile) -> dict[str, Any]:
    try:
        return tomllib.loads(file.text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise RecipeError("studio.tool_file_is_not_toml", value=file.name, error=error) from None


def _refusal(name: str, mistakes: list[FieldMistake]) -> RecipeError:
    lines = [f"{one.place}: {one.text}" if one.place else one.text for one in mistakes]
    return RecipeError("studio.tool_settings_have_mistakes", value=name, mistakes=lines)
