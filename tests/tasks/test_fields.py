"""The task extract for fields: parsing, the form, decoding, calibration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smidgen.core.errors import DataError, RecipeError
from smidgen.core.rows import Row, RowCells
from smidgen.tasks.extract import ExtractSettings, part
from smidgen.tasks.field_schema import kind_of

PLAIN = ExtractSettings()
ROWS = [Row(f"text {n}", {"name": f"n{n}", "count": n % 3 or None, "gone": n % 2 == 0}, n + 1) for n in range(12)]


def raw(*texts: str, likelihood: float = 0.9, finished: float = 1.0) -> dict[str, Any]:
    ones = np.ones(len(texts), dtype=np.float32)
    return {"texts": list(texts), "likelihood": likelihood * ones, "tokens": 7 * ones, "finished": finished * ones, "probability": ones}


def test_the_form_says_which_task_it_is() -> None:
    task = part.formed(part.form(ROWS, PLAIN))
    assert task is not part and task.students == ("decoder",) and task.baseline == "prompted" and task.headline == "f1"
    assert task.writes and task.grading is None and not task.streams
    assert task.writes and not part.writes and task.most_columns == part.most_columns > 1
    spans = [Row("a b", [{"start": 0, "end": 1, "label": "x"}], n) for n in (1, 2)]
    assert part.formed(part.form(spans, PLAIN)) is part


def test_objects_are_told_from_spans() -> None:
    assert part.parse('{"name": "x", "count": 2}', PLAIN) == {"name": "x", "count": 2}
    assert part.parse('{"start": 0, "end": 2, "label": "x"}', PLAIN) == [{"start": 0, "end": 2, "label": "x"}]
    assert part.parse({"label": 3}, PLAIN) == {"label": 3}
    with pytest.raises(ValueError, match=r"JSON list of spans is expected.*or an object"):
        part.parse("{name: x}", PLAIN)
    mixed = [ROWS[0], Row("a b", [{"start": 0, "end": 1, "label": "x"}], 7)]
    with pytest.raises(DataError, match="row 7: some rows have spans and others an object"):
        part.form(mixed, PLAIN)
    with pytest.raises(DataError, match="no kinds"):
        part.form(ROWS, ExtractSettings(kinds=("x",)))


def test_a_given_schema_is_what_rows_are_held_to(tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    fields = {"count": {"type": ["integer", "null"], "minimum": 1}, "name": {"type": "string"}}
    file.write_text(json.dumps({"type": "object", "properties": fields, "required": ["name"]}), encoding="utf-8")
    settings = ExtractSettings(schema_file=str(file))
    assert part.parse('{"name": "x", "count": "2"}', settings) == {"count": 2, "name": "x"}
    for cell, reason in (
        ('{"name": "x", "colour": "red"}', "colour is not a field of the schema, which has count, name"),
        ('{"name": "x", "count": 0}', "count: 0 is less than the minimum of 1"),
        ('{"count": 2}', "name has no value"),
        ("[1]", "an object with fields"),
        ("x", "a JSON object is expected"),
        ("", "name has no value"),
    ):
        with pytest.raises(ValueError, match=reason):
            part.parse(cell, settings)
    form = part.form([Row("t", {"name": "x"}, 1)], settings)
    assert form.derived is False and list(form.json_schema["properties"]) == ["count", "name"]
    assert "count (whole number or null)" in form.instruction
    with pytest.raises(RecipeError, match="no such schema"):
        part.form(ROWS, ExtractSettings(schema_file=str(tmp_path / "gone.json")))


def test_columns_of_texts_become_types() -> None:
    rows = [
        Row("t", RowCells(order=f"00{n}", count=str(n), price=f"{n}.50", paid=("true", "false")[n % 2], note="" if n else "x"), n)
        for n in range(9)
    ]
    form = part.form(rows, PLAIN)
    kinds = {name: kind_of(node) for name, node in form.json_schema["properties"].items()}
    wanted = {"order": "string", "count": "integer", "price": "number", "paid": "boolean", "note": "string"}
    assert kinds == {name: (kind, True) for name, kind in wanted.items()}
    task = part.formed(form)
    assert task.place("t", rows[3].output) == {"order": "003", "count": 3, "price": 3.5, "paid": False, "note": None}
    typed = part.form([Row("t", {"count": str(n)}, n) for n in range(9)], PLAIN)
    assert kind_of(typed.json_schema["properties"]["count"])[0] == "string", "JSON says itself what is a number"


def test_a_value_has_one_spelling_without_an_exponent() -> None:
    output = {"a": 0.00005, "b": 52.5200066, "c": 2.0, "d": 1e21, "e": [1, None, True, 'ü "x"'], "f": {"g": -1.5e-7}}
    task = part.formed(part.form(ROWS, PLAIN))
    written = task.targets.text(output, {})
    assert written == '{"a":0.00005,"b":52.5200066,"c":2.0,"d":1000000000000000000000,"e":[1,null,true,"ü \\"x\\""],"f":{"g":-0.00000015}}'
    assert json.loads(written) == output


def test_what_cannot_be_learnt_is_refused() -> None:
    with pytest.raises(DataError, match="no row has a value"):
        part.form([Row("t", {}, 1), Row("u", {"a": None}, 2)], ExtractSettings())
    with pytest.raises(DataError, match="a is a number, not Infinity"):
        part.form([Row("t", {"a": 1.5}, 1), Row("u", {"a": float("inf")}, 2)], PLAIN)
    with pytest.raises(DataError, match="mostly integer"):
        part.form([Row("t", {"a": 1}, 1), Row("u", {"a": "x"}, 2)], PLAIN)


def test_a_row_that_a_derived_schema_does_not_know_counts_and_one_of_a_given_schema_is_refused() -> None:
    form = part.form(ROWS, PLAIN)
    lenient, strict = part.formed(form), part.formed(form.model_copy(update={"derived": False}))
    strange = {"name": "x", "count": 1, "gone": True, "more": 5}
    assert lenient.place("t", strange) == strange
    assert lenient.place("t", []) == lenient.place("t", {}), "an empty cell is read as no spans"
    with pytest.raises(ValueError, match="more is not a field"):
        strict.place("t", strange)


def test_answers_fit_or_there_is_none() -> None:
    form = part.form(ROWS, PLAIN)
    task = part.formed(form)
    good = '{"name":"a","count":null,"gone":true}'
    texts = (
        good,
        '{"name":"a","count":2.0,"gone":true}',
        '{"name":"a"}',
        "Sure! " + good,
        "[]",
        "",
        '{"name":"a","count":"two","gone":true}',
    )
    replies = task.decode(raw(*texts), form)
    given = [{"name": "a", "count": count, "gone": gone} for count, gone in ((None, True), (2, True), (None, None))]
    assert [reply.output for reply in replies[:3]] == given, "every row has gone, and a text may lack it"
    assert replies[0].score == pytest.approx(0.9, abs=1e-6) and replies[0].facts == {"tokens": 7}
    assert len(replies) == 7
    for reply in replies[3:]:
        assert reply.output is None and reply.score == 0.0 and reply.facts["refused"] and task.content(reply) == ""
    (cut,) = task.decode(raw(good, finished=0.0), form)
    assert cut.output is None and "its end" in cut.facts["refused"]
    assert json.loads(task.content(replies[0])) == replies[0].output
    assert task.targets.text(replies[0].output, form) == good


def test_scores_are_fitted_on_what_is_right() -> None:
    form = part.form(ROWS, PLAIN)
    task = part.formed(form)
    rows = [Row("t", {"name": "a", "count": 1, "gone": True}, n) for n in range(40)]
    texts = ['{"name":"a","count":1,"gone":true}' if n % 4 else '{"name":"b","count":1,"gone":true}' for n in range(40)]
    written = raw(*texts)
    written["likelihood"] = np.array([0.6 if n % 4 else 0.3 for n in range(40)], dtype=np.float32)
    fitted = task.calibrate(written, rows, form, PLAIN)
    replies = task.decode(written, fitted)
    good = [reply.score for n, reply in enumerate(replies) if n % 4]
    bad = [reply.score for n, reply in enumerate(replies) if not n % 4]
    assert min(good) > 0.8 and max(bad) < 0.4
    assert task.calibrate(raw(), [], form, PLAIN).temperature == 1.0


def test_strata_are_the_rarest_choice() -> None:
    form = part.form(ROWS, PLAIN)
    task = part.formed(form)
    rows = [Row("t", {"name": "a", "count": 1, "gone": n == 0}, n) for n in range(5)]
    assert task.strata(rows) == ["gone=True", *["gone=False"] * 4]
