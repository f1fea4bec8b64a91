"""Corrections: listed, decided by the owner, and written where a desk learns from; never before the owner has approved them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from smidgen.core.conversations import DeskAnswer, DeskReply
from smidgen.core.errors import InputError
from smidgen.desk.flows import corrections
from smidgen.desk.flows.corrections import ANSWERS_FILE, DeskDataFiles
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.desk.store.tables import ConversationMissing


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ConversationStore]:
    with ConversationStore(f"sqlite:///{tmp_path}/c.db") as mine:
        yield mine


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A desk's recipe with two members and their data."""
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "delivery.md").write_text(
        "# Delivery\n\nWe deliver to Ireland for £7.95. Please write to us.\n", encoding="utf-8"
    )
    (tmp_path / "questions.jsonl").write_text('{"input": "is there a catalogue", "output": null}\n', encoding="utf-8")
    (tmp_path / "support.csv").write_text('text,intent\n"hello, there",greeting\n', encoding="utf-8")
    (tmp_path / "answer.toml").write_text(
        'task = "answer"\n[data]\ntrain = "questions.jsonl"\n[answer]\ndocuments = "documents"\n', encoding="utf-8"
    )
    (tmp_path / "support.toml").write_text('[data]\ntrain = "support.csv"\ninput = "text"\nlabel = "intent"\n', encoding="utf-8")
    recipe = tmp_path / "desk.toml"
    recipe.write_text('task = "desk"\n[desk.members]\nanswer = "answer.toml"\nintents = "support.toml"\n', encoding="utf-8")
    return recipe


def asked(store: ConversationStore, question: str, answer: str = "", thumb: str = "", desk: str = "shop") -> str:
    """A conversation in which the desk did not know, and a person answered or the customer disliked it; returns the correction's id."""
    found = store.open_conversation(desk, "widget", "visitor")
    found = store.record(found, question, DeskAnswer(DeskReply("unanswered", "I do not know.", intent="delivery"), {}))
    if thumb:
        store.give_feedback(found.id, found.turns[-1].id, "down", thumb)
        return found.turns[-1].id
    turn = store.add_turn(found.id, answer, "Mia")
    assert turn is not None
    return turn.id


def test_what_waits_is_listed_with_what_the_desk_said(store: ConversationStore) -> None:
    first, second = asked(store, "Ireland?", "£7.95."), asked(store, "Opening hours?", thumb="useless")
    asked(store, "Another desk?", "Yes.", desk="other")
    page = corrections.list_corrections(store, desk="shop")
    assert page.total == 2 and [one.id for one in page.corrections] == [second, first]
    disliked, answered = page.corrections
    assert (disliked.kind, disliked.question, disliked.answer, disliked.comment) == ("thumb_down", "Opening hours?", "", "useless")
    assert (answered.kind, answered.question, answered.answer) == ("person_answered", "Ireland?", "£7.95.")
    assert {(one.said, one.outcome, one.intent, one.state) for one in page.corrections} == {
        ("I do not know.", "unanswered", "delivery", "waiting")
    }
    assert len(corrections.list_corrections(store, desk="shop", offset=1, limit=1).corrections) == 1


def test_an_answer_to_the_desk_is_no_question_to_learn(store: ConversationStore) -> None:
    person = {"handed_over": "the customer asked for a person"}
    talks: list[tuple[list[tuple[str, DeskReply | None]], str]] = [
        ([("Cancel it", DeskReply("asked", "?")), ("FH-1", DeskReply("proposed", "?")), ("Yes", DeskReply("failed", "-"))], "Cancel it"),
        ([("Gifts?", DeskReply("unanswered", "-")), ("Yes", DeskReply("handed_over", "-", facts=person))], "Gifts?"),
        ([("Yes", DeskReply("handed_over", "-", facts=person))], "Yes"),
        ([("Open?", DeskReply("answered", "9 to 5")), ("And Sunday?", DeskReply("unanswered", "-"))], "And Sunday?"),
        ([("Gifts?", DeskReply("handed_over", "-")), ("Hello?", None), ("Still there?", None)], "Still there?"),
    ]
    for said, question in talks:
        found = store.open_conversation("shop", "widget")
        for text, reply in said:
            status = "with_person" if reply is None or reply.outcome == "handed_over" else "open"
            found = store.record(found, text, None if reply is None else DeskAnswer(reply, {}, status))  # type: ignore[arg-type]
        store.add_turn(found.id, "A person's answer.", "Mia")
        assert [pair.question for pair in store.pairs("shop")][-1] == question
    assert len(store.pairs("shop")) == len(talks)


