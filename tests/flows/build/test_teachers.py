"""Bundles as teachers, with answers as a test gives them in place of a model's: brought into the student's form, or left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.flows.build.test_teaching import describe, taught, writer
from tests.forms import field_form, label_form, span_form, text_form
from tests.teacher_server import words_alone  # noqa: F401

from smidgen.core.errors import RecipeError
from smidgen.core.forms import Form
from smidgen.core.progress import Silent
from smidgen.core.replies import Reply
from smidgen.core.rows import Row, Text, joined
from smidgen.flows.build import teachers
from smidgen.flows.build.teachers import BundleTeacher
from smidgen.parts import registry

SCHEMA = {
    "type": "object",
    "properties": {"order": {"type": "string"}, "count": {"type": ["integer", "null"]}, "thing": {"type": "string"}},
    "required": ["order", "count", "thing"],
    "additionalProperties": False,
}


@dataclass
class Canned:
    """As much of a loaded bundle as a teacher needs of one."""

    manifest: Any
    form: Form
    answer: Callable[[str], Reply]
    name: str = "large"

    def predict(self, texts: Sequence[Text]) -> list[Reply]:
        return [self.answer(joined(text)) for text in texts]

    def close(self) -> None:
        """Nothing is held."""


def canned(monkeypatch: pytest.MonkeyPatch, task: str, form: Form, answer: Callable[[str], Reply]) -> None:
    """Every bundle that is opened to teach answers so."""
    monkeypatch.setattr(teachers, "load", lambda folder, threads: Canned(SimpleNamespace(task=task), form, answer))


def opened(form: Form) -> BundleTeacher:
    return BundleTeacher(Path("large"), registry.find("tasks", "extract").formed(form), form, 1)


def test_fields_come_in_the_students_own_order_with_what_is_missing_null(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"plain": {"thing": "lamp", "order": "FH-1"}, "strange": {"thing": "lamp", "order": "FH-1", "colour": "red"}}
    canned(monkeypatch, "extract", field_form({}), lambda text: Reply(answers[text], 0.8))
    teacher, rows = opened(field_form(SCHEMA)), [Row("plain", None), Row("strange", None)]
    plain, strange = teacher.verdicts(rows, 1, "ask", Silent())
    assert list(plain.output.items()) == [("order", "FH-1"), ("count", None), ("thing", "lamp")] and plain.agreement == 0.8
    assert strange.output is None and strange.why_not == "the answer could not be used: it does not fit the schema"
    assert teacher.scores([Row("plain", plain.output), Row("plain", {**plain.output, "count": 2})], Silent()) == [0.8, None]


def test_spans_stay_where_the_bundle_found_them_and_get_the_students_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "no mug, but the mug of Ann"
    second = {"start": 16, "end": 19}
    assert text[16:19] == "mug" and text.find("mug") == 3
    labels = {text: "PRODUCT", f"{text}.": "person"}
    canned(monkeypatch, "extract", span_form(), lambda asked: Reply([{**second, "label": labels[asked]}], 0.9))
    known, unknown = opened(span_form(["product"])).verdicts([Row(asked, None) for asked in labels], 1, "ask", Silent())
    assert known.output == [{**second, "label": "product"}]
    assert unknown.output is None and unknown.why_not.endswith("a span has a label that is not one of yours")


def test_one_of_several_labels_that_is_not_the_students_own_is_not_taught(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: dict[str, list[str]] = {"known": ["a", "b"], "strange": ["a", "c"], "none": []}
    form = label_form("ab", multi_label=True)
    canned(monkeypatch, "classify", label_form("abc", multi_label=True), lambda text: Reply(answers[text], 0.9))
    teacher = BundleTeacher(Path("large"), registry.find("tasks", "classify"), form, 1)
    known, strange, none = teacher.verdicts([Row(text, None) for text in answers], 1, "ask", Silent())
    assert (known.output, none.output, strange.output) == (["a", "b"], [], None) and "none of yours" in strange.why_not
    with pytest.raises(RecipeError, match="another shape"):
        BundleTeacher(Path("large"), registry.find("tasks", "classify"), label_form("ab"), 1)


def test_texts_that_are_cut_empty_or_far_too_long_are_not_taught(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def answer(text: str) -> Reply:
        if "red" in text:
            return Reply("This lamp is", 0.0, facts={"finished": False})
        if "blue" in text:
            return Reply("  ", 0.0, facts={"finished": True})
        return Reply("oak " * 300 if "green" in text else describe(text), 0.7, facts={"finished": True})

    canned(monkeypatch, "write", text_form(), answer)
    before, after = taught(writer(tmp_path, "large", min_quality=0.0))
    new, facts = after.fit[len(before.fit) :], after.teacher
    pool = (tmp_path / "pool.csv").read_text(encoding="utf-8").splitlines()[1:]
    colours = Counter(line.split()[1] for line in pool)
    unusable = colours["blue"] + colours["green"]
    assert facts is not None and colours["red"] and colours["blue"] and colours["green"]
    assert facts.dropped == {"the answer was cut off": colours["red"], "the answer could not be used": unusable}
    assert len(new) == len(pool) - colours["red"] - unusable > 0
    assert all(row.output == describe(joined(row.input)) and row.weight == 0.7 for row in new)
