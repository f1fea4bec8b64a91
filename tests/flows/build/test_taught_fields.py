"""Fields by a tagger whose rows a larger model added to: what it can do is settled by all of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.build_steps import rows_of

from smidgen.core.errors import RecipeError
from smidgen.core.progress import Silent
from smidgen.core.rows import Row
from smidgen.flows.build import pipeline as building
from smidgen.flows.build import student_plan, teaching
from smidgen.flows.build.work import BuildContext, Work
from smidgen.judge.sections import TeacherFacts
from smidgen.parts.recipe import Recipe, make

SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}, "mood": {"enum": ["good", "bad", "odd"]}}, "required": ["name"]}
TAUGHT = [Row(f"u{n} came, so it went", {"name": f"u{n}", "mood": "odd"}, n) for n in range(400)]


def recipe(folder: Path, student: str, standing: bool) -> Recipe:
    (folder / "schema.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    with (folder / "rows.jsonl").open("w", encoding="utf-8") as stream:
        for n in range(20):
            fields = {"name": f"n{n}" if standing else f"guest {n}", "mood": ("good", "bad")[n % 2]}
            stream.write(json.dumps({"text": f"n{n} wrote about visit {n * 7}", "fields": fields}) + "\n")
    tree = {
        "name": "guests",
        "task": "extract",
        "data": {"train": "rows.jsonl", "input": "text", "label": "fields", "teacher": {"source": "http://127.0.0.1:9/v1", "model": "m"}},
        "extract": {"schema_file": "schema.json"},
        "student": {"kind": student},
    }
    return make(tree, folder=folder)


def joined(own: Recipe) -> tuple[Work, Work]:
    before = rows_of(own)
    return before, teaching.joined_with(before, TAUGHT, TeacherFacts(source="a model"))


def test_values_that_taught_rows_alone_have_are_learnt(tmp_path: Path) -> None:
    before, after = joined(recipe(tmp_path, "tagger", standing=True))
    (own,), (both,) = before.form.tagged["choices"], after.form.tagged["choices"]
    assert own["values"] == ["good", "bad"] and both["values"] == ["good", "bad", "odd"]
    assert after.form.model_copy(update={"tagged": {}}) == before.form.model_copy(update={"tagged": {}})


@pytest.mark.parametrize("student", ["tagger", "auto"])
def test_who_can_learn_is_settled_after_teaching(student: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = recipe(tmp_path, student, standing=False)
    before, after = joined(own)
    assert "against" in before.form.tagged and after.form.tagged["kinds"] == ["name"]
    seen: list[Any] = []

    def train(work: Work, context: BuildContext) -> Any:
        seen.append((work.task.students, list(work.students), work.form.tagged["kinds"], sorted(work.bases)))
        raise InterruptedError("far enough")

    monkeypatch.setattr(building, "train_students", train)
    monkeypatch.setattr(student_plan, "bases_of", lambda recipe, kinds, progress, encoder: dict.fromkeys(kinds))
    monkeypatch.setattr(building, "teach", lambda work, context: replace(after, kinds=work.kinds, bases=work.bases))
    with pytest.raises(InterruptedError):
        building.build(own, tmp_path / "out", progress=Silent())
    wanted = ["tagger", "prompted"] if student == "tagger" else ["tagger", "decoder", "prompted"]
    assert seen == [(("tagger", "decoder"), wanted, ["name"], sorted(wanted))]
    # Where the taught rows do not help, it is refused, or not tried.
    monkeypatch.setattr(building, "teach", lambda work, context: replace(before, kinds=work.kinds, bases=work.bases))
    monkeypatch.setattr(building, "train_students", lambda work, context: pytest.fail(str(work.kinds)))
    if student == "tagger":
        with pytest.raises(RecipeError, match="cannot learn from these rows"):
            building.build(own, tmp_path / "out", progress=Silent())
