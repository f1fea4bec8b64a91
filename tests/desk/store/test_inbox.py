"""The inbox and the outbox: nothing is lost, nothing is answered twice, the order in a conversation is kept."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest

from smidgen.core.conversations import DeskAnswer, DeskReply, IncomingMessage
from smidgen.core.errors import DataError
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.desk.store.inbox import MOST_WAITING
from smidgen.desk.store.tables import ConversationMissing


class SetClock:
    """A clock that a test sets."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def store(tmp_path: Path, clock: SetClock) -> ConversationStore:
    return ConversationStore(f"sqlite:///{tmp_path}/conversations.db", clock)


def chat(id: str, text: str = "Hi", sender: str = "U1", thread: str = "T1") -> IncomingMessage:
    return IncomingMessage("slack", id, thread, sender, text, facts={"ts": id})


def said(text: str, outcome: str = "answered") -> DeskAnswer:
    return DeskAnswer(DeskReply(outcome, text), {"said": text})  # type: ignore[arg-type]


def test_an_id_is_received_once_in_a_channel_of_a_desk(store: ConversationStore) -> None:
    assert store.inbox.receive(chat("1"), "shop") == "received"
    assert store.inbox.receive(chat("1", "changed", "U2", "T9"), "shop") == "repeated"
    assert store.inbox.receive(chat("1"), "clinic") == "received"
    assert store.inbox.receive(IncomingMessage("email", "1", "T1", "U1", "Hi"), "shop") == "received"
    assert store.inbox.waiting() == (3, 0.0)


def test_messages_of_a_conversation_come_one_after_the_other(store: ConversationStore) -> None:
    for id, sender in (("1", "U1"), ("2", "U1"), ("3", "U2")):
        store.inbox.receive(chat(id, f"text {id}", sender), "shop")
    first = store.inbox.take(60)
    other = store.inbox.take(60)
    assert first is not None and other is not None and store.inbox.take(60) is None
    # one thread of two senders is two conversations
    assert (first.message.external_id, other.message.external_id) == ("1", "3") and first.conversation.id != other.conversation.id
    assert (first.message, first.desk, first.attempts, first.conversation.turns) == (chat("1", "text 1"), "shop", 1, ())
    assert store.inbox.finish(first, said("one"))
    second = store.inbox.take(60)
    assert second is not None and second.message.external_id == "2"
    assert [turn.text for turn in second.conversation.turns] == ["text 1", "one"] and second.conversation.state == {"said": "one"}


def test_the_answer_goes_to_the_sender_with_its_own_facts(store: ConversationStore) -> None:
    store.inbox.receive(chat("1", sender="U1"), "shop")
    store.inbox.receive(chat("2", sender="U2"), "shop")
    for _ in range(2):
        taken = store.inbox.take(60)
        assert taken is not None and store.inbox.finish(taken, said(f"for {taken.message.sender}"))
    out = [store.outbox.take(60), store.outbox.take(60)]
    told = [(one.message.recipient, one.message.text, one.message.facts["ts"]) for one in out if one]
    assert told == [("U1", "for U1", "1"), ("U2", "for U2", "2")]
    assert [event.kind for event in store.events.listed("shop")] == ["answered", "answered"]


def test_a_worker_that_died_loses_its_lease_and_cannot_answer_late(store: ConversationStore, clock: SetClock) -> None:
    store.inbox.receive(chat("1"), "shop")
    dead = store.inbox.take(60)
    clock.now += 59
    assert dead is not None and store.inbox.take(60) is None
    clock.now += 2
    alive = store.inbox.take(60)
    assert alive is not None and alive.attempts == 2 and alive.waited == 61
    assert not store.inbox.finish(dead, said("late")) and not store.inbox.retry(dead, 0, "late")
    assert store.inbox.finish(alive, said("once")) and not store.inbox.finish(alive, said("twice"))
    assert [turn.text for turn in store.conversation(alive.conversation.id).turns] == ["Hi", "once"]
    assert store.outbox.waiting() == 1


def test_a_failed_message_waits_and_later_ones_wait_behind_it(store: ConversationStore, clock: SetClock) -> None:
    store.inbox.receive(chat("1"), "shop")
    store.inbox.receive(chat("2"), "shop")
    taken = store.inbox.take(60)
    assert taken is not None and store.inbox.retry(taken, 30, "the desk failed")
    assert store.inbox.take(60) is None
    clock.now += 31
    again = store.inbox.take(60)
    assert again is not None and (again.message.external_id, again.attempts) == ("1", 2)
    store.inbox.release(again)
    last = store.inbox.take(60)
    assert last is not None and last.attempts == 2


def test_a_begun_call_is_known_after_a_crash(store: ConversationStore, clock: SetClock) -> None:
    store.inbox.receive(chat("1", "yes"), "shop")
    taken = store.inbox.take(60)
    assert taken is not None and taken.deciding == "" and store.inbox.deciding(taken, "call-1")
    clock.now += 61
    again = store.inbox.take(60)
    assert again is not None and again.deciding == "call-1" and not store.inbox.deciding(taken, "call-2")


def test_the_desk_says_nothing_in_a_conversation_that_a_person_took_over_meanwhile(store: ConversationStore) -> None:
    store.inbox.receive(chat("1"), "shop")
    taken = store.inbox.take(60)
    assert taken is not None
    store.set_status(taken.conversation.id, "with_person")
    assert store.inbox.finish(taken, said("I know!"))
    after = store.conversation(taken.conversation.id)
    assert [turn.author for turn in after.turns] == ["customer"] and after.status == "with_person"
    assert store.outbox.take(60) is None and [event.kind for event in store.events.listed("shop")] == ["customer_wrote"]


