"""The sentences of errors, by code: one catalogue a language.

`core/messages/en.toml` and `de.toml` hold those of the platform. A wing brings its own, `desk/messages/en.toml`; the first word of a code
says whose it is (`desk.…`). A catalogue has a table for each code:

    [data.column_not_in_file]
    what = "column {column, quoted} is not in the file"
    todo = "Name one of: {columns}."

`{name}` stands for a value of the error, `{name, quoted}` for the value in quotation marks, `{name, number}` for a number with separators;
`{{` and `}}` are braces.
"""

from __future__ import annotations

import functools
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

LANGUAGES = ("en", "de")
_PLACE = re.compile(r"\{\{|\}\}|\{(\w+)(?:, (number|quoted))?\}")
_PACKAGE = Path(__file__).parents[2]


def preferred_language(environment: Mapping[str, str] = os.environ) -> str:
    """The language of this user's messages, from the variables that gettext reads, in its order; English where there are no catalogues."""
    chosen = next(filter(None, map(environment.get, ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"))), "")
    names = (re.split("[_.@]", name)[0] for name in chosen.split(":"))
    return next((name for name in names if name in LANGUAGES), "en")


@functools.cache
def entry(code: str, language: str = "en") -> Mapping[str, str]:
    """The sentences of a code: `what`, `todo`, and `value` if the value is a phrase. Raises KeyError if the catalogues do not have it.
    A wing that has no catalogue in the language speaks English."""
    room, name = code.split(".")
    wing = _PACKAGE / room / "messages"
    folder = wing if wing.is_dir() else _PACKAGE / "core" / "messages"
    return catalogue(folder, language if (folder / f"{language}.toml").is_file() else "en")[room][name]


@functools.cache
def catalogue(folder: Path, language: str) -> dict[str, dict[str, dict[str, str]]]:
    """A catalogue: of each room and name, the sentences."""
    return tomllib.loads((folder / f"{language}.toml").read_text(encoding="utf-8"))


def filled(text: str, values: Mapping[str, object], language: str = "en") -> str:
    """A sentence with its values. Raises KeyError if one is missing."""
    return _PLACE.sub(lambda found: _shown(found, values, language), text)


def places(text: str) -> set[str]:
    """The names of the values that a sentence has places for."""
    return {name for name, _ in _PLACE.findall(text) if name}


def _shown(found: re.Match[str], values: Mapping[str, object], language: str) -> str:
    name, form = found.groups()
    if name is None:
        return found[0][0]
    if form == "number" and not isinstance(values[name], str):  # of an error that is raised again from its JSON, "inf" is a text
        number = f"{values[name]:,}"
        return number.translate(_GERMAN_NUMBER) if language == "de" else number
    return repr(values[name]) if form == "quoted" else f"{values[name]}"


_GERMAN_NUMBER = str.maketrans(",.", ".,")
