"""Tables in Markdown, and types and limits of pydantic fields in words."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import types
import typing
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

SOURCE = Path(__file__).parents[2] / "src" / "smidgen"
_NAMES = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "file", type(None): "null", Any: "any"}
_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def cell(text: object) -> str:
    """A text as a cell of a table: on one line, bars escaped."""
    return " ".join(str(text or "").split()).replace("|", "\\|")


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; nothing where there are no rows."""
    lines = ["| " + " | ".join(cell(one) for one in row) + " |" for row in rows]
    return "\n".join(["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads), *lines, ""]) if lines else ""


def kind(annotation: Any) -> str:
    """A type in words; a model by its name, as a link to its heading."""
    origin, arms = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(annotation, typing.TypeAliasType if hasattr(typing, "TypeAliasType") else ()):
        return kind(annotation.__value__)
    if origin is typing.Annotated:
        return kind(arms[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(kind(arm) for arm in arms if arm is not type(None)))
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in arms)
    if origin in (tuple, list, frozenset, set):
        several = len(arms) > 1 and Ellipsis not in arms
        return f"list of {' and '.join(kind(arm) for arm in arms)}" if several else f"list of {kind(arms[0])}"
    if origin is dict:
        return f"object of {kind(arms[1])}"
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    if inspect.isclass(annotation) and issubclass(annotation, Enum):
        return ", ".join(f"`{member.value}`" for member in annotation)
    return _NAMES.get(annotation, "date and time" if "datetime" in str(annotation).lower() else "object")


def limits(field: FieldInfo) -> str:
    """The limits of a field, in signs: `≥ 1, ≤ 100`."""
    found = []
    for limit in field.metadata:
        found += [f"{sign} {getattr(limit, name):,}" for name, sign in _SIGNS.items() if getattr(limit, name, None) is not None]
        if getattr(limit, "max_length", None) is not None:
            found.append(f"at most {limit.max_length:,} long")
    return ", ".join(found)


def typed(field: FieldInfo) -> str:
    """Type and limits of a field."""
    return ", ".join(part for part in (kind(field.annotation), limits(field)) if part)


def default(field: FieldInfo) -> str:
    """The default of a field as code; nothing where it is none, or has to be made."""
    value = field.default
    if value is PydanticUndefined or value is None or value == () or isinstance(value, BaseModel) or value == "":
        return ""
    shown = str(value).lower() if isinstance(value, bool) else str(list(value)) if isinstance(value, tuple) else str(value)
    return f"`{shown}`"


def models_of(*roots: type[BaseModel]) -> list[type[BaseModel]]:
    """The models, and all that their fields hold, in the order of a reader who looks them up."""
    found: dict[type[BaseModel], None] = {}

    def visit(model: type[BaseModel]) -> None:
        if model not in found:
            found[model] = None
            for field in model.model_fields.values():
                for inner in _inner(field.annotation):
                    visit(inner)

    for root in roots:
        visit(root)
    return list(found)


def _inner(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for arm in typing.get_args(annotation):
        yield from _inner(arm)


def told(model: type[BaseModel]) -> tuple[str, dict[str, str]]:
    """What a model's docstring says of it, and of its fields under `Attributes:`."""
    text, _, attributes = inspect.cleandoc(model.__doc__ or "").partition("Attributes:")
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?=    \w+: )", attributes):
        name, colon, words = entry.strip().partition(": ")
        if colon and name in model.model_fields:
            found[name] = words
    return text.strip(), found


def model_sections(*roots: type[BaseModel], level: int = 3) -> str:
    """A section for each model: what it is, and a table of its fields."""
    sections = []
    for model in models_of(*roots):
        about, words = told(model)
        rows = [
            (f"`{name}`", typed(field), default(field), field.description or words.get(name, ""))
            for name, field in model.model_fields.items()
        ]
        bare = not any(row[3] for row in rows)
        heads = ["field", "type", "default", "meaning"]
        shown = table(heads[:3], (row[:3] for row in rows)) if bare else table(heads, rows)
        sections.append(f"{'#' * level} {model.__name__}\n\n{cell(about)}\n\n{shown}")
    return "\n".join(sections)


@functools.cache
def trees() -> tuple[tuple[str, ast.Module], ...]:
    """Every module of the package as it is written: its path, and its syntax tree. Read once. Samples are data, code or not."""
    files = sorted(file for file in SOURCE.rglob("*.py") if "samples" not in file.relative_to(SOURCE).parts)
    return tuple((file.relative_to(SOURCE).as_posix(), ast.parse(file.read_text(encoding="utf-8"), str(file))) for file in files)