def test_sizes_are_bounded(store: ConversationStore) -> None:
    assert {store.inbox.receive(chat(f"{number}"), "shop") for number in range(MOST_WAITING)} == {"received"}
    assert store.inbox.receive(chat("more"), "shop") == "refused" and store.inbox.receive(chat("0"), "shop") == "repeated"
    assert store.inbox.receive(chat("more", sender="U2"), "shop") == "received"
    for bad in (chat(""), chat("x" * 501), chat("a\0"), chat("1", sender=""), chat("1", thread="")):
        with pytest.raises(DataError, match="missing or invalid"):
            store.inbox.receive(bad, "shop")
    with pytest.raises(DataError, match="too long"):
        store.inbox.receive(IncomingMessage("slack", "big", "T", "U", "x", facts={"a": "x" * 200_000}), "shop")
    assert store.inbox.receive(chat("long", "y" * 30_000, "U3"), "shop") == "received"
    for seconds in (0.0, 4_000.0):
        with pytest.raises(DataError, match="lease"):
            store.inbox.take(seconds)


def test_outgoing_messages_keep_their_order_are_tried_again_and_buried(store: ConversationStore, clock: SetClock) -> None:
    for id in ("1", "2"):
        store.inbox.receive(chat(id), "shop")
        taken = store.inbox.take(60)
        assert taken is not None and store.inbox.finish(taken, said(f"answer {id}"))
    first = store.outbox.take(60)
    assert first is not None and store.outbox.take(60) is None and store.outbox.take(60, "clinic") is None
    assert store.outbox.retry(first, 10, "HTTP 429") and store.outbox.take(60) is None
    clock.now += 11
    again = store.outbox.take(60)
    assert again is not None and (again.message, again.attempts) == (first.message, 2)
    assert not store.outbox.retry(first, 0, "late")
    assert store.outbox.bury(again, "the channel was archived") and store.waiting().dead == 1
    second = store.outbox.take(60)
    assert second is not None and second.message.text == "answer 2"
    assert store.outbox.delivered(second, "v-2") and not store.outbox.delivered(second, "v-3")
    dead = store.outbox.dead("shop")
    assert [(one.message.text, one.error, one.attempts) for one in dead] == [("answer 1", "the channel was archived", 2)]
    store.outbox.send_again(dead[0].message.id)
    last = store.outbox.take(60)
    assert last is not None and last.message.id == first.message.id and store.outbox.dead() == []
    found = store.outbox.find_vendor_id("slack", "v-2")
    assert found is not None and found.message.text == "" and found.message.reply is None, "its words are in the turn alone"
    assert store.outbox.find_vendor_id("email", "v-2") is None
    assert store.outbox.failed_late("slack", "v-2", "the number is gone")
    (late,) = store.outbox.dead()
    assert (late.message.text, late.message.reply) == (second.message.text, second.message.reply), "the words are taken from the turn"
    with pytest.raises(ConversationMissing):
        store.outbox.send_again("none")


def test_events_go_to_each_listener_once(store: ConversationStore, clock: SetClock) -> None:
    store.events.tell("shop", "promoted", {"version": 2})
    store.events.tell("shop", "revoked", {"reason": "audit"})
    listeners = {"zapier": ("promoted", "revoked"), "mail": ("revoked",)}
    assert store.events.sort(listeners, "shop") == 2 and store.events.sort(listeners, "shop") == 0  # type: ignore[arg-type]
    assert store.events.sort(listeners, "clinic") == 0  # type: ignore[arg-type]
    taken = [store.events.take(60) for _ in range(3)]
    assert [(one.listener, one.event.kind) for one in taken if one] == [("zapier", "promoted"), ("zapier", "revoked"), ("mail", "revoked")]
    assert store.events.take(60) is None
    first, second, third = (one for one in taken if one is not None)
    assert store.events.delivered(first) and not store.events.delivered(first)
    assert store.events.retry(second, 5, "HTTP 500") and store.events.bury(third, "HTTP 410")
    clock.now += 6
    again = store.events.take(60)
    assert again is not None and (again.listener, again.attempts, again.event.body) == ("zapier", 2, {"reason": "audit"})
    dead = store.events.dead("shop")
    assert [(one.listener, one.error) for one in dead] == [("mail", "HTTP 410")] and store.waiting().dead_events == 1
    assert store.events.send_again(dead[0].number) and not store.events.send_again(dead[0].number)


def test_several_workers_answer_each_message_once_and_in_order(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/conversations.db"
    with ConversationStore(url) as store:
        for number in range(60):
            store.inbox.receive(chat(f"{number}", f"{number}", f"U{number % 7}"), "shop")

    def work() -> None:
        with ConversationStore(url) as mine:
            while (taken := mine.inbox.take(60)) is not None:
                assert mine.inbox.finish(taken, said(f"to {taken.message.text}"))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with ConversationStore(url) as store:
        # a worker ends while the others hold what is left: one more finds nothing, or the rest
        work()
        seen: Counter[str] = Counter()
        heads = store.conversations().conversations
        for head in heads:
            numbers = [int(turn.text) for turn in store.conversation(head.id).turns if turn.author == "customer"]
            assert numbers == sorted(numbers)
            seen.update(str(number) for number in numbers)
        assert len(heads) == 7 and len(seen) == 60 and set(seen.values()) == {1} and store.outbox.waiting() == 60
