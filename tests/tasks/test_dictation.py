"""What a larger model is told of labels, and how strictly it is heard."""

from __future__ import annotations

import pytest

from smidgen.core.parts import Teachable
from smidgen.tasks import classify, teacher_answers, write

LABELS = ["card_arrival", "card_linking", "Refund_not_showing_up", "top_up_failed", "top_up_reverted", "oos"]
FORM = {"labels": LABELS[:-1], "multi_label": False, "unknown": "oos"}


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
    assert classify.part.heard(said, FORM) == label


@pytest.mark.parametrize(
    "said", ["", "I think it is card_arrival", "not card_arrival", "card_arrival or card_linking", "top_up", "weather", "x" * 10_000]
)
def test_what_is_no_label_is_not_guessed_at(said: str) -> None:
    with pytest.raises(ValueError, match="none of the labels"):
        classify.part.heard(said, FORM)


def test_two_labels_that_are_as_near_are_no_answer() -> None:
    with pytest.raises(ValueError):
        teacher_answers.label_in("order_status_a", ["order_status_b", "order_status_c"])
    with pytest.raises(ValueError):
        teacher_answers.label_in("a b", ["a_b", "A-B"])
    assert teacher_answers.label_in("A-B", ["a_b", "A-B"]) == "A-B"


def test_several_labels_are_heard() -> None:
    form = {"labels": LABELS, "multi_label": True}
    assert classify.part.heard('["oos", "card_arrival"]', form) == ["card_arrival", "oos"]
    assert classify.part.heard("card arrival, OOS", form) == ["card_arrival", "oos"]
    assert classify.part.heard("[]", form) == []
    for broken in ('["card_arrival"', "[1]", "card_arrival, weather"):
        with pytest.raises(ValueError):
            classify.part.heard(broken, form)


def test_lessons_say_what_may_be_answered() -> None:
    assert isinstance(classify.part, Teachable) and isinstance(write.part, Teachable)
    told = classify.part.lesson(FORM)
    assert all(f"\n{label}" in told for label in LABELS[:-1]) and told.endswith("answer: oos")
    assert "JSON list" in classify.part.lesson({"labels": LABELS, "multi_label": True})
    assert "shorten it" in write.part.lesson({"instruction": "shorten it"})


def test_a_written_answer_is_heard_unless_it_runs_on() -> None:
    form = {"max_words": 10}
    assert write.part.heard("  A lamp.\n", form) == "A lamp."
    for bad in ("", " \n", "word " * 60, "a\0b"):
        with pytest.raises(ValueError):
            write.part.heard(bad, form)
