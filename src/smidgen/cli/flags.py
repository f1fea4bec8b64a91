"""Command-line flags drawn from the settings of the parts that own them: each setting is written once."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

import pydantic
import typer
from pydantic.fields import FieldInfo

from smidgen.core.errors import RecipeError
from smidgen.core.settings import Settings, is_hidden


def flags(sections: Iterable[tuple[str, type[Settings]]]) -> dict[str, tuple[str, str, FieldInfo]]:
    """Every setting with a flag of its own: parameter name -> (section, setting, field). A flag that two tasks share is one flag."""
    found: dict[str, tuple[str, str, FieldInfo]] = {}
    for section, owner in sections:
        for name, field in owner.model_fields.items():
            extra = field.json_schema_extra
            if isinstance(extra, dict) and isinstance(extra.get("flag"), str):
                flag = str(extra["flag"])
                found.setdefault(flag.lstrip("-").replace("-", "_"), (section, name, field))
    return found


def with_recipe_flags(
    function: Callable[..., None], drawn: Mapping[str, tuple[str, str, FieldInfo]], first: Collection[str] = ()
) -> Callable[..., None]:
    """The function with the drawn flags added to its signature in place of its `**given`. Flags that are not given are None.

    In help, the flags named in `first` stand among the function's own; each other one stands in a panel of its recipe section.
    """
    signature = inspect.signature(function)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    panels = {
        name: None if name in first else f"{section.rpartition('.')[2].capitalize()}: [{section}] of a recipe"
        for name, (section, _, _) in drawn.items()
    }
    added = [_parameter(name, field, panels[name]) for name, (_, _, field) in drawn.items()]
    _sign(function, function, own, added)
    return function


def with_flags(
    owner: type[Settings], panels: Mapping[str, Sequence[str]] | None = None, first: Sequence[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorates a verb whose first parameter is a settings object: each of its settings becomes a flag (`--name`, or its own flag).

    In help, the settings named in `first` stand among the verb's own flags, those of `panels` under its titles, and the rest under
    "More options". A value out of the settings' limits raises RecipeError with every mistake.
    """
    titles = {name: title for title, names in (panels or {}).items() for name in names}
    placed = [*first, *titles, *(name for name in owner.model_fields if name not in titles and name not in first)]

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def verb(**given: Any) -> None:
            values = {name: given.pop(name) for name in owner.model_fields}
            tree = {name: value for name, value in values.items() if value is not None and value != []}
            try:
                settings = owner.model_validate(tree)
            except pydantic.ValidationError as error:
                mistakes = [_mistake(owner, entry) for entry in error.errors()]
                raise RecipeError("a flag has a value it cannot have", value=len(mistakes), todo="Mend:", mistakes=mistakes) from None
            function(settings, **given)

        own = list(inspect.signature(function).parameters.values())[1:]
        panel = {name: None if name in first else titles.get(name, "More options") for name in placed}
        added = [_parameter(name, owner.model_fields[name], panel[name]) for name in placed]
        _sign(verb, function, own, added)
        return verb

    return decorate


def _mistake(owner: type[Settings], entry: Any) -> str:
    """What is wrong with a flag. What stands where a secret, or the name of one, should is not shown."""
    place = [str(step) for step in entry["loc"]]
    field = owner.model_fields.get(place[0]) if place else None
    got = "" if field is not None and (is_hidden(field) or not field.repr) else f", not {entry['input']!r}"
    flag = flag_of(place[0], field) if field is not None else f"--{place[0]}" if place else ""
    return f"{'.'.join([flag, *place[1:]])}: {entry['msg']}{got}"


def _parameter(name: str, field: FieldInfo, panel: str | None) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(name, field, panel))


def _sign(target: Callable[..., None], source: Callable[..., None], own: list[inspect.Parameter], added: list[inspect.Parameter]) -> None:
    """Give `target` the parameters that Typer is to see."""
    hints = typing.get_type_hints(source, include_extras=True)
    own = [p.replace(annotation=hints.get(p.name, p.annotation)) for p in own]
    target.__signature__ = inspect.Signature([*own, *added])  # type: ignore[attr-defined]
    target.__annotations__ = {p.name: p.annotation for p in [*own, *added]}


def given_tree(drawn: Mapping[str, tuple[str, str, FieldInfo]], given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The flags that were given, as sections of a recipe."""
    tree: dict[str, dict[str, Any]] = {}
    for name, value in given.items():
        if value is not None:
            section, setting, _ = drawn[name]
            tree.setdefault(section, {})[setting] = value
    return tree


def _annotation(name: str, field: FieldInfo, panel: str | None) -> Any:
    flag = flag_of(name, field)
    default = "" if field.default in (None, False, (), "") else f" (default: {field.default})"
    kind, choices = _kind(field.annotation)
    one_of = f" One of: {', '.join(choices)}." if choices else ""
    help = f"{field.description or ''}{one_of}{default}"
    declared = f"{flag}/--no-{flag.lstrip('-')}" if kind is bool else flag

    def completed(incomplete: str) -> list[str]:
        return [choice for choice in choices if choice.startswith(incomplete)]

    offered = completed if choices else None
    return Annotated[kind | None, typer.Option(declared, help=help, show_default=False, rich_help_panel=panel, autocompletion=offered)]


def flag_of(name: str, field: FieldInfo) -> str:
    """The flag of a setting: its own, or its name."""
    extra = field.json_schema_extra
    own = (extra.get("flag") or extra.get("option")) if isinstance(extra, dict) else None
    return str(own) if own else f"--{name.replace('_', '-')}"


def _kind(annotation: Any) -> tuple[Any, list[str]]:
    """The plain type that Typer is to read, and the choices where there are some. Limits are checked by the settings themselves."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        annotation = next(arm for arm in typing.get_args(annotation) if arm is not type(None))
        origin = typing.get_origin(annotation)
    if origin is Literal:
        return str, [str(choice) for choice in typing.get_args(annotation)]
    if origin in (tuple, list):
        return list[str], []
    return (annotation, []) if annotation in (str, int, float, bool) else (str, [])
