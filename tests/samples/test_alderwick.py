"""The sample town: what its models are taught to read is what its solvers take."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.house.conftest import ROOT
from tools.sentences import phrases, town_events, town_wishes

from smidgen.plans.routing.events import KINDS
from smidgen.plans.routing.events import SCHEMA as EVENTS
from smidgen.plans.trips.trip import SCHEMA as WISHES

SAMPLE = ROOT / "src" / "smidgen" / "samples" / "alderwick"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SAMPLE / name).read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("name", "field", "schema", "program"), [("events", "event", EVENTS, town_events), ("wishes", "wish", WISHES, town_wishes)]
)
def test_the_sentences_are_labelled_as_the_solver_takes_changes(
    name: str, field: str, schema: Mapping[str, Any], program: ModuleType
) -> None:
    taught = json.loads((Path(SAMPLE) / f"{name}_schema.json").read_text(encoding="utf-8"))
    assert set(taught["properties"]) == set(schema["properties"])
    same = [each for each in schema["properties"] if each != "kind" and taught["properties"][each] != schema["properties"][each]]
    assert same == [] and taught["properties"].get("kind", {}).get("enum", [None])[:-1] == list(KINDS if name == "events" else ())
    train, test = rows(f"{name}_train.jsonl"), rows(f"{name}_test.jsonl")
    assert len(train) == program.ROWS and len(test) >= 100
    wrong = [row for row in (*train, *test) if not Draft202012Validator(taught).is_valid(row[field])]
    assert wrong == []
    assert not {row["text"] for row in train} & {row["text"] for row in test}
    stated = [value for row in (*train, *test) for value in words(row[field]) if value not in row["text"]]
    assert stated == []


def test_the_rows_are_those_that_their_programs_make() -> None:
    for program, field in ((town_events, "event"), (town_wishes, "wish")):
        made = phrases.made_rows(program.SEED, 50, program.row)
        assert made == rows(f"{field}{'es' if field == 'wish' else 's'}_train.jsonl")[:50] and all(field in row for row in made)


def test_a_sentence_of_several_events_or_of_none_teaches_no_kind() -> None:
    found = [row["event"] for row in rows("events_train.jsonl") if row["event"]["kind"] is None]
    assert len(found) > 500 and all(event == {"kind": None} for event in found)


def words(filled: Mapping[str, Any]) -> list[str]:
    """The texts of a filled form that stand in its sentence."""
    found = []
    for name, value in filled.items():
        if name != "kind":
            found += [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return found


@pytest.mark.parametrize(("name", "field", "named"), [("events", "event", ("streets", "stop")), ("wishes", "wish", ("must", "skip"))])
def test_no_name_of_the_test_sentences_was_taught(name: str, field: str, named: tuple[str, ...]) -> None:
    train, test = (
        {word.casefold() for row in rows(file) for word in words({each: row[field].get(each) for each in named})}
        for file in (f"{name}_train.jsonl", f"{name}_test.jsonl")
    )
    assert len(test) > 15 and test & train == set()
