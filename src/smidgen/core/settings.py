"""Settings: each is written once, in the part that owns it.

Command-line flags, `--help`, the recipe's schema and the Studio's forms are generated from these models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo


class Settings(BaseModel):
    """Base of every part's settings: immutable, and an unknown name is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), populate_by_name=True)
    title: ClassVar[str] = "Options"
    """The heading of its flags in help, if it is a section."""

    def given(self) -> dict[str, Any]:
        """The settings that were given, by their names in flags and recipes."""
        found: dict[str, Any] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if section_of(field) is not None:
                found |= value.given()
            elif name in self.model_fields_set:
                found[field.alias or name] = value
        return found


class SectionedSettings(Settings):
    """Settings in sections, each with a class of its own. Flags and recipes give them flat: `cache_scope` is `cache.scope`."""

    @model_validator(mode="before")
    @classmethod
    def _sort(cls, given: Any) -> Any:
        """Sort flat settings into the sections."""
        if not isinstance(given, Mapping):
            return given
        owners = {key: name for name, section in _sections(cls).items() for key in settings_of(section)}
        tree: dict[str, Any] = {}
        for key, value in given.items():
            if key in owners and not isinstance(value, Settings):
                tree.setdefault(owners[key], {})[key] = value
            else:
                tree[key] = value
        return tree


_MISTAKES = {
    "missing": "must be given",
    "extra_forbidden": "is unknown here",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be a text",
}
"""Plain words for pydantic's errors, by their type; other types keep pydantic's own words."""


def section_of(field: FieldInfo) -> type[Settings] | None:
    """The class of a field that is a section; None for a plain setting."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Settings) else None


def settings_of(owner: type[Settings]) -> dict[str, FieldInfo]:
    """Every setting of a class and its sections, by its name in flags and recipes."""
    found: dict[str, FieldInfo] = {}
    for name, field in owner.model_fields.items():
        section = section_of(field)
        found |= {field.alias or name: field} if section is None else settings_of(section)
    return found


def place_of(owner: type[Settings], place: Sequence[Any]) -> list[str]:
    """The place of a mistake, from pydantic's path: the setting's name first, without its section."""
    steps = [str(step) for step in place]
    return steps[1:] if len(steps) > 1 and steps[0] in _sections(owner) else steps


def _sections(owner: type[Settings]) -> dict[str, type[Settings]]:
    return {name: section for name, field in owner.model_fields.items() if (section := section_of(field)) is not None}


def setting(
    default: Any,
    help: str,
    *,
    flag: str | None = None,
    also: str | None = None,
    option: str | None = None,
    metavar: str | None = None,
    hidden: bool = False,
    file: bool = False,
    with_data: bool = False,
    **limits: Any,
) -> Any:
    """Declare one setting: its default, its help in one sentence, its limits (`ge`, `le`, `gt`, `pattern`, as in pydantic).

    `alias`: its name in flags and recipes, if it differs from the field's. `flag`: a command-line flag of its own (`--quality`); `--set
    section.name=value` reaches every setting anyway. `also`: another name of that flag. `option`: its flag for a verb that takes all
    settings of its class, if a Python name cannot be it (`--pass`). `metavar`: its value's name in help. `hidden`: messages never show its
    value, because it may be a secret in the wrong place. `file`: the value is a path, relative to the recipe's folder. `with_data`: it
    belongs to the recipe's own rows, so that `smidgen build RECIPE --data FILE` leaves it out.
    """
    told = {"flag": flag, "also": also, "option": option, "metavar": metavar, "hidden": hidden, "file": file, "with_data": with_data}
    extra: JsonDict = {name: value for name, value in told.items() if value}
    return Field(default, description=help, json_schema_extra=extra or None, **limits)


def mistake_in(entry: Mapping[str, Any]) -> str:
    """Describe the mistake in a value in plain words, from one of pydantic's errors."""
    said = _MISTAKES.get(entry["type"]) or entry["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    return f"{said[0].lower()}{said[1:]}"


def is_hidden(field: FieldInfo) -> bool:
    """Whether messages must not show a setting's value."""
    return isinstance(field.json_schema_extra, dict) and bool(field.json_schema_extra.get("hidden"))


def is_with_data(field: FieldInfo) -> bool:
    """Whether a setting belongs to the rows that its recipe names, and to no others."""
    return isinstance(field.json_schema_extra, dict) and bool(field.json_schema_extra.get("with_data"))


def is_file(field: FieldInfo) -> bool:
    """Whether a setting is the name of a file."""
    return isinstance(field.json_schema_extra, dict) and bool(field.json_schema_extra.get("file"))
