"""Conversations: what is written, read, listed and deleted."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from smidgen.core.conversations import Card, Citation, DeskAnswer, DeskReply, IncomingMessage
from smidgen.core.errors import DataError
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.desk.store.corrections import CorrectionDecision
from smidgen.desk.store.records import ConversationFilter
from smidgen.desk.store.tables import ConversationChanged, ConversationMissing

REPLY = DeskReply(
    "answered", "30 days.", "answer", "returns", 0.9, (Citation("d", "Returns", "30 days", 0, 7),), (Card("facts", "x", ({},)),)
)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> ConversationStore:
    return ConversationStore(f"sqlite:///{tmp_path}/conversations.db", clock)


def mail(id: str, text: str = "How long?", sender: str = "ann@example.org", thread: str = "t1") -> IncomingMessage:
    return IncomingMessage("email", id, thread, sender, text, "Returns", facts={"message_id": id})


def handle(store: ConversationStore, answer: DeskAnswer | None) -> str:
    taken = store.inbox.take(60)
    assert taken is not None and store.inbox.finish(taken, answer)
    return taken.conversation.id


def test_a_channel_that_delivers_itself_records_question_and_answer(store: ConversationStore) -> None:
    empty = store.open_conversation("shop", "widget", language="de")
    after = store.record(empty, "How long?", DeskAnswer(REPLY, {"topic": "returns"}))
    assert [(turn.author, turn.text, turn.reply) for turn in after.turns] == [("customer", "How long?", None), ("desk", "30 days.", REPLY)]
    assert (after.state, after.language, after.status) == ({"topic": "returns"}, "de", "open") and store.conversation(empty.id) == after
    pressed = store.record(after, "", DeskAnswer(DeskReply("cancelled", "Nothing was changed."), {}))
    assert [turn.author for turn in pressed.turns] == ["customer", "desk", "desk"]
    assert [turn.text for turn in store.turns_after(empty.id, after.turns[-1].id)] == ["Nothing was changed."]
    assert store.outbox.take(60) is None
    with pytest.raises(ConversationChanged):
        store.record(after, "Once more", DeskAnswer(REPLY, {}))
    assert len(store.conversation(empty.id).turns) == 3


def test_a_customers_turn_has_the_channels_id_and_a_decision_stands_before_its_result(store: ConversationStore) -> None:
    asked = store.record(store.open_conversation("shop", "widget"), "Cancel it", DeskAnswer(REPLY, {}), turn="mine")
    assert asked.turns[0].id == "mine" and store.conversation(asked.id).turns[0].id == "mine"
    decided = store.confirm(asked, "Yes, do it", "decision")
    assert [(turn.id, turn.author) for turn in decided.turns[2:]] == [("decision", "customer")]
    assert decided.state == asked.state and store.conversation(asked.id) == decided
    done = store.record(decided, "", DeskAnswer(DeskReply("done", "Done."), {}))
    assert [turn.author for turn in done.turns] == ["customer", "desk", "customer", "desk"]
    with pytest.raises(ConversationChanged):
        store.confirm(decided, "Yes, do it", "another")
    assert len(store.conversation(asked.id).turns) == 4


def test_an_answer_of_a_person_goes_out_and_is_learnt_from(store: ConversationStore) -> None:
    store.inbox.receive(mail("m1", "Do you gift-wrap?"), "shop")
    id = handle(store, DeskAnswer(DeskReply("handed_over", "A person will answer."), {}, "with_person"))
    first = store.outbox.take(60)
    assert first is not None and store.outbox.delivered(first)
    store.add_turn(id, "Yes, for 3 €.", "Mia", status="open")
    out = store.outbox.take(60)
    assert out is not None
    assert (out.message.recipient, out.message.text, out.message.subject) == ("ann@example.org", "Yes, for 3 €.", "Returns")
    assert out.message.facts["message_id"] == "m1" and out.message.reply is None
    store.add_turn(id, "And it is pretty.", "Mia", deliver=False)
    assert store.outbox.take(60) is None
    pairs = store.pairs("shop")
    assert [(pair.question, pair.answer) for pair in pairs] == [("Do you gift-wrap?", "Yes, for 3 €.")]
    assert store.pairs("shop", pairs[-1].number) == [] and store.pairs("clinic") == []
    assert [turn.author for turn in store.conversation(id).turns] == ["customer", "desk", "person", "person"]
    with pytest.raises(DataError, match="empty or too long"):
        store.add_turn(id, " ", "Mia")


def test_feedback_is_on_the_desks_turns_and_the_last_one_counts(store: ConversationStore) -> None:
    talk = store.record(store.open_conversation("shop", "widget"), "Hi", DeskAnswer(REPLY, {}))
    asked, said = (turn.id for turn in talk.turns)
    store.give_feedback(talk.id, said, "up")
    store.give_feedback(talk.id, said, "down", "It is 14 days")
    assert [(one.turn, one.verdict, one.comment) for one in store.feedback(talk.id)] == [(said, "down", "It is 14 days")]
    assert [event.body["verdict"] for event in store.events.listed("shop", "feedback")] == ["down", "up"]
    other = store.open_conversation("shop", "widget")
    for conversation, turn in ((talk.id, asked), (other.id, said), ("none", said)):
        with pytest.raises(ConversationMissing):
            store.give_feedback(conversation, turn, "up")


def test_the_list_is_filtered_and_paged(store: ConversationStore, clock: Clock) -> None:
    for number in range(5):
        clock.now += 1
        store.inbox.receive(mail(f"m{number}", f"Question {number} 100%", f"c{number}@example.org"), "shop")
        handle(store, DeskAnswer(REPLY, {}) if number % 2 else DeskAnswer(DeskReply("handed_over", "Wait."), {}, "with_person"))
    store.record(store.open_conversation("clinic", "widget"), "Hello", DeskAnswer(REPLY, {}))
    page = store.conversations(ConversationFilter("shop"), 1, 2)
    assert page.total == 5 and [one.address for one in page.conversations] == ["c3@example.org", "c2@example.org"]
    assert page.conversations[0].first == "Question 3 100%" and page.conversations[0].outcome == "answered"
    assert store.conversations(ConversationFilter("shop", status="with_person")).total == 3
    assert store.conversations(ConversationFilter(outcome="answered")).total == 3
    assert store.conversations(ConversationFilter(channel="widget")).total == 1
    assert store.conversations(ConversationFilter(text="QUESTION 3 100%")).total == 1
    assert store.conversations(ConversationFilter(text="question%100_")).total == 0
    assert store.conversations(ConversationFilter(since=clock.now)).total == 2


def test_a_deleted_conversation_is_gone_from_the_file(store: ConversationStore, tmp_path: Path) -> None:
    store.inbox.receive(mail("m1", "My secret is Rumpelstilz"), "shop")
    id = handle(store, DeskAnswer(REPLY, {}))
    store.add_turn(id, "No secret is safe", "Mia")
    store.give_feedback(id, store.conversation(id).turns[1].id, "up")
    store.inbox.receive(mail("m2", "Rumpelstilz again"), "shop")
    assert store.delete("none").conversations == 0
    done = store.delete_address("email", "ann@example.org")
    assert (done.conversations, done.gone) == (1, True)
    assert b"Rumpelstilz" not in b"".join(file.read_bytes() for file in tmp_path.glob("conversations.db*"))
    assert store.pairs("shop") == [] and store.inbox.take(60) is None and store.outbox.take(60) is None
    assert store.events.listed("shop") == []
    with pytest.raises(ConversationMissing):
        store.conversation(id)
    # what a vendor sends again after the deletion is not answered again
    assert store.inbox.receive(mail("m1"), "shop") == "repeated"


def test_old_conversations_go_and_waiting_ones_stay(store: ConversationStore, clock: Clock) -> None:
    store.inbox.receive(mail("m1", sender="a@example.org"), "shop")
    old = handle(store, DeskAnswer(DeskReply("asked", ""), {}))
    store.inbox.receive(mail("m2", sender="b@example.org"), "shop")
    clock.now += 40 * 86_400
    fresh = store.record(store.open_conversation("shop", "widget"), "Hi", DeskAnswer(REPLY, {}))
    assert store.delete_older(30).conversations == 1
    assert {one.id for one in store.conversations().conversations} >= {fresh.id} and store.conversations().total == 2
    with pytest.raises(ConversationMissing):
        store.conversation(old)
    assert store.inbox.receive(mail("m1"), "shop") == "received"  # forgotten by now
    with pytest.raises(DataError, match="out of range"):
        store.delete_older(-1)


def test_a_closed_conversation_opens_when_its_customer_writes(store: ConversationStore) -> None:
    store.inbox.receive(mail("m1"), "shop")
    id = handle(store, DeskAnswer(REPLY, {}))
    store.set_status(id, "closed")
    store.inbox.receive(mail("m2"), "shop")
    assert store.conversation(id).status == "open"
    with pytest.raises(ConversationMissing):
        store.set_status("none", "closed")


def test_long_conversations_are_read_by_their_last_turns(store: ConversationStore) -> None:
    talk = store.open_conversation("shop", "widget")
    for number in range(104):
        talk = store.record(talk, f"{number}", DeskAnswer(DeskReply("answered", "."), {}))
    assert len(talk.turns) == 200 and talk.turns[0].text == "4" and talk.turns[-2].text == "103"


def test_it_opens_again_with_all_it_has(tmp_path: Path) -> None:
    with ConversationStore(f"sqlite:///{tmp_path}/c.db") as store:
        talk = store.record(store.open_conversation("shop", "widget"), "Hi\0 \ud83d", DeskAnswer(REPLY, {"a": [1]}))
    with ConversationStore(f"sqlite:///{tmp_path}/c.db") as store:
        assert store.conversation(talk.id) == talk and talk.turns[0].text == "Hi\ufffd ?"


def test_a_database_of_the_first_version_gets_the_new_tables(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/old.db"
    with ConversationStore(url) as store:
        found = store.open_conversation("shop", "widget", "visitor")
        store.record(found, "Hello", None)
    with closing(sqlite3.connect(tmp_path / "old.db")) as old, old:
        old.execute("DROP TABLE desk_corrections")
        old.execute("ALTER TABLE outbox DROP COLUMN doubt")
        old.execute("UPDATE desk_meta SET value = '1' WHERE name = 'version'")
    with ConversationStore(url) as store:
        turn = store.add_turn(found.id, "Hello!", "Mia")
        assert turn is not None
        decided = store.corrections.decide(turn.id, CorrectionDecision("approved", "Hello", "Hello!"), "Ann")
        assert decided.state == "approved" and store.conversation(found.id).turns[0].text == "Hello"
    with ConversationStore(f"sqlite:///{tmp_path}/new.db"):
        pass
    columns = {}
    for name in ("old", "new"):
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as base:
            columns[name] = {
                table: {row[1]: row[3] for row in base.execute(f"PRAGMA table_info({table})")} for table in ("desk_corrections", "outbox")
            }
    assert columns["old"] == columns["new"] and len(columns["new"]["outbox"]) == 21
