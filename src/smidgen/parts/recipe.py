"""Read a recipe: one application as a TOML file that names parts and settings and holds no code.

Each section is checked against the settings of the part that owns it, and every mistake is reported at once, with its place.
"""

from __future__ import annotations

import datetime
import difflib
import importlib
import json
import re
import textwrap
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import pydantic
from pydantic.fields import FieldInfo

from smidgen.core.errors import RecipeError, SmidgenError
from smidgen.core.settings import Settings, is_file, is_hidden, mistake_in, place_of, settings_of
from smidgen.parts import registry

OWNERS = {
    "data": "smidgen.data.source",
    "data.teacher": "smidgen.data.teacher.settings",
    "base": "smidgen.bases.lookup",
    "student": "smidgen.students.settings",
    "compress": "smidgen.compress",
    "gate": "smidgen.judge.quality_gate",
    "route": "smidgen.gateway.route_settings",
}
"""Sections that belong to a room, each with the module that defines its `SETTINGS`. `[train]` belongs to the chosen student, and a section
named like the task (`[classify]`) to the task. A name with a dot is a table inside another section."""
ROUTE = "route"
"""The section that no bundle contains: the server's operator decides where requests go."""

_LIMIT_BYTES = 1_000_000
DATA_SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet", ".xlsx", ".json")
S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class Recipe:
    """A checked recipe.

    `sections` holds the settings of every section that a bundle is built by, with defaults. Paths in them are relative to `folder`. `route`
    is `[route]`, which is neither passed on nor written out.
    """

    name: str
    task: str
    seed: int
    sections: Mapping[str, Settings]
    folder: Path = field(default_factory=Path)
    route: Settings | None = None

    def settings(self, kind: type[S]) -> S:
        """The section with settings of this class."""
        for section in self.sections.values():
            if isinstance(section, kind):
                return section
        raise KeyError(kind.__name__)

    @property
    def asked(self) -> Settings:
        """The task's own settings. Their file paths are relative to the recipe's folder."""
        return found_from(self.folder, self.sections[self.task])

    def json(self) -> dict[str, Any]:
        """The whole recipe with its defaults, JSON-ready."""
        sections = {name: section.model_dump(mode="json", exclude_none=True) for name, section in self.sections.items()}
        return {"name": self.name, "task": self.task, "seed": self.seed, **sections}

    def given(self) -> dict[str, Any]:
        """The settings that were given, without defaults. Flags are merged over these, so that another student brings its own defaults."""
        sections = {name: section.model_dump(mode="json", exclude_unset=True) for name, section in self.sections.items()}
        return {"name": self.name, "task": self.task, "seed": self.seed, **{name: kept for name, kept in sections.items() if kept}}

    def toml(self) -> str:
        """The whole recipe with its defaults, as TOML."""
        lines = [f"{key} = {_toml(value)}" for key, value in self.json().items() if not isinstance(value, dict)]
        for name, section in self.json().items():
            if isinstance(section, dict) and section:
                lines += ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in section.items())]
        return "\n".join(lines) + "\n"


