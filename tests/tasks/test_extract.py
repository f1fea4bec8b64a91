"""The task extract: parsing, places in the text, the form, calibration, decisions, metrics."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from smidgen.core.errors import DataError
from smidgen.core.rows import Row
from smidgen.tasks.extract import ExtractSettings, part

PLAIN = ExtractSettings()
TEXT = "Order FH-1 of 3 May cost £5."


def span(start: int, end: int, label: str = "date") -> dict[str, Any]:
    return {"start": start, "end": end, "label": label}


ROWS = [
    Row(TEXT, [span(6, 10, "order"), span(14, 19)], 1),
    Row("Nothing here.", [], 2),
    Row("On 4 May, order FH-2.", [span(3, 8), span(16, 20, "order")], 3),
]


def test_it_can_do_what_extracting_needs() -> None:
    assert part.grading is None


def test_spans_are_parsed_from_lists_and_from_cells() -> None:
    spans = [span(14, 19), span(6, 10, "order")]
    assert part.parse(json.dumps(spans), PLAIN) == part.parse(spans, PLAIN) == [spans[1], spans[0]]
    assert part.parse("", PLAIN) == part.parse(None, PLAIN) == part.parse("[]", PLAIN) == []
    assert part.parse({"start": 1.0, "end": 2, "label": " date "}, PLAIN) == [span(1, 2)]
    elsewhere = [{"entity_type": "date", "start_position": 1, "end_position": 2, "entity_value": "x"}]
    assert part.parse(elsewhere, PLAIN) == [{**span(1, 2), "text": "x"}]
    assert part.parse([span(1, 2), span(1, 2)], PLAIN) == [span(1, 2)]
    assert part.parse([span(1, 2), span(2, 4, "order")], ExtractSettings(kinds=("order",))) == [span(2, 4, "order")]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("tomorrow", "JSON list"),
        ('[{"start": 1', "JSON list"),
        ("7", "list of spans"),
        ('["date"]', "object with start"),
        ([{"start": 1, "end": 3}], "no label"),
        ([{"label": "date"}], "neither start and end nor text"),
        ([{"start": 3, "end": 3, "label": "date"}], "no characters"),
        ([{"start": -1, "end": 3, "label": "date"}], "no characters"),
        ([{"start": 1.5, "end": 3, "label": "date"}], "whole number"),
        ([{"start": True, "end": 3, "label": "date"}], "whole number"),
        ([{"start": 1, "label": "date"}], "the end of a span"),
        ([{"start": 1, "end": 3, "label": "date", "colour": "red"}], "'colour'"),
        ([span(1, 5), span(4, 8)], "overlap: 1 to 5 and 4 to 8"),
        ([span(1, 5), span(1, 5, "order")], "overlap"),
    ],
)
def test_what_is_no_list_of_spans_is_refused(cell: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        part.parse(cell, PLAIN)


def test_words_are_found_in_the_text() -> None:
    cell = part.parse('[{"text": "3 May", "label": "date"}, {"start": 6, "end": 10, "label": "order", "text": "FH-1"}]', PLAIN)
    assert part.place(TEXT, cell) == [span(6, 10, "order"), span(14, 19)]
    assert part.place(("Order", "FH-1"), [span(6, 10, "order")]) == [span(6, 10, "order")]


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ([{"text": "5 May", "label": "date"}], "'5 May' is not in the text"),
        ([{"text": "o", "label": "date"}], "more than once"),
        ([span(6, 99)], "ends at 99, and the text has 28 characters"),
        ([span(5, 6)], "blank"),
        ([{**span(6, 10), "text": "FH-2"}], "is 'FH-1', not 'FH-2'"),
        ([{"text": "3 May", "label": "date"}, span(17, 19)], "overlap"),
    ],
)
def test_spans_that_do_not_fit_their_text_are_refused(output: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        part.place(TEXT, output)


def test_the_form_names_the_kinds() -> None:
    form = part.form(ROWS, PLAIN)
    assert form.kinds == ("date", "order")
    assert part.read_form(json.loads(json.dumps(form.facts()))) == form
    assert form.labelling is None
    assert part.strata(ROWS) == ["date", "", "date"]


@pytest.mark.parametrize(
    ("rows", "settings", "reason"),
    [
        ([], PLAIN, "no rows"),
        ([Row("a", [])], PLAIN, "no row has a span"),
        (ROWS[:2], PLAIN, "seen once"),
        ([*ROWS, Row("short", [span(0, 9)], 7)], PLAIN, r"row 7: .* ends at 9"),
        (ROWS, ExtractSettings(kinds=("amount",)), "a requested kind"),
    ],
)
def test_what_cannot_be_learnt_is_refused(rows: list[Row], settings: ExtractSettings, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        part.form(rows, settings)


def raw(*spans: list[list[float]]) -> dict[str, Any]:
    return {"spans": list(spans)}


def test_likely_spans_are_given_and_none_overlap() -> None:
    form = part.form(ROWS, PLAIN)
    found = [[14, 19, 0, 0.9], [14, 27, 0, 0.6], [6, 10, 1, 0.8], [20, 24, 1, 0.3]]
    (reply,) = part.decode({**raw(found), "inputs": [TEXT]}, form)
    assert reply.output == [span(6, 10, "order"), span(14, 19)]
    assert reply.facts["texts"] == ["FH-1", "3 May"]
    assert reply.facts["scores"] == pytest.approx([0.8, 0.9])
    # What was given is right, and what was not given is not there.
    assert reply.score == pytest.approx(0.9 * 0.8 * 0.7)
    assert json.loads(part.content(reply)) == reply.output


def test_no_spans_is_an_answer() -> None:
    (reply,) = part.decode(raw([]), part.form(ROWS, PLAIN))
    assert reply.output == [] and 0.99 < reply.score <= 1.0 and part.content(reply) == "[]"


def test_the_decision_is_fitted_on_held_out_rows() -> None:
    """Spans that are right more often than the model thinks: the threshold falls below a half, the scores rise to the truth."""
    rng = np.random.default_rng(0)
    rows, found = [], []
    for number in range(400):
        chance = 0.25 + 0.5 * rng.random()
        there = rng.random() < min(1.0, chance + 0.3)
        rows.append(Row("3 May it is", [span(0, 5)] if there else [], number + 1))
        found.append([[0, 5, 0, float(chance)]])
    form = part.form(ROWS, PLAIN).model_copy(update={"kinds": ("date",)})
    fitted = part.calibrate(raw(*found), rows, form, PLAIN)
    assert fitted.threshold < 0.5
    before, after = part.decode(raw(*found), form), part.decode(raw(*found), fitted)
    assert part.measure(rows, after, fitted)["f1"].value > part.measure(rows, before, form)["f1"].value
    right = [reply.output == row.output for row, reply in zip(rows, after, strict=True)]
    assert np.mean([reply.score for reply in after]) == pytest.approx(np.mean(right), abs=0.05)
    assert part.read_form(json.loads(json.dumps(fitted.facts()))) == fitted
    assert part.change(rows, before, after, fitted).value > 0
    high = part.calibrate(raw(*found), rows, form, ExtractSettings(threshold=0.6))
    many, few = (sum(len(reply.output) for reply in part.decode(raw(*found), made)) for made in (fitted, high))
    assert high.threshold == 0.6 and many > few, "a threshold that is set counts before the fitted one"


def test_calibrating_on_nothing_leaves_the_form() -> None:
    form = part.form(ROWS, PLAIN)
    fitted = part.calibrate(raw([]), [Row("a", [])], form, PLAIN)
    assert fitted.threshold == 0.5


def test_kinds_that_were_not_asked_for_do_not_count() -> None:
    form = part.form([Row(row.input, [s for s in row.output if s["label"] == "order"]) for row in ROWS], ExtractSettings(kinds=("order",)))
    replies = part.decode(raw([[6, 10, 0, 0.9]], [], [[16, 20, 0, 0.9]]), form)
    assert part.measure(ROWS, replies, form)["f1"].value == 1.0
