"""Rows with fields on their way into a build: read, typed, held to a schema or giving one, checked; nothing is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.build_steps import rows_of
from tests.recorded_progress import RecordedProgress

from smidgen.cli.main import code
from smidgen.core.errors import DataError, RecipeError
from smidgen.core.progress import Silent
from smidgen.core.replies import Reply
from smidgen.flows.answer_files import answer_file_for
from smidgen.flows.build.student_plan import settings_of, students_to_train
from smidgen.flows.build.work import Work
from smidgen.parts import registry
from smidgen.parts.recipe import Recipe, make
from smidgen.tasks import field_tagging

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "count": {"type": ["integer", "null"]}, "kind": {"enum": ["late", "lost"]}},
    "required": ["name", "kind"],
}


def lines(file: Path, outputs: list[Any], before: str = "text") -> None:
    file.write_text("".join(json.dumps({"text": f"{before} {n}", "fields": one}) + "\n" for n, one in enumerate(outputs)), encoding="utf-8")


def outputs(count: int = 60) -> list[dict[str, Any]]:
    return [{"count": n % 4 or None, "kind": ("late", "lost")[n % 2], "name": f"n{n}"} for n in range(count)]


def recipe(folder: Path, **more: Any) -> Recipe:
    data = {"train": "rows.jsonl", "input": "text", "label": "fields", **more.pop("data", {})}
    return make({"name": "x", "task": "extract", "data": data, **more}, folder=folder)


def test_a_schema_beside_the_recipe_orders_and_types_the_rows(tmp_path: Path) -> None:
    lines(tmp_path / "rows.jsonl", outputs())
    (tmp_path / "s.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    examples = rows_of(recipe(tmp_path, extract={"schema_file": "s.json"}))
    rows = [*examples.fit, *examples.held, *examples.test]
    assert len(rows) == 60 and all(list(row.output) == ["name", "count", "kind"] for row in rows)
    assert not examples.refit and not examples.form.derived and 0 < len(examples.held) < len(examples.fit)
    assert {row.output["kind"] for row in examples.test} == {"late", "lost"}


@pytest.mark.parametrize(("tested", "times"), [("other", 1), ("text", 2), (None, 2)])
def test_what_a_tagger_can_do_is_planned_once_for_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tested: str | None, times: int
) -> None:
    """A test file of other texts leaves the rows as they are; one that holds some of them, or rows drawn for the test, does not."""
    planned: list[int] = []
    plan = field_tagging.plan_for

    def counted(texts: Any, outputs: Any, schema: Any) -> Any:
        planned.append(len(texts))
        return plan(texts, outputs, schema)

    monkeypatch.setattr(field_tagging, "plan_for", counted)
    lines(tmp_path / "rows.jsonl", outputs())
    if tested:
        lines(tmp_path / "test.jsonl", outputs(10), tested)
    examples = rows_of(recipe(tmp_path, data={"test": "test.jsonl"} if tested else {}))
    rows = [*examples.fit, *examples.held]
    assert len(planned) == times and planned[0] == 60 and planned[-1] == len(rows)
    again = registry.find("tasks", "extract").formed(examples.form).targets.replanned(rows, examples.form)  # type: ignore[attr-defined]
    assert examples.form.tagged == again.tagged, "it is the plan of the rows that are learnt from"


def test_a_row_that_does_not_fit_is_named_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    lines(tmp_path / "rows.jsonl", [*outputs(5), {"name": "x", "kind": "stolen"}])
    wanted = recipe(tmp_path, extract={"schema_file": "s.json"})
    with pytest.raises(DataError, match=r"rows\.jsonl, row 6, column 'fields': the output cannot be used \(kind: 'stolen' is not one of"):
        rows_of(wanted)
    checked = ["check", str(tmp_path / "rows.jsonl"), "--task", "extract", "--input", "text", "--label", "fields"]
    assert code([*checked, "--set", f"extract.schema_file={tmp_path / 's.json'}", "--json"]) in (0, 1)
    assert "'stolen' is not one of" in capsys.readouterr().out


def test_what_only_test_rows_hold_is_not_in_a_derived_schema(tmp_path: Path) -> None:
    lines(tmp_path / "rows.jsonl", outputs())
    lines(tmp_path / "test.jsonl", [{"name": "a", "kind": "stolen", "count": 1}, {"name": "b", "kind": "late", "more": 7}], before="other")
    examples = rows_of(recipe(tmp_path, data={"test": "test.jsonl"}))
    assert examples.form.derived and examples.form.json_schema["properties"]["kind"]["enum"] == ["late", "lost", None]
    assert [row.output.get("kind") for row in examples.test] == ["stolen", "late"], "such rows stay in the test, and count"


def test_a_field_that_only_drawn_test_rows_have_is_not_taught(tmp_path: Path) -> None:
    lines(tmp_path / "rows.jsonl", outputs())
    plain = rows_of(recipe(tmp_path))
    drawn = {row.input for row in plain.test}
    texts = [f"text {n}" for n in range(60)]
    rare = [{**one, **({"rare": 1.5} if text in drawn else {})} for text, one in zip(texts, outputs(), strict=True)]
    lines(tmp_path / "rows.jsonl", rare)
    examples = rows_of(recipe(tmp_path))
    assert {row.input for row in examples.test} == drawn and len(drawn) > 3
    assert "rare" not in examples.form.json_schema["properties"]
    assert not any("rare" in row.output for row in [*examples.fit, *examples.held]) and all(row.output["rare"] for row in examples.test)


def test_columns_of_a_table_are_fields(tmp_path: Path) -> None:
    rows = "".join(f"text {n},00{n},{n % 3 or ''},{('late', 'lost')[n % 2]}\n" for n in range(50))
    (tmp_path / "rows.csv").write_text("text,number,count,kind\n" + rows, encoding="utf-8")
    wanted = recipe(tmp_path, data={"train": "rows.csv", "label": "number,count,kind"})
    examples = rows_of(wanted)
    kinds = {name: node["type"] for name, node in examples.form.json_schema["properties"].items()}
    assert kinds == {"number": ["string", "null"], "count": ["integer", "null"], "kind": ["string", "null"]}
    assert examples.columns == {"input": "text", "label": "number,count,kind"}
    assert type(examples.fit[0].output) is dict and isinstance(examples.fit[0].output["count"], int | None)


def test_fields_choose_their_students(tmp_path: Path) -> None:
    lines(tmp_path / "rows.jsonl", outputs())
    plain = recipe(tmp_path)
    form = rows_of(plain).form
    work = Work(plain, form=form)
    said = RecordedProgress()
    assert students_to_train(work, said) == ["decoder", "prompted"]
    assert len(said.said) == 1 and said.said[0].startswith("tagger is not tried: ")
    assert "name: the texts state 0% of its values, 95% are needed" in said.said[0]
    with pytest.raises(RecipeError, match=r"(?s)cannot learn from these rows.*tagger: .*name: the texts state 0%.*--student decoder"):
        students_to_train(Work(recipe(tmp_path, student={"kind": "tagger"}), form=form), Silent())
    told = form.model_copy(update={"tagged": {"kinds": ["name"], "ways": [], "choices": [], "threshold": 0.5}})
    assert students_to_train(Work(plain, form=told), said) == ["tagger", "decoder", "prompted"]
    assert len(said.said) == 1
    assert type(settings_of(work, "decoder")).__name__ == "DecoderSettings"
    for another in (recipe(tmp_path, train={"max_length": 128}), recipe(tmp_path, train={"epochs": 3})):
        with pytest.raises(RecipeError, match="those of another student"):
            settings_of(Work(another, form=form), "decoder")
    named = recipe(tmp_path, train={"epochs": 3}, student={"kind": "decoder"})
    assert settings_of(Work(named, form=form), "decoder").epochs == 3  # type: ignore[attr-defined]


def test_a_refused_answer_says_so_in_a_table_too() -> None:
    refused = Reply(None, 0.0, facts={"refused": "it was cut", "tokens": 3})
    assert answer_file_for("out.csv", ["text"]).row(1, {"text": "hello"}, refused) == b"hello,,0.000000,it was cut\n"
    assert json.loads(answer_file_for("-", ["text"]).row(1, {"text": "hello"}, refused))["output"] is None


def test_a_bad_schema_stops_a_build_with_exit_code_2(tmp_path: Path) -> None:
    lines(tmp_path / "rows.jsonl", outputs())
    (tmp_path / "s.json").write_text(json.dumps({"type": "object", "properties": {"a": {"type": "string", "not": {}}}}), encoding="utf-8")
    build = ["build", "--task", "extract", "--data", str(tmp_path / "rows.jsonl"), "--input", "text", "--label", "fields"]
    assert code([*build, "--schema", str(tmp_path / "s.json"), "--out", str(tmp_path / "out"), "--quiet"]) == 2
    assert not (tmp_path / "out").exists()
