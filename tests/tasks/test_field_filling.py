"""The chances of a field's values: as a tagger has them, fitted on held rows, and none where nobody knows them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from tests.forms import field_form

from smidgen.core.rows import Row
from smidgen.tasks import field_filling, field_schema
from smidgen.tasks.extract import ExtractSettings, part

SCHEMA, _ = field_schema.normal(
    {
        "type": "object",
        "properties": {
            "size": {"enum": ["S", "M", None]},
            "level": {"enum": [1.5, 2.5, None]},
            "paid": {"type": ["boolean", "null"]},
            "name": {"type": ["string", "null"]},
            "wish": {"enum": ["refund", "repair"]},
        },
        "required": ["wish"],
    }
)
PLAN: dict[str, Any] = {
    "kinds": ["size", "name"],
    "ways": [
        {"kind": "words", "values": ["S", "M"], "list": False, "distinct": True},
        {"kind": "text", "ways": [["same"]], "shapes": {}, "list": False, "distinct": True},
    ],
    "choices": [
        {"path": "wish", "values": ["refund", "repair"]},
        {"path": "paid", "values": [True, False, None]},
        {"path": "level", "values": [1.5, 2.5]},
    ],
    "threshold": 0.5,
}
FORM = field_form(SCHEMA, tagged=PLAN)


def test_only_fields_with_a_fixed_set_of_values_have_chances() -> None:
    found = field_filling.known(FORM)
    assert found == {"size": ["S", "M"], "level": ["1.5", "2.5"], "paid": ["true", "false"], "wish": ["refund", "repair"]}
    assert field_filling.known(field_form(SCHEMA)) == {}, "a decoder knows none"
    assert field_filling.known(field_form(SCHEMA, tagged={"against": ["x"]})) == {}


def test_chances_are_the_models_own_by_hand() -> None:
    shares = {
        "size": {"S": 0.8, "M": 0.6},
        "wish": {"refund": 0.7, "repair": 0.3},
        "paid": {"true": 0.5, "false": 0.2},
        "level": {"2.5": 1.0},
    }
    (found,) = field_filling.chances([shares], FORM)
    assert len(found) == 8 and {"size=M", "level=2.5", "paid=true", "wish=repair"} < set(found)
    # Two likely places that say different values are one or the other.
    assert found["size=S"] == pytest.approx(0.8 / 1.4, abs=1e-6) and found["size=M"] == pytest.approx(0.6 / 1.4, abs=1e-6)
    assert found["paid=true"] == pytest.approx(0.5, abs=1e-6) and found["paid=false"] == pytest.approx(0.2, abs=1e-6)
    assert found["wish=refund"] == pytest.approx(0.7, abs=1e-6)
    (hot,) = field_filling.chances([shares], field_form(SCHEMA, tagged={**PLAN, "temperatures": {"wish": 2.0}}))
    root = math.sqrt(0.7), math.sqrt(0.3)
    assert hot["wish=refund"] == pytest.approx(root[0] / sum(root), abs=1e-3)
    assert hot["paid=true"] == found["paid=true"]


def test_a_tagger_that_is_too_sure_is_cooled_on_held_rows() -> None:
    """It says 99 % and is right in 3 of 4 texts: fitted, it says about three quarters."""
    task = part.formed(FORM)
    rows = [Row(f"n{n}", {"wish": "refund" if n % 4 else "repair", "paid": True, "name": "n"}, n) for n in range(80)]
    raw = {
        "spans": [[[0, 1, 1, 0.9]] for _ in rows],
        "inputs": [row.input for row in rows],
        "choices": [[[0.99, 0.01], [0.6, 0.3, 0.1], [0.9, 0.1]] for _ in rows],
    }
    fitted = task.calibrate(raw, rows, FORM, ExtractSettings())
    assert set(fitted.tagged["temperatures"]) == {"size", "level", "paid", "wish"}
    replies = task.decode(raw, fitted)
    assert len(replies) == 80
    chances = replies[0].chances
    assert chances is not None
    assert chances["wish=refund"] == pytest.approx(0.75, abs=0.02)
    assert chances["paid=true"] > 0.9, "always right, it may be surer"


def test_an_object_that_is_refused_has_no_chances() -> None:
    schema = {**SCHEMA, "properties": {**SCHEMA["properties"], "name": {"type": "string"}}, "required": ["wish", "name"]}
    task = part.formed(FORM.model_copy(update={"json_schema": schema}))
    raw = {"spans": [[], [[0, 1, 1, 0.9]]], "inputs": ["n", "n"], "choices": [[[0.9, 0.1], [0.6, 0.3, 0.1], [0.9, 0.1]]] * 2}
    refused, given = task.decode(raw, FORM.model_copy(update={"json_schema": schema}))
    assert refused.output is None and refused.chances is None
    assert given.chances is not None and given.chances["wish=refund"] == pytest.approx(0.9, abs=1e-6)
