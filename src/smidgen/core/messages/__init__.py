"""The sentences of errors, by code: one catalogue a language.

`core/messages/en.toml` holds those of the platform. A wing brings its own, `desk/messages/en.toml`; the first word of a code says whose it
is (`desk.…`). A catalogue has a table for each code:

    [data.column_not_in_file]
    what = "column {column, quoted} is not in the file"
    todo = "Name one of: {columns}."

`{name}` stands for a value of the error, `{name, quoted}` for the value in quotation marks, `{name, number}` for a number with separators;
`{{` and `}}` are braces.
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

_PLACE = re.compile(r"\{\{|\}\}|\{(\w+)(?:, (number|quoted))?\}")
_PACKAGE = Path(__file__).parents[2]


@functools.cache
def entry(code: str, language: str = "en") -> Mapping[str, str]:
    """The sentences of a code: `what`, `todo`, and `value` if the value is a phrase. Raises KeyError if the catalogues do not have it."""
    room, name = code.split(".")
    wing = _PACKAGE / room / "messages"
    return catalogue(wing if wing.is_dir() else _PACKAGE / "core" / "messages", language)[room][name]


@functools.cache
def catalogue(folder: Path, language: str) -> dict[str, dict[str, dict[str, str]]]:
    """A catalogue: of each room and name, the sentences."""
    return tomllib.loads((folder / f"{language}.toml").read_text(encoding="utf-8"))


def filled(text: str, values: Mapping[str, object]) -> str:
    """A sentence with its values. Raises KeyError if one is missing."""
    return _PLACE.sub(lambda found: _shown(found, values), text)


def places(text: str) -> set[str]:
    """The names of the values that a sentence has places for."""
    return {name for name, _ in _PLACE.findall(text) if name}


def _shown(found: re.Match[str], values: Mapping[str, object]) -> str:
    name, form = found.groups()
    if name is None:
        return found[0][0]
    return f"{values[name]:,}" if form == "number" else repr(values[name]) if form == "quoted" else f"{values[name]}"
