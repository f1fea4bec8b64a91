"""The sample town: what its models are taught to read is what its solvers take."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.house.conftest import ROOT

from smidgen.apps.routes.events import SCHEMA as EVENTS
from smidgen.apps.trips.trip import SCHEMA as WISHES

SAMPLE = ROOT / "src" / "smidgen" / "samples" / "alderwick"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SAMPLE / name).read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(("name", "field", "schema"), [("events", "event", EVENTS), ("wishes", "wish", WISHES)])
def test_the_sentences_are_labelled_as_the_solver_takes_changes(name: str, field: str, schema: Mapping[str, Any]) -> None:
    taught = json.loads((Path(SAMPLE) / f"{name}_schema.json").read_text(encoding="utf-8"))
    assert taught == {**schema, "required": list(schema["properties"])}
    train, test = rows(f"{name}_train.jsonl"), rows(f"{name}_test.jsonl")
    assert len(train) >= 700 and len(test) >= 40
    wrong = [row for row in (*train, *test) if not Draft202012Validator(taught).is_valid(row[field])]
    assert wrong == []
    assert not {row["text"] for row in train} & {row["text"] for row in test}
    stated = [value for row in (*train, *test) for value in words(row[field]) if value not in row["text"]]
    assert stated == []


def words(filled: Mapping[str, Any]) -> list[str]:
    """The texts of a filled form that stand in its sentence."""
    found = []
    for name, value in filled.items():
        if name != "kind":
            found += [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return found


def test_no_name_of_the_test_sentences_was_taught() -> None:
    train, test = (
        {name for row in rows(file) for name in words(row["event"]) if name[:1].isupper()}
        for file in ("events_train.jsonl", "events_test.jsonl")
    )
    places = {name for name in test if not name.startswith(("Van", "Truck", "Lorry", "Unit", "Sprinter"))}
    assert len(places) > 60 and places & train == set()
