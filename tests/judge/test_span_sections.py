"""The report's sections of an extractor."""

from __future__ import annotations

from typing import Any

from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.judge.answer_sections import extraction_sections, span_mistakes
from smidgen.judge.classifier_sections import data_facts
from smidgen.tasks.extract import ExtractSettings, part

TEXT = "Order FH-1 of 3 May."


def span(start: int, end: int, label: str = "date") -> dict[str, Any]:
    return {"start": start, "end": end, "label": label}


ROWS = [Row(TEXT, [span(6, 10, "order"), span(14, 19)], n + 1) for n in range(6)]
REPLIES = [
    Reply([span(6, 10, "order"), span(14, 19)], 0.9),
    Reply([span(6, 10, "order")], 0.6),
    Reply([span(6, 10), span(14, 19)], 0.7),
    Reply([span(6, 10, "order"), span(16, 19)], 0.5),
    Reply([span(0, 5), span(6, 10, "order"), span(14, 19)], 0.4),
    Reply([], 0.95),
]


def test_mistakes_say_what_is_wrong() -> None:
    found = {mistake.row: mistake for mistake in span_mistakes(ROWS, REPLIES)}
    assert set(found) == {2, 3, 4, 5, 6}
    assert found[2].gold == "order: FH-1; date: 3 May" and found[2].answer == "order: FH-1"
    assert [found[row].why for row in (2, 3, 4, 5)] == [
        "Missed.",
        "The right words with another label.",
        "Found, but its edges are elsewhere.",
        "Too many.",
    ]
    assert found[6].answer == "nothing" and "Very sure" in found[6].why


def test_one_name_does_not_fill_the_list() -> None:
    rows = [*[Row("lamp here", [span(0, 4)], n) for n in range(1, 9)], Row("a plate", [span(2, 7)], 20)]
    replies = [*[Reply([], 0.9 - n / 100) for n in range(8)], Reply([], 0.1)]
    assert [mistake.row for mistake in span_mistakes(rows, replies)[:3]] == [1, 2, 20]


def test_sections_count_spans() -> None:
    form = part.form(ROWS, ExtractSettings())
    metrics = part.measure(ROWS, REPLIES, form)
    sections = extraction_sections(ROWS, REPLIES, form, metrics, uncalibrated=REPLIES, train=ROWS)
    date, order = sections["per_class"]
    assert (date.label, date.support, date.predicted, date.train) == ("date", 6, 6, 6)
    assert (order.label, order.support, order.predicted) == ("order", 6, 4)
    assert set(sections["metrics"]) == {"f1", "precision", "recall", "exact_match"}
    assert sections["calibration"].bins and sections["risk_coverage"].points
    facts = data_facts(ROWS, ROWS[:2], ROWS[:1], form)
    assert [(label.label, label.train, label.held, label.test) for label in facts.labels] == [("date", 6, 2, 1), ("order", 6, 2, 1)]
