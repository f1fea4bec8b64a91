"""Make command-line flags from settings, so that each setting is written once."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import pydantic
import typer
from pydantic.fields import FieldInfo

from smidgen.core.errors import RecipeError
from smidgen.core.settings import Settings, is_hidden, mistake_in, place_of, section_of, settings_of

S = TypeVar("S", bound=Settings)
Threads = Annotated[int | None, typer.Option(min=1, help="Threads to compute with (default: one a core).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="Any setting: section.name=value. May be repeated.")]
_TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]


def flags(sections: Iterable[tuple[str, type[Settings]]]) -> dict[str, tuple[str, str, FieldInfo]]:
    """Return every setting with its own flag: parameter name -> (section, setting, field). A flag shared by two tasks is one flag."""
    found: dict[str, tuple[str, str, FieldInfo]] = {}
    for section, owner in sections:
        for name, field in settings_of(owner).items():
            extra = field.json_schema_extra
            if isinstance(extra, dict) and isinstance(extra.get("flag"), str):
                flag = str(extra["flag"])
                found.setdefault(flag.lstrip("-").replace("-", "_"), (section, name, field))
    return found


def with_recipe_flags(
    function: Callable[..., None], drawn: Mapping[str, tuple[str, str, FieldInfo]], first: Collection[str] = ()
) -> Callable[..., None]:
    """Return the function with the flags in its signature in place of its `**given`. Flags that are not given are None.

    In help, the flags named in `first` are shown with the function's own flags; each other one is in a panel for its recipe section.
    """
    signature = inspect.signature(function)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    panels = {
        name: None if name in first else f"{section.rpartition('.')[2].capitalize()}: [{section}] of a recipe"
        for name, (section, _, _) in drawn.items()
    }
    _sign(function, function, [*own, *(_parameter(name, field, panels[name]) for name, (_, _, field) in drawn.items())])
    return function


def with_flags(
    owner: type[Settings], first: Sequence[str] = (), without: Collection[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate a verb whose first parameter is a settings object: each setting not in `without` becomes a flag (`--name`, or its own flag).

    In help, the settings named in `first` are shown with the verb's own flags, those of a section under its title, and the rest under
    "More options". A value outside the limits of its setting raises RecipeError with every mistake.
    """
    titles: dict[str, str] = {}
    for field in owner.model_fields.values():
        if (section := section_of(field)) is not None:
            titles |= dict.fromkeys(settings_of(section), section.title)
    fields = {name: field for name, field in settings_of(owner).items() if name not in without}
    placed = [name for name in first if name in fields] + [name for name in fields if name not in first]

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def verb(**given: Any) -> None:
            values = {name: given.pop(name) for name in fields}
            function(settings_from(owner, {name: value for name, value in values.items() if value is not None and value != []}), **given)

        own = list(inspect.signature(function).parameters.values())[1:]
        panel = {name: None if name in first else titles.get(name, "More options") for name in placed}
        drawn = [_parameter(name, fields[name], panel[name]) for name in placed]
        top = [p for p in drawn if panel[p.name] is None]
        _sign(verb, function, [*top, *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own), *drawn[len(top) :]])
        return verb

    return decorate


def settings_from(owner: type[S], given: Mapping[str, Any]) -> S:
    """Make settings from values by name. Raises RecipeError with every mistake, naming the flags."""
    try:
        return owner.model_validate(given)
    except pydantic.ValidationError as error:
        mistakes = [_mistake(owner, entry) for entry in error.errors()]
        flags = ", ".join(dict.fromkeys(mistake.partition(":")[0] for mistake in mistakes))
        missing = all(entry["type"] == "missing" for entry in error.errors())
        raise RecipeError("cli.flag_is_missing" if missing else "cli.flag_has_invalid_value", value=flags, mistakes=mistakes) from None


def _mistake(owner: type[Settings], entry: Any) -> str:
    """Describe what is wrong with a flag. The value of a secret flag, or of one that names a secret, is not shown."""
    place = place_of(owner, entry["loc"])
    field = settings_of(owner).get(place[0]) if place else None
    hidden = entry["type"] == "missing" or (field is not None and (is_hidden(field) or not field.repr))
    got = "" if hidden else f", not {entry['input']!r}"
    flag = flag_of(place[0], field) if field is not None else f"--{place[0]}" if place else ""
    return f"{'.'.join([flag, *place[1:]])}: {mistake_in(entry)}{got}"


def _parameter(name: str, field: FieldInfo, panel: str | None) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(name, field, panel))


def _sign(target: Callable[..., None], source: Callable[..., None], parameters: list[inspect.Parameter]) -> None:
    """Give `target` the parameters that Typer shows."""
    hints = typing.get_type_hints(source, include_extras=True)
    told = [p.replace(annotation=hints.get(p.name, p.annotation)) for p in parameters]
    target.__signature__ = inspect.Signature(told)  # type: ignore[attr-defined]
    target.__annotations__ = {p.name: p.annotation for p in told}


def given_tree(drawn: Mapping[str, tuple[str, str, FieldInfo]], given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the given flags as recipe sections."""
    tree: dict[str, dict[str, Any]] = {}
    for name, value in given.items():
        if value is not None:
            section, setting, _ = drawn[name]
            tree.setdefault(section, {})[setting] = value
    return tree


def _annotation(name: str, field: FieldInfo, panel: str | None) -> Any:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    flag = flag_of(name, field)
    plain = field.default is None or field.default is False or field.default in ((), "")
    said = field.is_required() or plain or "(default" in (field.description or "")
    default = "" if said else f" (default: {'on' if field.default is True else field.default})"
    kind, choices = _kind(field.annotation)
    one_of = f" One of: {', '.join(choices)}." if choices else ""
    help = f"{field.description or ''}{one_of}{default}"
    declared = f"{flag}/--no-{flag.lstrip('-')}" if kind is bool and "option" not in extra else flag

    def completed(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    option = typer.Option(
        declared,
        *([str(extra["also"])] if "also" in extra else []),
        help=help,
        show_default=False,
        metavar=str(extra["metavar"]) if "metavar" in extra else None,
        rich_help_panel=panel,
        autocompletion=completed if choices else None,
        formats=_TIMES if kind is datetime else None,
    )
    return Annotated[kind | None, option]


def flag_of(name: str, field: FieldInfo) -> str:
    """Return the flag of a setting: its own, or its name."""
    extra = field.json_schema_extra
    own = (extra.get("flag") or extra.get("option")) if isinstance(extra, dict) else None
    return str(own) if own else f"--{name.replace('_', '-')}"


def _kind(annotation: Any) -> tuple[Any, list[str]]:
    """Return the plain type for Typer, and the choices if there are any. The settings themselves check limits."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return _kind(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return _kind(next(arm for arm in typing.get_args(annotation) if arm is not type(None)))
    if origin is Literal:
        return str, [str(choice) for choice in typing.get_args(annotation)]
    if origin in (tuple, list):
        return list[Path] if typing.get_args(annotation)[0] is Path else list[str], []
    return (annotation, []) if annotation in (str, int, float, bool, Path, datetime) else (str, [])
