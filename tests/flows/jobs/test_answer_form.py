"""What answers look like: labels, objects, spans, texts, or several of these."""

from __future__ import annotations

import json

import pytest

from smidgen.flows.jobs.discovery import form_of_answers

LABELS = ["refund", "Refund.", '{"category": "parcel"}', "parcel", '"refund"', "parcel"] * 3
FIELDS = [json.dumps({"order": number, "name": f"n{number}"}) for number in range(12)]
SPANS = [json.dumps([{"text": f"p{number}", "label": "person"}]) for number in range(12)]
TEXTS = [f"Dear customer, your parcel {number} is on its way.\nKind regards" for number in range(12)]


@pytest.mark.parametrize(("answers", "kind"), [(LABELS, "labels"), (FIELDS, "fields"), (SPANS, "spans"), (TEXTS, "text"), ([], "none")])
def test_kinds(answers: list[str], kind: str) -> None:
    assert form_of_answers(answers).kind == kind


def test_labels_are_counted_as_they_are_spelt_most_often() -> None:
    assert form_of_answers(LABELS).labels == {"refund": 9, "parcel": 9}
    assert form_of_answers([*LABELS, "perhaps"]).labels == {"refund": 9, "parcel": 9}


def test_fields_are_counted() -> None:
    assert form_of_answers([*FIELDS, json.dumps({"order": 99})]).fields == {"order": 13, "name": 12}


def test_one_field_whose_values_do_not_come_again_is_a_field() -> None:
    assert form_of_answers([json.dumps({"summary": f"a parcel {number} is late"}) for number in range(12)]).fields == {"summary": 12}


def test_what_is_nothing_but_stand_ins_is_no_label() -> None:
    found = form_of_answers(["[PLACE_1]", "[PLACE_1].", "[PLACE_1], [PLACE_2]", "[PERSON_1]"] * 4)
    assert found.kind == "masked" and not found.labels
    assert form_of_answers([json.dumps({"customer": "[PERSON_1]"})] * 12).kind == "fields"
    assert form_of_answers(["Dear [PERSON_1]"] * 12).kind == "text"


def test_answers_of_several_kinds_are_mixed() -> None:
    found = form_of_answers([*LABELS[:12], *TEXTS])
    assert found.kind == "mixed" and found.shares == {"labels": 0.5, "text": 0.5} and found.labels == {}