def test_a_thumb_up_is_no_correction_and_a_deleted_conversation_has_none(store: ConversationStore) -> None:
    id = asked(store, "Ireland?", thumb="bad")
    found = corrections.list_corrections(store).corrections[0]
    corrections.approve(store, id, "Ann", answer="Yes.")
    store.give_feedback(found.conversation, id, "up")
    assert corrections.list_corrections(store, None).total == 0
    store.give_feedback(found.conversation, id, "down")
    assert corrections.list_corrections(store, "approved").total == 1
    store.delete(found.conversation)
    assert corrections.list_corrections(store, None).total == 0
    with pytest.raises(ConversationMissing, match="no such correction"):
        corrections.approve(store, id, "Ann")


def test_the_owner_decides_once_and_may_think_again(store: ConversationStore) -> None:
    id = asked(store, "Can Ann Smith of FH-1 get it?", "Yes, by Monday.")
    done = corrections.approve(store, id, "Ann", question="Can I get it?", intent="order/status")
    assert (done.state, done.question, done.answer, done.intent, done.by) == (
        "approved",
        "Can I get it?",
        "Yes, by Monday.",
        "order/status",
        "Ann",
    )
    assert done.decided is not None and corrections.list_corrections(store).total == 0
    assert corrections.reject(store, id, "Bob").state == "rejected" and corrections.list_corrections(store, "approved").total == 0
    again = corrections.reopen(store, id, "Bob")
    assert (again.state, again.question, again.intent) == ("waiting", "Can Ann Smith of FH-1 get it?", "delivery")
    for wrong in ({"answer": " "}, {"question": ""}, {"quote": "We deliver."}, {"document": "delivery.md"}):
        with pytest.raises(InputError):
            corrections.approve(store, id, "Ann", **wrong)  # type: ignore[arg-type]
    assert corrections.list_corrections(store).total == 1


