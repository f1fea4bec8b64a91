"""The report's sections of a model that fills in fields, and how the page shows them."""

from __future__ import annotations

from tests.forms import field_form

from smidgen.core.quantities import Metric
from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.judge.answer_sections import field_mistakes, filling_sections
from smidgen.judge.classifier_sections import data_facts
from smidgen.judge.page import render, sections
from smidgen.judge.report import Report
from smidgen.judge.sections import StudentFacts

FORM = field_form(
    {
        "type": "object",
        "properties": {"order": {"type": "string"}, "count": {"type": ["integer", "null"]}},
        "required": ["order"],
    }
)
ROWS = [Row(f"<b>order A{n}</b>", {"order": f"A{n}", "count": n % 3 or None}, n + 1) for n in range(30)]
REPLIES = [Reply(dict(row.output), 0.8) for row in ROWS]
REPLIES[1] = Reply({"order": "A1", "count": None}, 0.7)
REPLIES[3] = Reply({"order": "A3", "count": 2}, 0.6)
REPLIES[4] = Reply({"order": "<i>B4</i>", "count": 1}, 0.95)
REPLIES[5] = Reply(None, 0.0, facts={"refused": "the answer did not come to its end"})


def test_mistakes_tell_what_differs() -> None:
    found = {mistake.row: mistake for mistake in field_mistakes(ROWS, REPLIES)}
    assert set(found) == {2, 4, 5, 6}
    assert (found[2].gold, found[2].answer, found[2].why) == ("count: 1", "count: nothing", "Missed.")
    assert (found[4].gold, found[4].why) == ("count: nothing", "Not in the text.")
    assert found[5].answer == "order: <i>B4</i>" and "Very sure" in found[5].why
    assert found[6].answer == "nothing" and "Refused: the answer did not" in found[6].why


def test_the_sections_and_the_page() -> None:
    measured = {"f1": Metric(0.9, 0.8, 0.95, 30)}
    made = filling_sections(ROWS, REPLIES, FORM, measured, train=ROWS)
    assert [(row.label, row.support, row.train) for row in made["per_class"]] == [("order", 30, 30), ("count", 20, 20)]
    shown = made["fillings"]
    assert len(shown) <= 18 and not shown[0].right and shown[-1].right
    assert {field.name for entry in shown for field in entry.fields} == {"order", "count"}
    data = data_facts(ROWS, ROWS[:3], ROWS, FORM)
    assert [(label.label, label.train) for label in data.labels] == [("order", 30), ("count", 20)]
    student = StudentFacts(kind="decoder")
    report = Report(name="x", task="extract", created="2026-01-01T00:00:00", headline="f1", data=data, student=student, **made)
    page = render(report)
    assert sections(report)[0] == ("fillings", "Side by side") and ("labels", "Fields") in sections(report)
    assert "<b>order" not in page and "&lt;b&gt;order A4" in page and "<i>B4" not in page
    assert "No answer was given: the answer did not come to its end." in page