def read(file: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe from a file, with `section.name=value` overrides.

    Raises RecipeError with every mistake; UnknownPart for a task or student that does not exist.
    """
    return make(load_tree(file), overrides, folder=file.parent, source=str(file))


def route(file: Path) -> Settings:
    """The `[route]` section of a recipe; its `given()` has the settings in the file. File paths are relative to the recipe's folder.

    A file without a task may hold this section alone. Raises as `read` does, and RecipeError if there is no such section.
    """
    given = load_tree(file)
    if ROUTE not in given:
        raise RecipeError("parts.recipe_has_no_section_route", value=str(file))
    if "task" in given:
        found = make(given, folder=file.parent, source=str(file)).route
        assert found is not None
        return found_from(file.parent, found)
    mistakes = [f"{other}: a recipe without a task may have only [{ROUTE}]" for other in given if other not in (ROUTE, "name")]
    section = read_section(ROUTE, _owner(OWNERS[ROUTE]), given[ROUTE], mistakes)
    if mistakes or section is None:
        raise recipe_mistakes(mistakes, str(file))
    return found_from(file.parent, section)


def parsed(text: str, source: str) -> dict[str, Any]:
    """The tree of a recipe's text. Raises RecipeError for a text that is not TOML."""
    try:
        tree: dict[str, Any] = _dates_as_text(tomllib.loads(text))
        return tree
    except tomllib.TOMLDecodeError as error:
        raise RecipeError("parts.recipe_is_not_toml", value=source, error=error) from None
    except RecursionError:
        raise RecipeError("parts.recipe_is_nested_too_deep", value=source) from None


def load_tree(file: Path) -> dict[str, Any]:
    """The tree of a recipe file. Raises RecipeError for a file that is missing, too large, or no TOML."""
    if not file.is_file():
        inner = file / "smidgen.toml"
        raise RecipeError(
            "parts.recipe_is_folder_with_file" if inner.is_file() else "parts.there_is_no_such_recipe", value=str(file), inner=inner
        )
    if file.stat().st_size > _LIMIT_BYTES:
        raise RecipeError("parts.recipe_is_too_large", path=file, st_size=file.stat().st_size)
    if file.suffix.lower() in DATA_SUFFIXES:
        raise RecipeError("parts.this_is_data_and_recipe_was_expected", value=str(file), name=file.name)
    try:
        return parsed(file.read_text(encoding="utf-8"), str(file))
    except UnicodeDecodeError as error:
        raise RecipeError("parts.recipe_is_not_toml", value=str(file), error=error) from None


def make(
    given: Mapping[str, Any], overrides: Sequence[str] = (), *, folder: Path | None = None, source: str = "the command line"
) -> Recipe:
    """Make a recipe from a mapping. Raises as `read` does."""
    tree = laid_over(given, overrides)
    task_name = tree.pop("task", None)
    if not isinstance(task_name, str):
        raise RecipeError("parts.recipe_names_no_task", value=source, names=", ".join(registry.names("tasks")))
    registry.find("tasks", task_name)
    name, seed = tree.pop("name", "model"), tree.pop("seed", 0)
    mistakes: list[str] = []
    if not isinstance(name, str) or not 0 < len(name) <= 100:
        mistakes.append(f"name: a short text is expected, not {name!r}")
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
        mistakes.append(f"seed: a whole number from 0 to 4294967295 is expected, not {seed!r}")
    _lift(tree)
    student = tree["student"].get("kind", "auto") if isinstance(tree.get("student"), dict) else "auto"
    owners = owners_of(task_name, None if student == "auto" else str(student))
    sections = {key: read_section(key, owner, tree.pop(key, {}), mistakes) for key, owner in owners.items()}
    for stranger in tree:
        mistakes.append(f"{stranger}: no such section{_meant(stranger, ['name', 'task', 'seed', *owners])}")
    if mistakes:
        raise recipe_mistakes(mistakes, source)
    routed = sections.pop(ROUTE)
    return Recipe(name, task_name, seed, {key: value for key, value in sections.items() if value is not None}, folder or Path(), routed)


def owners_of(task_name: str, student: str | None = None) -> dict[str, type[Settings]]:
    """Every section of a task's recipes with its settings class: the source of flags, help and forms."""
    task = registry.find("tasks", task_name)
    owners = {key: _owner(module) for key, module in OWNERS.items()}
    owners[task_name] = task.settings
    owners["train"] = registry.find("students", student or task.students[0]).settings
    return owners


def _owner(module: str) -> type[Settings]:
    owner: type[Settings] = importlib.import_module(module).SETTINGS
    return owner


def read_section(name: str, owner: type[Settings], given: Any, mistakes: list[str]) -> Settings | None:
    """The settings of a section; None if it has mistakes, which are added to `mistakes`, each with its place."""
    if not isinstance(given, dict):
        mistakes.append(f"{name}: a section [{name}] is expected, not {given!r}")
        return None
    try:
        return owner.model_validate(given)
    except pydantic.ValidationError as error:
        for entry in error.errors():
            steps = place_of(owner, entry["loc"])
            place = ".".join([name, *steps])
            if entry["type"] == "extra_forbidden":
                mistakes.append(f"{place}: no such setting{_meant(steps[-1], list(settings_of(owner)))}")
            else:
                # A value in the place of a secret's name may be the secret. Of a missing one the whole section would be shown.
                got = "" if entry["type"] == "missing" or _hidden(owner, steps) else f", not {entry['input']!r}"
                mistakes.append(f"{place}: {mistake_in(entry)}{got}")
        return None
    except SmidgenError as error:
        mistakes.append(f"{name}: {error}")
        return None


def _hidden(owner: type[Settings], place: Sequence[str]) -> bool:
    field = settings_of(owner).get(place[0]) if place else None
    return field is not None and is_hidden(field)


def found_from(folder: Path, settings: S) -> S:
    """The settings with file paths made relative to a folder."""
    placed: dict[str, Any] = {}
    for name, known in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, Settings):
            placed[name] = found_from(folder, value)
        elif is_file(known) and isinstance(value, Mapping):
            placed[name] = {key: str(folder / Path(one).expanduser()) for key, one in value.items()}
        elif is_file(known) and value:
            placed[name] = type(value)(folder / Path(value).expanduser())
    return settings.model_copy(update=placed)


