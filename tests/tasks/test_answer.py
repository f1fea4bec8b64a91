"""The task answer: what counts as right, when nothing is answered, and how sure that is."""

from __future__ import annotations

from typing import Any

import pytest

from smidgen.core.replies import Reply
from smidgen.core.rows import Row
from smidgen.stats import quoted_answers
from smidgen.tasks.answer import NOT_SAID, USUAL_THRESHOLD, AnswerSettings, PassageForm
from smidgen.tasks.answer import part as task

FORM = PassageForm(
    documents=1, passages=2, made=False, threshold=0.5, slope=1.0, shift=0.0, null_slope=1.0, null_shift=0.0
)  # fmt: skip
TEXT = "Delivery costs 4 euros. We do not deliver to Norway."


def candidate(odds: float, start: int = 0, end: int = 23, **facts: Any) -> dict[str, Any]:
    told = {"passage": "a.md#1", "title": "A", "heading": "Delivery", "url": "", "page": None, "question": ""}
    place = {"start": 10, "from": start, "to": end, "first": start, "last": end}
    return {"id": "a.md", "text": TEXT, **told, **place, "odds": odds, "score": 1.0, **facts}


@pytest.mark.parametrize(
    ("cell", "wanted"),
    [
        ('{"id": "a", "text": " x  y "}', {"id": "a", "text": "x y"}),
        ({"text": "x"}, {"id": "", "text": "x"}),
        ("just words", {"id": "", "text": "just words"}),
        ("null", None),
        ("", None),
        (None, None),
    ],
)
def test_cells_are_read(cell: Any, wanted: Any) -> None:
    assert task.parse(cell, AnswerSettings()) == wanted


@pytest.mark.parametrize("cell", ["{broken", {"id": 3, "text": "x"}, {"id": "a"}, 7, ["x"], {"text": "  "}])
def test_other_cells_are_refused(cell: Any) -> None:
    with pytest.raises(ValueError, match=r"expected|empty"):
        task.parse(cell, AnswerSettings())


def test_an_answer_is_quoted_with_its_place() -> None:
    (reply,) = task.decode({"candidates": [[candidate(2.0), candidate(0.0, 24, 52)]]}, FORM)
    assert reply.output == {"id": "a.md", "text": "Delivery costs 4 euros."} and reply.score == pytest.approx(0.8808, abs=1e-4)
    assert (reply.facts["start"], reply.facts["end"], reply.facts["heading"]) == (10, 33, "Delivery")
    assert reply.alternatives[0][0] == {"id": "a.md", "text": "We do not deliver to Norway."}
    assert "page" not in reply.facts and len(reply.facts["passages"]) == 2


def test_below_the_threshold_the_answer_is_null_and_sure_of_that() -> None:
    unsure, nothing = task.decode({"candidates": [[candidate(-2.0)], []]}, FORM)
    assert unsure.output is None and unsure.score == pytest.approx(0.8808, abs=1e-4) and unsure.alternatives
    assert nothing.output is None and nothing.score > 0.99


def test_right_is_the_wanted_words_of_the_wanted_document() -> None:
    wanted = {"id": "a", "text": "4 euros"}
    assert quoted_answers.is_right(wanted, {"id": "a", "text": "It costs 4 Euros."})
    assert quoted_answers.is_right({"id": "", "text": "It costs 4 euros. It is red."}, {"id": "b", "text": "It is red"})
    assert not quoted_answers.is_right(wanted, {"id": "b", "text": "It costs 4 euros."})
    assert not quoted_answers.is_right(wanted, {"id": "a", "text": "It costs 44 euros."})
    assert not quoted_answers.is_right(wanted, None) and not quoted_answers.is_right(None, wanted) and quoted_answers.is_right(None, None)
    longer = {"id": "a", "text": "Returns from the EU cost £6.95, taken off your refund."}
    assert quoted_answers.is_right(longer, {"id": "b", "text": "From the EU, returns to us cost £6.95. This is taken off the refund."})
    assert not quoted_answers.is_right(longer, {"id": "b", "text": "From the EU, returns to us cost £2.95. This is taken off the refund."})
    assert not quoted_answers.is_right(
        longer, {"id": "b", "text": "Returns from the EU do not cost £6.95, nothing is taken off the refund."}
    )
    assert not quoted_answers.is_right({"id": "a", "text": "Delivery costs 4 euros."}, {"id": "a", "text": "Delivery"})
    assert quoted_answers.f1(wanted, {"id": "a", "text": "costs 4 euros"}) == pytest.approx(0.8)
    assert quoted_answers.exact(wanted, {"id": "a", "text": "4 euros."}) and not quoted_answers.exact(wanted, None)


