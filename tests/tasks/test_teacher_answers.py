"""Spans and fields as a larger model gives them: what is heard, where it is found, and what is refused with which reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.forms import field_form, label_form, span_form, text_form

from smidgen.core.rows import Row
from smidgen.tasks import classify, extract, teacher_answers, write

FORM = span_form(["amount", "date", "order_number"])
TEXT = "FH-20999: I paid 45 on 7 March, and 45 again in Marchwood on 7 March."


def spans(*pairs: tuple[str, str]) -> str:
    return json.dumps([{"text": words, "label": label} for words, label in pairs])


def found(answer: str, text: str = TEXT) -> list[tuple[str, int, str]]:
    output = extract.part.teaching.read(answer, FORM, text)
    assert all(text[span["start"] : span["end"]].strip() for span in output)
    return [(text[span["start"] : span["end"]], span["start"], span["label"]) for span in output]


def test_words_are_found_in_their_order_and_as_words_of_their_own() -> None:
    first, second = TEXT.index("7 March"), TEXT.rindex("7 March")
    answer = spans(("FH-20999", "order_number"), ("45", "amount"), ("7 March", "date"), ("45", "amount"), ("7 March", "date"))
    assert found(answer) == [
        ("FH-20999", 0, "order_number"),
        ("45", 17, "amount"),
        ("7 March", first, "date"),
        ("45", TEXT.rindex("45"), "amount"),
        ("7 March", second, "date"),
    ]
    assert found(spans(("March", "date"))) == [("March", TEXT.index("March"), "date")]
    assert found(spans(("al", "date")), "Also at al") == [("al", 8, "date")], "not within a longer word"
    assert found(spans(("lso", "date")), "Also") == [("lso", 1, "date")], "but where it stands nowhere else"
    # Out of order they are found all the same, and are given in order.
    assert [words for words, _, _ in found(spans(("7 March", "date"), ("FH-20999", "order_number")))] == ["FH-20999", "7 March"]
    assert found(f"```json\n{spans((' 45 ', 'Amount'))}\n```") == [("45", 17, "amount")]
    assert found("[]") == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("There are none.", "it is not JSON"),
        ('{"text": "45", "label": "amount"}', "it is no list of spans with text and label"),
        ('[{"start": 0, "end": 8, "label": "order_number"}]', "it is no list of spans with text and label"),
        ('["45"]', "it is no list of spans with text and label"),
        (spans(("45", "amount"), ("fh-20999", "order_number")), "a span is not in the text letter for letter"),
        (spans(("45", "price")), "a span has a label that is not one of yours"),
        (spans(("7 March", "date"), ("7 March", "date"), ("7 March", "date")), "spans overlap, or one is given more often than it stands"),
        ("[" * 9000, "it is not JSON"),
    ],
)
def test_one_span_that_cannot_be_used_spoils_the_answer(answer: str, kind: str) -> None:
    with pytest.raises(ValueError) as caught:
        extract.part.teaching.read(answer, FORM, TEXT)
    assert str(caught.value) == kind, "a reason that can be counted: nothing of the answer is in it"


def test_what_is_shown_to_a_teacher_is_what_is_heard_from_it() -> None:
    output = [{"start": 0, "end": 8, "label": "order_number"}, {"start": 17, "end": 19, "label": "amount"}]
    shown = extract.part.teaching.write(output, FORM, TEXT)
    assert json.loads(shown) == [{"text": "FH-20999", "label": "order_number"}, {"text": "45", "label": "amount"}]
    assert extract.part.teaching.read(shown, FORM, TEXT) == output
    assert classify.part.teaching.write("refund", label_form(), TEXT) == "refund"
    told = extract.part.teaching.instruction(FORM)
    assert all(kind in told for kind in FORM.kinds) and "letter for letter" in told


SCHEMA = {
    "type": "object",
    "properties": {
        "thing": {"type": "string"},
        "count": {"type": ["integer", "null"], "minimum": 0, "description": "how many"},
        "colour": {"type": "string", "enum": ["red", "blue"]},
    },
    "required": ["thing", "count", "colour"],
    "additionalProperties": False,
}
FIELDS_FORM = field_form(SCHEMA)


def test_fields_are_heard_by_their_schema() -> None:
    task: Any = extract.part.formed(FIELDS_FORM)
    told = task.teaching.instruction(FIELDS_FORM)
    assert json.loads(told[told.index("\n") :]) == SCHEMA
    wanted = {"thing": "lamp", "count": 2, "colour": "red"}
    assert task.teaching.read('```\n{"colour": "red", "count": "2", "thing": " lamp "}\n```', FIELDS_FORM, "x") == wanted
    assert task.teaching.read(task.teaching.write(wanted, FIELDS_FORM, "x"), FIELDS_FORM, "x") == wanted
    assert task.teaching.read('{"thing": "lamp", "colour": "red"}', FIELDS_FORM)["count"] is None
    refused = {
        "it is not JSON": "two lamps",
        "it is no JSON object": '["lamp"]',
        "it does not fit the schema": '{"thing": "lamp", "count": 2, "colour": "mauve"}',
    }
    kinds = []
    for answer in (*refused.values(), '{"thing": "lamp", "colour": "red", "size": 3}', '{"thing": "lamp", "count": -1, "colour": "red"}'):
        with pytest.raises(ValueError) as caught:
            task.teaching.read(answer, FIELDS_FORM, "x")
        kinds.append(str(caught.value))
    assert kinds == [*refused, "it does not fit the schema", "it does not fit the schema"]


def test_how_much_two_answers_share() -> None:
    one, other = (
        extract.part.teaching.read(spans(("45", "amount"), ("7 March", "date")), FORM, TEXT),
        extract.part.teaching.read("[]", FORM, TEXT),
    )
    assert extract.part.partial_credit.overlap(one, one) == extract.part.partial_credit.overlap(other, other) == 1.0
    assert extract.part.partial_credit.overlap(one, other) == 0.0 and extract.part.partial_credit.overlap(one, one[:1]) == pytest.approx(
        2 / 3
    )
    task: Any = extract.part.formed(FIELDS_FORM)
    assert task.partial_credit.overlap({"thing": "lamp", "count": 2}, {"thing": "lamp", "count": 3}) == 0.5


def test_what_knowing_the_other_rows_by_heart_gets() -> None:
    texts = ["order FH-1 on Monday", "it is FH-1, not FH-2", "FH-1000 on Monday"]
    outputs = [
        [{"start": 6, "end": 10, "label": "order_number"}, {"start": 14, "end": 20, "label": "date"}],
        [{"start": 6, "end": 10, "label": "order_number"}, {"start": 16, "end": 20, "label": "order_number"}],
        [{"start": 11, "end": 17, "label": "date"}],
    ]
    rows = [Row(text, output) for text, output in zip(texts, outputs, strict=True)]
    guessed = extract.part.partial_credit.by_heart(rows, FORM)
    assert guessed == [outputs[0], outputs[1][:1], outputs[2]], "FH-2 stands in no other row, and FH-1000 holds no FH-1"
    task: Any = extract.part.formed(FIELDS_FORM)
    values = [{"thing": "lamp", "count": 1}, {"thing": "lamp", "count": 2}, {"thing": "rug", "count": 2}, {"thing": "rug", "count": 2}]
    guesses = task.partial_credit.by_heart([Row(str(n), value) for n, value in enumerate(values)], FIELDS_FORM)
    assert guesses == [
        {"thing": "rug", "count": 2},
        {"thing": "rug", "count": 2},
        {"thing": "lamp", "count": 2},
        {"thing": "lamp", "count": 2},
    ]


LABELS = ["card_arrival", "card_linking", "Refund_not_showing_up", "top_up_failed", "top_up_reverted", "oos"]
DICTATED_FORM = label_form(LABELS[:-1], unknown="oos")


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ("card_arrival", "card_arrival"),
        (" Card Arrival.\n", "card_arrival"),
        ("`card-arrival`", "card_arrival"),
        ("Label: **refund_not_showing_up**", "Refund_not_showing_up"),
        ("card_arival", "card_arrival"),
        ("oos", "oos"),
    ],
)
def test_a_label_is_heard(said: str, label: str) -> None:
    assert classify.part.teaching.read(said, DICTATED_FORM) == label


@pytest.mark.parametrize(
    "said", ["", "I think it is card_arrival", "not card_arrival", "card_arrival or card_linking", "top_up", "weather", "x" * 10_000]
)
def test_what_is_no_label_is_not_guessed_at(said: str) -> None:
    with pytest.raises(ValueError, match="not one of the labels"):
        classify.part.teaching.read(said, DICTATED_FORM)


def test_two_labels_that_are_as_near_are_no_answer() -> None:
    with pytest.raises(ValueError):
        teacher_answers.label_in("order_status_a", ["order_status_b", "order_status_c"])
    with pytest.raises(ValueError):
        teacher_answers.label_in("a b", ["a_b", "A-B"])
    assert teacher_answers.label_in("A-B", ["a_b", "A-B"]) == "A-B"


def test_several_labels_are_heard() -> None:
    form = label_form(LABELS, multi_label=True)
    assert classify.part.teaching.read('["oos", "card_arrival"]', form) == ["card_arrival", "oos"]
    assert classify.part.teaching.read("card arrival, OOS", form) == ["card_arrival", "oos"]
    assert classify.part.teaching.read("[]", form) == []
    for broken in ('["card_arrival"', "[1]", "card_arrival, weather"):
        with pytest.raises(ValueError):
            classify.part.teaching.read(broken, form)


def test_lessons_say_what_may_be_answered() -> None:
    told = classify.part.teaching.instruction(DICTATED_FORM)
    assert all(f"\n{label}" in told for label in LABELS[:-1]) and told.endswith("answer: oos")
    assert "JSON list" in classify.part.teaching.instruction(label_form(LABELS, multi_label=True))
    assert "shorten it" in write.part.teaching.instruction(text_form(instruction="shorten it"))


def test_a_written_answer_is_heard_unless_it_runs_on() -> None:
    form = text_form(max_words=10)
    assert write.part.teaching.read("  A lamp.\n", form) == "A lamp."
    for bad in ("", " \n", "word " * 60, "a\0b"):
        with pytest.raises(ValueError):
            write.part.teaching.read(bad, form)
