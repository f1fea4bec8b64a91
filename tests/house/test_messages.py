"""The catalogues of messages and the code that raises them say the same."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from smidgen.core import errors, messages

from .conftest import ROOT

PACKAGE = ROOT / "src" / "smidgen"
CATALOGUES = sorted(PACKAGE.glob("*/messages/en.toml"))
OWN = {
    "file",
    "row",
    "column",
    "above",
    "status",
    "code",
    "param",
    "mistakes",
    "changed",
    "missing",
    "facts",
    "errno",
    "beside",
    "passing",
    "after",
    "unsure",
    "answer",
    "value",
}
"""Arguments of the classes themselves."""


GIVEN_BY_HELPERS = {"receive_file": {"most"}, "WorkerErrors": {"seconds", "memory"}}
"""What fills in the messages of the codes that these are given, in place of the call."""
WORDS = "core.words"
"""The words around messages: "error", and how a row and a column are named."""


def every_message(language: str) -> dict[str, dict[str, str]]:
    """All messages of a language by code."""
    found = {}
    for file in CATALOGUES:
        for room, entries in messages.catalogue(file.parent, language).items():
            found |= {f"{room}.{name}": entry for name, entry in entries.items()}
    return found


MESSAGES = every_message("en")


def codes_in(piece: ast.expr) -> list[str]:
    """The codes that an argument may be: one, or one of two."""
    if isinstance(piece, ast.IfExp):
        return codes_in(piece.body) + codes_in(piece.orelse)
    if isinstance(piece, ast.Constant) and isinstance(piece.value, str) and piece.value in MESSAGES and piece.value != WORDS:
        return [piece.value]
    return []


def uses(nodes: dict[Path, list[ast.AST]]) -> Iterator[tuple[str, list[str], set[str]]]:
    """Of every call with a code: its place, its codes and the names that it gives."""
    for file, every in nodes.items():
        for call in (node for node in every if isinstance(node, ast.Call) and node.args):
            if codes := codes_in(call.args[0]):
                yield f"{file.relative_to(PACKAGE)}:{call.lineno}", codes, {keyword.arg for keyword in call.keywords if keyword.arg}


def test_every_message_has_its_pieces_and_is_in_its_own_catalogue() -> None:
    assert len(MESSAGES) > 900
    for file in CATALOGUES:
        wing = file.parts[-3]
        for room in messages.catalogue(file.parent, "en"):
            assert room == wing or (wing == "core" and not (PACKAGE / room / "messages").is_dir()), f"{room} is not of {wing}"
    for code, entry in MESSAGES.items():
        assert code == WORDS or {"what", "todo"} <= set(entry) <= {"what", "value", "todo"}, code
        assert all(text.strip() for text in entry.values()), code
        assert messages.entry(code) == entry


@pytest.mark.parametrize("language", messages.LANGUAGES)
def test_every_language_has_all_messages_with_the_same_places(language: str) -> None:
    translated = every_message(language)
    assert set(translated) == set(MESSAGES)
    for code, entry in MESSAGES.items():
        assert set(translated[code]) == set(entry), code
        assert all(messages.places(translated[code][piece]) == messages.places(text) for piece, text in entry.items()), code
        assert all(text.strip() for text in translated[code].values()), code


def test_every_call_fills_in_what_its_message_has_places_for(nodes: dict[Path, list[ast.AST]]) -> None:
    seen = 0
    for place, codes, given in uses(nodes):
        wanted = [set().union(*map(messages.places, MESSAGES[code].values())) for code in codes]
        seen += len(codes)
        assert set().union(*wanted) <= given and given - set().union(*wanted) <= OWN, f"{place}: {codes}"
        assert all("value" in given or "value" in MESSAGES[code] for code in codes), f"{place}: {codes} tells no value"
    assert seen > 900


def test_a_code_that_a_helper_raises_has_places_only_for_what_the_helper_gives(nodes: dict[Path, list[ast.AST]]) -> None:
    direct = {code for _, codes, _ in uses(nodes) for code in codes}
    given: dict[str, set[str]] = {"core.system_error": {"said"}, WORDS: {"row", "column"}}
    for call in (node for every in nodes.values() for node in every if isinstance(node, ast.Call)):
        if isinstance(call.func, ast.Name) and call.func.id in GIVEN_BY_HELPERS:
            pieces = (*call.args, *(keyword.value for keyword in call.keywords))
            given |= {code: GIVEN_BY_HELPERS[call.func.id] for piece in pieces for code in codes_in(piece)}
    assert len(given) > 10
    for code in set(MESSAGES) - direct:
        assert set().union(*map(messages.places, MESSAGES[code].values())) <= given.get(code, set()), code


def test_no_message_is_unused(nodes: dict[Path, list[ast.AST]]) -> None:
    used = {node.value for every in nodes.values() for node in every if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert set(MESSAGES) - used == set()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{n, number} rows", "12,000 rows"),
        ("{name, quoted} is {n}", "'a' is 12000"),
        ("{{name}} stays", "{name} stays"),
    ],
)
def test_a_message_is_filled_in(text: str, said: str) -> None:
    assert messages.filled(text, {"n": 12000, "name": "a"}) == said


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "de"),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "fr_FR.UTF-8"}, "en"),
        ({"LANG": "C.UTF-8", "LANGUAGE": "fr:de_AT:en"}, "de"),
    ],
)
def test_the_language_is_the_one_that_gettext_would_choose(environment: dict[str, str], language: str) -> None:
    assert messages.preferred_language(environment) == language


def test_an_error_speaks_german_with_its_place_and_its_list() -> None:
    unnamed = errors.DataError("data.file_is_empty", value="shop.csv", file="shop.csv", row=2, above=1, column="text")
    german = unnamed.in_language("de")
    assert german.startswith("shop.csv, Zeile 3, Spalte 'text': ") and german != str(unnamed) and unnamed.in_language("en") == str(unnamed)
    listed = errors.RecipeError("tasks.these_tools_cannot_be_used", value="tools.json", mistakes=["a: one", "b: two"])
    assert listed.in_language("de").endswith("\n  - a: one\n  - b: two") and str(listed).endswith("\n  - a: one\n  - b: two")
    foreign = errors.InputError("no such valve", value=7, todo="Open another.")
    assert foreign.in_language("de") == str(foreign) and foreign.coded() == {}


def test_an_error_is_raised_again_from_its_json() -> None:
    crowded = errors.DataError("data.file_has_too_many_columns", value="a", columns=np.int64(70_000), most=math.inf)
    again = errors.DataError(crowded.message_code, value="a", **json.loads(json.dumps(crowded.coded()["values"])))
    assert "70,000" in str(again) and str(again) == str(crowded)


def test_values_are_ready_for_json() -> None:
    error = errors.UnknownPart("student", "linaer", ["linear"])
    assert error.coded() == {"message_code": error.message_code, "values": {"kind": "student", "near": "linear", "available": "linear"}}


def test_a_value_that_looks_like_a_place_is_left_alone() -> None:
    assert messages.filled("{name}", {"name": "{n}"}) == "{n}"
    with pytest.raises(KeyError):
        messages.filled("{name}", {})
