"""The desk answers what waits: once, in order, and a person gets what it cannot work on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.eventually import eventually

from smidgen.core.conversations import DeskAnswer, DeskConversation, DeskReply, IncomingMessage, ProposedCall
from smidgen.desk.channels.channel import LateFailure, PersonAnswer, WebhookAnswer
from smidgen.desk.flows.inbox import Attempts, InboxWorker, TakenIn, take_in
from smidgen.desk.store.conversation_store import ConversationStore


class EchoDesk:
    """A desk that repeats; it fails on `fail`, and proposes a call on `cancel`."""

    name = "shop"
    greeting: Mapping[str, str] = {"en": "Hello!", "de": "Hallo!"}

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.slow = 0.0

    def answer(self, conversation: DeskConversation, message: str) -> DeskAnswer:
        self.asked.append(message)
        time.sleep(self.slow)
        if message == "fail":
            raise KeyError("a mistake in the desk")
        if message == "cancel":
            call = ProposedCall("call-1", "cancel_order", {}, "Cancel it")
            return DeskAnswer(DeskReply("proposed", "Shall I?", call=call), {"waiting": "call-1"})
        return DeskAnswer(DeskReply("answered", f"{conversation.address} said {message}"), {"turns": len(conversation.turns)})

    def decide(self, conversation: DeskConversation, call: str, yes: bool) -> DeskAnswer:
        raise NotImplementedError


class StepClock:
    """A clock that a test sets."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> StepClock:
    return StepClock()


@pytest.fixture
def store(tmp_path: Path, clock: StepClock) -> ConversationStore:
    return ConversationStore(f"sqlite:///{tmp_path}/conversations.db", clock)


@pytest.fixture
def attempts() -> Iterator[Attempts]:
    mine = Attempts(5.0)
    yield mine
    mine.close()


def bring(store: ConversationStore, text: str, id: str = "1", attachments: int = 0, **facts: object) -> None:
    message = IncomingMessage("slack", id, "T1", "U1", text, attachments=attachments, facts=facts)
    assert take_in(store, "shop", "slack-eu", WebhookAnswer(messages=(message,))) == TakenIn(received=1)


def said(store: ConversationStore) -> list[str]:
    """The texts that wait to be delivered, which counts as delivered."""
    found = []
    while (taken := store.outbox.take(60)) is not None:
        assert taken.message.recipient == "U1" and taken.message.channel == "slack-eu"
        store.outbox.delivered(taken, f"v-{taken.message.id}")
        found.append(taken.message.text)
    return found


def test_a_message_is_answered(store: ConversationStore, attempts: Attempts) -> None:
    bring(store, "hi")
    worker = InboxWorker(store, EchoDesk())
    assert worker.work_once(attempts) and not worker.work_once(attempts) and said(store) == ["U1 said hi"]


def test_attachments_get_a_word_and_a_start_gets_the_greeting(store: ConversationStore, attempts: Attempts) -> None:
    desk = EchoDesk()
    bring(store, "hi", "1", 2)
    bring(store, " ", "2", 1, language="de")
    bring(store, "/start", "3", begins=True, language="de")
    worker = InboxWorker(store, desk)
    assert [worker.work_once(attempts) for _ in range(4)] == [True, True, True, False]
    first, second, third = said(store)
    assert first == "U1 said hi\n\nI cannot open attachments. I read your words only."
    assert second.startswith("Anhänge kann ich nicht öffnen.") and third == "Hallo!" and desk.asked == ["hi"]


def test_a_desk_that_fails_is_asked_three_times_then_a_person_is(store: ConversationStore, clock: StepClock, attempts: Attempts) -> None:
    desk = EchoDesk()
    bring(store, "fail")
    worker = InboxWorker(store, desk)
    for _ in range(4):
        assert worker.work_once(attempts)
        clock.now += 60
    assert desk.asked == ["fail"] * 3 and not worker.work_once(attempts)
    (text,) = said(store)
    (head,) = store.conversations().conversations
    assert text.startswith("I could not work on your message") and head.status == "with_person"
    assert [event.kind for event in store.events.listed("shop")] == ["handed_over"]
    bring(store, "anybody?", "2")
    assert worker.work_once(attempts) and said(store) == [] and len(desk.asked) == 3
    assert [turn.text for turn in store.conversation(head.id).turns if turn.author == "customer"] == ["fail", "anybody?"]


def test_a_desk_that_hangs_is_left(store: ConversationStore) -> None:
    desk = EchoDesk()
    desk.slow = 0.4
    bring(store, "hi")
    short = Attempts(0.05)
    assert InboxWorker(store, desk).work_once(short) and said(store) == []
    assert store.inbox.waiting()[0] == 1
    short.close()


def test_a_call_that_a_crash_left_open_is_not_begun_again(store: ConversationStore, clock: StepClock, attempts: Attempts) -> None:
    desk = EchoDesk()
    worker = InboxWorker(store, desk)
    bring(store, "cancel")
    worker.work_once(attempts)
    bring(store, "yes", "2")
    taken = store.inbox.take(60)
    assert taken is not None and store.inbox.deciding(taken, "call-1")  # and then the process dies
    clock.now += 61
    assert worker.work_once(attempts) and desk.asked == ["cancel"]
    assert said(store)[1].startswith("I cannot tell whether that was done.")
    assert store.conversations().conversations[0].status == "with_person"


def test_what_people_did_in_the_vendors_app_is_taken_in(store: ConversationStore, attempts: Attempts) -> None:
    bring(store, "hi")
    InboxWorker(store, EchoDesk()).work_once(attempts)
    taken = store.outbox.take(60)
    assert taken is not None and store.outbox.delivered(taken, "v-9")
    (head,) = store.conversations().conversations
    answer = PersonAnswer("p-1", "T1", "By hand", "Mia")
    brought = WebhookAnswer(answers=(answer,), failures=(LateFailure("v-9", "code 1"),), statuses=(("T1", "with_person"),))
    take_in(store, "shop", "slack-eu", brought)
    take_in(store, "shop", "slack-eu", brought)
    turns = store.conversation(head.id).turns
    assert [(turn.author, turn.text) for turn in turns[2:]] == [("person", "By hand")] and store.outbox.take(60) is None
    assert [(one.message.text, one.error) for one in store.outbox.dead()] == [("U1 said hi", "code 1")]
    assert store.conversation(head.id).status == "with_person"
    take_in(store, "shop", "slack-eu", WebhookAnswer(answers=(PersonAnswer("p-2", "T-unknown", "x", "Mia"),)))


def test_threads_answer_and_stop(tmp_path: Path) -> None:
    with ConversationStore(f"sqlite:///{tmp_path}/c.db") as store:
        desk = EchoDesk()
        worker = InboxWorker(store, desk)
        worker.start()
        before = threading.active_count()
        bring(store, "hi")
        worker.wake()
        eventually(lambda: store.outbox.waiting() == 1)
        assert worker.stop() and threading.active_count() <= before