def recipe_mistakes(mistakes: list[str], source: str) -> RecipeError:
    """The error that tells all mistakes of a recipe."""
    return RecipeError("parts.recipe_has_mistakes", value=source, count=_count(mistakes), mistakes=mistakes)


def _lift(tree: dict[str, Any]) -> None:
    """Move tables inside a section to the top level: `[data.teacher]` is a section of its own, named with its dot."""
    for name in (name for name in OWNERS if "." in name):
        outer, _, inner = name.partition(".")
        section = tree.get(outer)
        if isinstance(section, dict) and inner in section:
            tree[outer] = {key: value for key, value in section.items() if key != inner}
            given = section[inner]
            tree[name] = {**given, **tree.get(name, {})} if isinstance(given, dict) else given


def laid_over(given: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A copy of the tree with the overrides. A value is read as TOML, or as plain text if it is not TOML."""
    tree = {key: dict(value) if isinstance(value, dict) else value for key, value in given.items()}
    for override in overrides:
        path, equals, text = override.partition("=")
        outer, dot, last = path.strip().rpartition(".")
        steps = [outer, last] if dot else [last]
        if not equals or not all(steps) or (outer.count(".") and outer not in OWNERS):
            raise RecipeError("parts.override_is_not_of_form_section_name", value=override)
        try:
            value = _dates_as_text(tomllib.loads(f"value = {text}")["value"])
        except (tomllib.TOMLDecodeError, RecursionError):
            value = text
        if len(steps) == 1:
            tree[steps[0]] = value
            continue
        section = tree.setdefault(steps[0], {})
        if not isinstance(section, dict):
            raise RecipeError("parts.override_needs_section", value=override, steps=steps[0])
        section[steps[1]] = value
    return tree


def _dates_as_text(value: Any) -> Any:
    """The value with dates and times of TOML as text: settings hold them as text, and 2026-12-05 needs no quotes."""
    if isinstance(value, dict):
        return {key: _dates_as_text(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_dates_as_text(inner) for inner in value]
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else value


def _meant(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f" (there are: {', '.join(sorted(known))})"


def _count(mistakes: list[str]) -> str:
    return "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"


def written(tree: Mapping[str, Any]) -> str:
    """A recipe's tree as TOML, as it stands: its plain values, then a table for each section."""
    lines = [f"{_key(name)} = {_toml(value)}" for name, value in tree.items() if not isinstance(value, dict)]
    for name, section in tree.items():
        if isinstance(section, dict):
            inner = {key: value for key, value in section.items() if f"{name}.{key}" in OWNERS and isinstance(value, dict)}
            own = {key: value for key, value in section.items() if key not in inner}
            tables = {_key(name): own} if own or not inner else {}
            tables |= {f"{_key(name)}.{_key(key)}": value for key, value in inner.items()}
            for title, table in tables.items():
                lines += ["", f"[{title}]", *(f"{_key(key)} = {_toml(value)}" for key, value in table.items())]
    return "\n".join(lines).lstrip("\n") + "\n"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _toml(value: Any) -> str:
    """A plain value as TOML. JSON's strings, numbers and lists are TOML's too, but for a control character that JSON does not escape."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(piece) for piece in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(key)} = {_toml(piece)}" for key, piece in value.items()) + " }"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f") if isinstance(value, str) else str(value)


_WIDTH = 110


def template(task: str, live: Mapping[str, Mapping[str, Any]], name: str = "my-model") -> str:
    """A commented recipe for a task.

    Args:
        task: name of the task part.
        live: section -> setting -> value: the settings to write out; every other setting is a comment with its default.
        name: name of the model.

    Raises UnknownPart for a task that does not exist.
    """
    owners = owners_of(task)
    lines = [
        "# A smidgen recipe. Build it with: smidgen build smidgen.toml",
        "# A line that starts with # shows a setting at its default; take the # away to change it.",
        "# Paths start from the folder of this file.",
        "",
        f"name = {json.dumps(name, ensure_ascii=False)}",
        f"task = {json.dumps(task)}",
        "# Every random choice comes from this number: the same seed on the same machine gives the same model.",
        "seed = 0",
    ]
    for section, owner in owners.items():
        lines += ["", *_template_section(section, owner, live.get(section, {}))]
    return "\n".join(lines) + "\n"


def _template_section(section: str, owner: type[Settings], live: Mapping[str, Any]) -> list[str]:
    lines = [f"[{section}]", *_comment(" ".join((owner.__doc__ or "").split("\n\n")[0].split()))]
    for name, info in settings_of(owner).items():
        lines += ["", *_comment(f"{info.description or name}{_limits(info)}")]
        lines.append(f"{name} = {_toml(live[name])}" if name in live else f"# {name} = {_default(info)}")
    return lines


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, _WIDTH)]


def _limits(field: FieldInfo) -> str:
    """The values that a setting takes, in words: its choices, or its bounds; empty if any value is valid."""
    kind = _kind(field)
    if typing.get_origin(kind) is Literal:
        return f" One of: {', '.join(str(choice) for choice in typing.get_args(kind))}."
    bounds = {}
    for limit in field.metadata:
        for sign, words in (("ge", "at least"), ("gt", "over"), ("le", "at most"), ("lt", "under")):
            value = getattr(limit, sign, None)
            if value is not None:
                bounds[words] = f"{value:,}" if isinstance(value, int) and value >= 10_000 else f"{value:g}"
    return f" ({', '.join(f'{words} {value}' for words, value in bounds.items())})" if bounds else ""


def _default(field: FieldInfo) -> str:
    """The default as TOML; for a setting without one, a value of its type to write over."""
    default = field.get_default(call_default_factory=False)
    if default is not None:
        return _toml(default)
    kind = _kind(field)
    kind = type(typing.get_args(kind)[0]) if typing.get_origin(kind) is Literal else kind
    blank = {str: '"…"', int: "…", float: "…", bool: "false"}.get(kind, '"…"')
    return f"{blank}    (not set)"


def _kind(field: FieldInfo) -> Any:
    kind = field.annotation
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        kind = next(arm for arm in typing.get_args(kind) if arm is not type(None))
    return kind