def test_a_chat_gets_words_with_their_source_and_reads_them_again() -> None:
    said, nothing = task.decode({"candidates": [[candidate(2.0, url="https://shop.example/a", page=3)], []]}, FORM)
    assert task.content(said) == "Delivery costs 4 euros.\n\nSource: A, Delivery, page 3 (https://shop.example/a)"
    assert task.teaching.read(task.content(said), FORM) == {"id": "", "text": "Delivery costs 4 euros."}
    assert task.teaching.read(task.content(nothing), FORM) is None and task.content(nothing) == NOT_SAID
    assert (
        task.teaching.read(task.teaching.write(said.output, FORM, ""), FORM) == said.output
        and task.teaching.write(None, FORM, "") == "null"
    )


def test_metrics_count_answers_and_nulls() -> None:
    rows = [
        Row("cost?", {"id": "a.md", "text": "4 euros"}),
        Row("norway?", {"id": "", "text": "We do not deliver to Norway."}),
        Row("dogs?"),
    ]
    raw = {"candidates": [[candidate(2.0)], [candidate(3.0)], [candidate(-3.0)]]}
    found = task.measure(rows, task.decode(raw, FORM), FORM)
    values = {name: round(metric.value, 3) for name, metric in found.items()}
    assert values == {
        "accuracy": 0.667, "precision": 0.5, "answered": 0.667, "recall_at_1": 1.0, "recall_at_5": 1.0, "exact_match": 0.333,
        "f1": 0.556, "abstain_recall": 1.0, "cited": 1.0,
    }  # fmt: skip
    other = Reply({"id": "a.md", "text": "Delivery costs 5 euros."}, 1.0, facts={"passages": [candidate(1.0)], "start": 10, "end": 33})
    assert task.measure(rows[:1], [other], FORM)["cited"].value == 0.0


def test_curves_are_fitted_on_asked_questions_alone() -> None:
    rows = [Row(f"q{n}", {"id": "a.md", "text": "4 euros"} if n % 2 else None, number=n + 1) for n in range(60)]
    raw = {"candidates": [[candidate(0.5 if n % 2 else -0.5)] for n in range(60)]}
    fitted = task.calibrate(raw, rows, FORM, AnswerSettings())
    assert fitted.slope > 1.2 and fitted.threshold == USUAL_THRESHOLD
    few = task.calibrate({"candidates": raw["candidates"][:8]}, rows[:8], FORM, AnswerSettings())
    assert 1 < few.slope < fitted.slope
    assert task.measure(rows, task.decode(raw, fitted), fitted)["accuracy"].value == 1.0
    assert task.calibrate(raw, rows, FORM, AnswerSettings(threshold=0.9)).threshold == 0.9
    made = FORM.model_copy(update={"made": True})
    assert task.calibrate(raw, rows, made, AnswerSettings(threshold=0.5)) == made
    assert "Nobody asked them" in made.purpose(str) and "Nobody" not in FORM.purpose(str)


def test_a_rows_cells_are_found_in_the_document_as_it_is_read() -> None:
    read = quoted_answers.words_of("Treatment: Routine check-up; Fee: £48 Treatment: Root canal, molar; Fee: £640")
    assert quoted_answers.holds(read, "Routine check-up | £48") and quoted_answers.holds(read, "| Root canal, molar | £640 |")
    assert not quoted_answers.holds(read, "Root canal, molar | £48")  # another row's price
    assert not quoted_answers.holds(read, "£48 | Routine check-up")  # not in this order
    assert not quoted_answers.holds(read, " | ") and not quoted_answers.holds([], "£48")
    wanted = {"id": "fees.md", "text": "Routine check-up | £48"}
    assert quoted_answers.is_right(wanted, {"id": "fees.md", "text": "Treatment: Routine check-up; Fee: £48"})
    assert not quoted_answers.is_right(wanted, {"id": "fees.md", "text": "Treatment: Root canal, molar; Fee: £640"})
