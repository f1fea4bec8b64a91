"""What the large model says, held against what a bundle said."""

from __future__ import annotations

import pytest

from smidgen.core.replies import Reply
from smidgen.flows.certify.losses import disagreement
from smidgen.tasks.classify import Classify
from smidgen.tasks.extract import Extract
from smidgen.tasks.write import Write

FORM = {"labels": ["billing/refund", "shipping"], "multi_label": False, "temperature": 1.0}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("billing/refund", 0.0),
        (' "Billing/Refund". ', 0.0),
        ("Label: billing/refund", 0.0),
        ('{"category": "billing/refund"}', 0.0),
        ("shipping", 1.0),
        ('{"category": "shipping"}', 1.0),
        ("It is surely billing/refund, I think", 1.0),
        ("I cannot help with that.", 1.0),
        ('{"category": "billing/refund", "sure": true}', 1.0),
        ("", 1.0),
    ],
)
def test_a_label(said: str, expected: float) -> None:
    assert disagreement(Classify(), FORM, "money back", Reply("billing/refund", 0.9), said) == expected


def test_several_labels_are_a_set() -> None:
    form = {**FORM, "multi_label": True, "threshold": 0.5}
    reply = Reply(["billing/refund", "shipping"], 0.9)
    found = [disagreement(Classify(), form, "x", reply, said) for said in ("shipping, billing/refund", '{"labels": ["shipping"]}', "[]")]
    assert found == [0.0, 1.0, 1.0]


def test_spans_are_all_or_nothing() -> None:
    form = {"kinds": ["name"], "only": True}
    reply = Reply([{"start": 5, "end": 9, "label": "name"}], 0.9)
    same, other = '[{"text": "Anna", "label": "name"}]', '[{"text": "I am", "label": "name"}]'
    wrapped = '{"spans": [{"text": "Anna", "label": "name"}]}'
    found = [disagreement(Extract(), form, "I am Anna", reply, said) for said in (same, wrapped, other, "[]", "Anna")]
    assert found == [0.0, 0.0, 1.0, 1.0, 1.0]


def test_a_text_by_its_rouge() -> None:
    form = {"attributes": False, "max_words": 5}
    reply = Reply("a red stool of oak", 0.9)
    found = [disagreement(Write(), form, "x", reply, said) for said in ("a red stool of oak", "a red stool", "nothing alike", " ")]
    assert found[0] == 0.0 and 0.1 < found[1] < 0.5 and found[2:] == [1.0, 1.0]
    assert disagreement(Write(), form, "x", reply, "a red stool of oak " * 2000) == 1.0  # at once: the longer, the longer it would take


def test_a_task_that_no_teacher_knows_agrees_with_nobody() -> None:
    class Deaf:
        """Neither graded nor teachable."""

    assert disagreement(Deaf(), {}, "x", Reply("a", 0.9), "a") == 1.0  # type: ignore[arg-type]
