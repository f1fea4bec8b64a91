"""Settings: each is written once, in the part that owns it.

Command-line flags, `--help`, the recipe's schema and the Studio's forms are drawn from these models.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo


class Settings(BaseModel):
    """Base of every part's settings: immutable, and a name that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


def setting(
    default: Any, help: str, *, flag: str | None = None, option: str | None = None, hidden: bool = False, file: bool = False, **limits: Any
) -> Any:
    """One setting: its default, its help in one sentence, its limits (`ge`, `le`, `gt`, `pattern`, as in pydantic).

    `flag` gives it a command-line flag of its own (`--quality`); every setting can be reached by `--set section.name=value` anyway.
    `option` names its flag for a verb that takes all settings of its class: `--pass`, which cannot be a Python name. What
    was given to a `hidden` one is never shown in a message: it may be a secret in the wrong place. A `file` is the name of one, from the
    recipe's folder on.
    """
    named: JsonDict = {**({"flag": flag} if flag else {}), **({"option": option} if option else {})}
    extra: JsonDict = {**named, **({"hidden": True} if hidden else {}), **({"file": True} if file else {})}
    return Field(default, description=help, json_schema_extra=extra or None, **limits)


def is_hidden(field: FieldInfo) -> bool:
    """Whether what was given to a setting must not be shown."""
    return isinstance(field.json_schema_extra, dict) and bool(field.json_schema_extra.get("hidden"))


def is_file(field: FieldInfo) -> bool:
    """Whether a setting is the name of a file."""
    return isinstance(field.json_schema_extra, dict) and bool(field.json_schema_extra.get("file"))
