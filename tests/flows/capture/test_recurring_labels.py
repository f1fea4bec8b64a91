"""Answers that recur: which become labels, and which never do."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from smidgen.flows.capture import recurring_labels
from smidgen.flows.capture.recurring_labels import RecurringLabels
from smidgen.store.traffic.records import Exchange, LateLabel

NOW = datetime(2026, 5, 1, tzinfo=UTC)
TEXTS = ("where is it", "not come yet", "still waiting here", "how long is this", "I have nothing", "and when")
LABELS = ("account deletion", "margaret holloway", "late delivery")


def asked(text: str, answer: str = "margaret holloway", **more: Any) -> Exchange:
    facts = {"answered_by": "upstream", "answer": answer, "answer_state": "whole", "key": "k1", **more}
    return Exchange("req_1", NOW, "big", "/v1/chat/completions", text, **facts)


def seen(given: list[Exchange], **more: Any) -> RecurringLabels:
    found = RecurringLabels(5, **more)
    for one in given:
        found.saw(one)
    return found


def test_an_answer_to_five_different_texts_is_a_label_and_what_waited_for_it_is_put_right() -> None:
    found = RecurringLabels(5)
    before = []
    for number, text in enumerate(TEXTS[:5]):
        before.append(len(found.labels("k1")))
        found.saw(asked(text, '{"who": "Margaret Holloway."}' if number % 2 else " margaret holloway"))
        found.wait("k1", LateLabel(f"r{number}", "answer", "Margaret Holloway")) if number < 4 else None
    assert before == [0] * 5
    assert list(found.labels("k1")) == ["margaret holloway"] and found.new == [("k1", "margaret holloway")]
    assert [late.id for late in found.late] == ["r0", "r1", "r2", "r3"]
    found.settled()
    assert (found.new, found.late) == ([], [])
    found.wait("k1", LateLabel("r9", "answer", "Margaret Holloway"))
    found.saw(asked(TEXTS[5]))
    assert (found.new, found.late) == ([], []), "what is known needs not wait"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ([asked("where is it")] * 9, "one text"),
        ([asked(f"Where  is it, order {number}") for number in range(9)], "texts that differ in digits, case and blanks alone"),
        ([asked(f"{text}, says Margaret B. Holloway") for text in TEXTS], "a name that stands in the text"),
        ([asked(text, system='["User: Margaret Holloway"]') for text in TEXTS], "a name that stands in the words to the system"),
        ([asked(f"Margaret Holloway writes: {text}") for text in TEXTS], "a name that stands in what the texts share"),
        ([asked(text, "margaret holloway " * 4) for text in TEXTS], "an answer that is too long"),
        ([asked(text, "margaret\nholloway") for text in TEXTS], "an answer of two lines"),
        ([asked(text, "[PERSON_1]") for text in TEXTS], "a placeholder"),
        ([asked(f"{text}, margaret of ulm", '{"name": "margaret", "town": "ulm"}') for text in TEXTS], "values that stand in the text"),
        ([asked(text, '["margaret"]') for text in TEXTS], "a list"),
        ([asked(text, answered_by="local") for text in TEXTS], "an answer from here"),
        ([asked(text, answer_state="cut") for text in TEXTS], "an answer that was cut"),
        ([asked(text, status=500) for text in TEXTS], "a failure"),
        ([asked(text, user="anna") for text in TEXTS] + [asked("?", "yes", user="bert")], "the texts of one user among several"),
        ([asked(text, key=f"k{number}") for number, text in enumerate(TEXTS)], "texts of different keys"),
        ([asked(text) for text in TEXTS[:4]], "four texts"),
    ],
)
def test_what_makes_no_label(given: list[Exchange], why: str) -> None:
    found = seen(given)
    assert not found.new, why


def test_each_value_of_an_object_counts_in_its_field() -> None:
    found = RecurringLabels(5)
    for number, text in enumerate(TEXTS):
        said = {"team": "Margaret Holloway", "Ann": "x y", "to": {"who": [f"person {chr(97 + number)}", "Bob"]}, "note": "a " * 99, "n": 1}
        found.saw(asked(text, json.dumps(said)), ["Margaret Holloway", "Ann"])
    assert {label for _, label in found.new} == {"team\nmargaret holloway", "who\nbob"}
    assert found.is_value("k1", "team", "Margaret Holloway.") and not found.is_value("k1", "name", "Margaret Holloway")
    assert "margaret holloway" not in found.labels("k1") and not found.is_value("k2", "team", "Margaret Holloway")
    named = RecurringLabels(5)
    for text in TEXTS:
        named.saw(asked(f"Margaret Holloway: {text}", '{"name": "Margaret Holloway", "late": "yes it is"}'), ["Margaret Holloway"])
    assert [label for _, label in named.new] == ["late\nyes it is"]


def test_a_sentence_about_a_name_that_stands_in_the_text_makes_no_label() -> None:
    found = RecurringLabels(5)
    for text in TEXTS:
        found.saw(asked(f"Margaret Holloway: {text}", "It is Margaret Holloway."), ["Margaret Holloway"])
    assert not found.new
    for text in TEXTS:
        found.saw(asked(f"Margaret Holloway: {text}", "It is late."), [])
    assert [label for _, label in found.new] == ["it is late"]


def test_the_form_of_personal_data_makes_no_label() -> None:
    found = seen([asked(text, "4111 1111 1111 1111") for text in TEXTS], personal=lambda answer: "4111" in answer)
    assert not found.new


@pytest.mark.parametrize("place", ["system", "before", "behind"])
def test_labels_that_are_listed_in_what_is_asked_are_labels(place: str) -> None:
    listed = f"Answer with one of: {', '.join(LABELS)}.\n"
    frame: dict[str, Callable[[str], dict[str, Any]]] = {
        "system": lambda text: {"text": text, "system": f'["{listed}"]'},
        "before": lambda text: {"text": f"{listed}Message: {text}"},
        "behind": lambda text: {"text": f"Message: {text}\n{listed}"},
    }
    given = [asked(answer=LABELS[number % 3], **frame[place](f"{text} {letter}")) for letter in "abc" for number, text in enumerate(TEXTS)]
    assert {label for _, label in seen(given).new} == set(LABELS)
    assert not seen([one for one in given if one.answer == "margaret holloway"]).new, "no other answers show that it is a list"


def test_two_users_or_none_that_is_named_are_enough() -> None:
    assert seen([asked(text, user="anna" if number else "bert") for number, text in enumerate(TEXTS)]).new
    assert seen([asked(text) for text in TEXTS]).new
    program = [asked(f"{text} {chr(97 + number)}", user="the-app") for number in range(9) for text in TEXTS]
    assert seen(program).new and not seen(program[:40]).new, "a program that always names itself"


def test_a_key_makes_nothing_known_for_another() -> None:
    found = seen([asked(text, key="tenant") for text in TEXTS])
    assert found.labels("tenant") and not found.labels("other") and not found.labels("")


def test_it_is_bounded_in_number_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(recurring_labels, "_MOST_PENDING", 10)
    found = seen([asked(text) for text in TEXTS[:4]], clock=lambda: now[0])
    for number in range(300):
        found.wait("k1", LateLabel(f"r{number}", "answer", "margaret holloway"))
    assert len(found._keys["k1"].pending["margaret holloway"].late) == recurring_labels._MOST_LATE
    now[0] = recurring_labels.WAIT_SECONDS + 1
    found.saw(asked(TEXTS[4]))
    assert not found.new, "the others came too long ago"
    for number in range(30):
        found.saw(asked(TEXTS[0], f"other {chr(97 + number)}"))
    assert len(found._keys["k1"].pending) == 10
    monkeypatch.setattr(recurring_labels, "_MOST_KEYS", 20)
    found.know([("k0", "known")])
    for number in range(100):
        found.saw(asked("x", key=f"key {number}"))
        found.wait(f"key {number}", LateLabel(f"r{number}", "answer", "x"))
    assert len(found._keys) == 20 and found.labels("k0"), "those that know something stay longer"
    assert found._rows_waiting == sum(one.waiting for one in found._keys.values()) == 19
    monkeypatch.setattr(recurring_labels, "_MOST_LATE_OF_ALL", 25)
    for number in range(100):
        found.wait("key 99", LateLabel(f"r{number}", "answer", f"y {chr(97 + number % 9)}"))
    assert found._rows_waiting == 25
    for text in TEXTS:
        found.saw(asked(text, "x", key="key 99"))
    assert ("key 99", "x") in found.new and found._rows_waiting == 24, "what is put right waits no more"


def test_zero_turns_it_off_and_what_is_stored_is_known_at_the_start() -> None:
    off = RecurringLabels(0)
    for text in TEXTS:
        off.saw(asked(text))
    assert not off.new
    found = RecurringLabels(5)
    found.know([("k1", "margaret holloway")])
    assert list(found.labels("k1")) == ["margaret holloway"]
    found.know([])
    assert not found.labels("k1"), "what was deleted from the store is known no more"
