"""Command-line flags drawn from the settings of the parts that own them: each setting is written once."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Mapping
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


def with_recipe_flags(function: Callable[..., None], drawn: Mapping[str, tuple[str, str, FieldInfo]]) -> Callable[..., None]:
    """The function with the drawn flags added to its signature in place of its `**given`. Flags that are not given are None."""
    signature = inspect.signature(function)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    added = [_parameter(name, field, f"Settings: {section}") for name, (section, _, field) in drawn.items()]
    _sign(function, function, own, added)
    return function


def with_flags(owner: type[Settings]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorates a verb whose first parameter is a settings object: each of its settings becomes a flag (`--name`, or its own flag).

    A value out of the settings' limits raises RecipeError with every mistake.
    """

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
        added = [_parameter(name, field, "Settings") for name, field in owner.model_fields.items()]
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


def _parameter(name: str, field: FieldInfo, panel: str) -> inspect.Parameter:
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


def _annotation(name: str, field: FieldInfo, panel: str) -> Any:
    flag = flag_of(name, field)
    default = "" if field.default in (None, False, (), "") else f" (default: {field.default})"
    kind, choices = _kind(field.annotation)
    help = f"{field.description or ''}{f' One of: {choices}.' if choices else ''}{default}"
    declared = f"{flag}/--no-{flag.lstrip('-')}" if kind is bool else flag
    return Annotated[kind | None, typer.Option(declared, help=help, show_default=False, rich_help_panel=panel)]


def flag_of(name: str, field: FieldInfo) -> str:
    """The flag of a setting: its own, or its name."""
    extra = field.json_schema_extra
    own = (extra.get("flag") or extra.get("option")) if isinstance(extra, dict) else None
    return str(own) if own else f"--{name.replace('_', '-')}"


def _kind(annotation: Any) -> tuple[Any, str]:
    """The plain type that Typer is to read, and the choices where there are some. Limits are checked by the settings themselves."""
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        annotation = next(arm for arm in typing.get_args(annotation) if arm is not type(None))
        origin = typing.get_origin(annotation)
    if origin is Literal:
        return str, ", ".join(str(choice) for choice in typing.get_args(annotation))
    if origin in (tuple, list):
        return list[str], ""
    return (annotation, "") if annotation in (str, int, float, bool) else (str, "")