def test_only_what_is_approved_is_learnt(store: ConversationStore, shop: Path) -> None:
    quoted = asked(store, "what does Ireland cost", "Hello! We deliver to Ireland for £7.95.")
    unknown = asked(store, "do you sell kites", "No, we sell no kites.\nTry the toy shop.")
    polite = asked(store, "may I visit", "Sure, come on Friday, after five is best. Please write to us.")
    disliked, rejected, waiting = asked(store, "is it vegan", thumb="no"), asked(store, "private", "secret"), asked(store, "later", "soon")
    for id in (quoted, unknown, polite):
        corrections.approve(store, id, "Ann")
    corrections.approve(store, disliked, "Ann", intent="product/material", unanswerable=True)
    corrections.reject(store, rejected, "Ann")
    data = corrections.data_files(shop)
    done = corrections.add_approved(store, data, "shop")
    assert (dict(done.counts), dict(done.left)) == ({"quote": 1, "answer": 2, "no_answer": 1, "intent": 1}, {})
    folder = shop.parent
    rows = [json.loads(line) for line in (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()]
    assert rows[0] == {"input": "is there a catalogue", "output": None} and len(rows) == 5
    told = {row["input"]: row["output"] for row in rows}
    assert told["what does Ireland cost"] == {"id": "delivery.md", "text": "We deliver to Ireland for £7.95."}
    assert told["do you sell kites"] == {"id": ANSWERS_FILE, "text": "No, we sell no kites. Try the toy shop."}
    assert told["may I visit"]["id"] == ANSWERS_FILE and told["is it vegan"] is None
    with (folder / "documents" / ANSWERS_FILE).open(encoding="utf-8", newline="") as file:
        assert [row["question"] for row in csv.DictReader(file)] == ["do you sell kites", "may I visit"]
    assert (folder / "support.csv").read_text(encoding="utf-8").splitlines()[1:] == [
        '"hello, there",greeting',
        "is it vegan,product/material",
    ]
    every = "".join(file.read_text(encoding="utf-8") for file in folder.rglob("*.*") if file.suffix in (".jsonl", ".csv"))
    assert "private" not in every and "later" not in every and waiting
    again = corrections.add_approved(store, data, "shop")
    assert sum(again.counts.values()) == 0


def test_what_is_rejected_later_is_taken_out_of_the_files_again(store: ConversationStore, shop: Path) -> None:
    data, folder = corrections.data_files(shop), shop.parent
    kites, known, deleted = (
        asked(store, "do you sell kites", "No kites."),
        asked(store, "hello, there", thumb="no"),
        asked(store, "a?", "b c."),
    )
    before = {file: file.read_text(encoding="utf-8") for file in (folder / "questions.jsonl", folder / "support.csv")}
    for id in (kites, deleted):
        corrections.approve(store, id, "Ann", intent="product/kites")
    corrections.approve(store, known, "Ann", intent="greeting")  # it stands there already, as the owner's own
    assert sum(corrections.add_approved(store, data).counts.values()) == 4
    corrections.approve(store, kites, "Ann", question="are there kites", answer="No kites.", intent="product/kites")
    corrections.add_approved(store, data)
    questions = (folder / "questions.jsonl").read_text(encoding="utf-8")
    assert "are there kites" in questions and "do you sell kites" not in questions, "the earlier wording is gone"
    store.delete(store.corrections.correction(deleted).conversation)
    corrections.reject(store, kites, "Ann")
    corrections.reject(store, known, "Ann")
    assert corrections.take_back(store, data) == 2 and corrections.take_back(store, data) == 0
    left = "".join(file.read_text(encoding="utf-8") for file in folder.rglob("*.*") if file.suffix in (".jsonl", ".csv"))
    assert "are there kites" not in left and "No kites" not in left and "greeting" in left
    assert (folder / "questions.jsonl").read_text(encoding="utf-8").startswith(before[folder / "questions.jsonl"])
    assert "a?" in left, "what was learnt of a conversation that was deleted later stays"


def test_a_later_decision_replaces_an_earlier_one_in_the_files(store: ConversationStore, tmp_path: Path) -> None:
    first, second = asked(store, "Kites?", "No."), asked(store, "kites? ", "Yes, since May.")
    corrections.approve(store, first, "Ann")
    corrections.approve(store, second, "Ann")
    done = corrections.write_approved(store, tmp_path / "out")
    assert {file.name for file in done.files} == {ANSWERS_FILE, "questions.jsonl"}
    (row,) = [json.loads(line) for line in (tmp_path / "out" / "questions.jsonl").read_text(encoding="utf-8").splitlines()]
    assert row["output"]["text"] == "Yes, since May."
    corrections.reject(store, second, "Ann")
    corrections.write_approved(store, tmp_path / "out")
    assert "since May" not in (tmp_path / "out" / ANSWERS_FILE).read_text(encoding="utf-8")


def test_what_has_no_file_is_left_out_with_the_reason(store: ConversationStore) -> None:
    one, two = asked(store, "Kites?", "No kites."), asked(store, "Hours?", "Nine to five.")
    corrections.approve(store, one, "Ann")
    corrections.approve(store, two, "Ann", answer="", intent="hours")
    done = corrections.add_approved(store, DeskDataFiles(None, None, None))
    assert done.files == () and set(done.left) == {one, two} and "intents" in done.left[two]


def test_quotes_are_proposed_from_the_documents(shop: Path) -> None:
    found = corrections.find_quotes(shop.parent / "documents", "how much is delivery to Ireland")
    assert [(one.document, one.text, one.exact) for one in found] == [("delivery.md", "We deliver to Ireland for £7.95.", False)]
    assert corrections.find_quotes(shop.parent / "documents", "deliver to Ireland for £7.95")[0].exact
    assert corrections.find_quotes(shop.parent / "documents", "zzz") == []
