"""A recipe to start from: every setting of a task with its help and its default, drawn from the settings themselves."""

from __future__ import annotations

import json
import textwrap
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

from pydantic.fields import FieldInfo

from smidgen.core.settings import Settings, settings_of
from smidgen.parts.recipe import owners_of

_WIDTH = 110


def template(task: str, live: Mapping[str, Mapping[str, Any]], name: str = "my-model") -> str:
    """A commented recipe for a task.

    Args:
        task: name of the task part.
        live: section -> setting -> value: the settings that are written out; every other one stands there as a comment with its default.
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
        lines += ["", *_section(section, owner, live.get(section, {}))]
    return "\n".join(lines) + "\n"


def _section(section: str, owner: type[Settings], live: Mapping[str, Any]) -> list[str]:
    lines = [f"[{section}]", *_comment(" ".join((owner.__doc__ or "").split("\n\n")[0].split()))]
    for name, field in settings_of(owner).items():
        lines += ["", *_comment(f"{field.description or name}{_limits(field)}")]
        lines.append(f"{name} = {_toml(live[name])}" if name in live else f"# {name} = {_default(field)}")
    return lines


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, _WIDTH)]


def _limits(field: FieldInfo) -> str:
    """What values a setting takes, where that is not any: its choices, or its bounds."""
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
    """The default as TOML; for a setting that is not set, a value of its type to write over."""
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


def _toml(value: Any) -> str:
    """A plain value; JSON's spelling of strings, numbers, booleans and lists is TOML's too."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
