"""Yes and no by buttons: each counts once, for the call that waits, in the conversation of the customer who was asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from smidgen.core.conversations import DeskAnswer, DeskConversation, DeskReply, IncomingMessage, OutgoingMessage, ProposedCall
from smidgen.desk.channels.channel import WebhookAnswer
from smidgen.desk.channels.decisions import DECISION, buttons, read_press
from smidgen.desk.flows.inbox import Attempts, InboxWorker, take_in
from smidgen.desk.store.conversation_store import ConversationStore


class CallingDesk:
    """A desk that proposes a call for each message that begins with "cancel", and counts what it runs."""

    name = "shop"
    greeting: Mapping[str, str] = {}

    def __init__(self) -> None:
        self.run: list[tuple[str, str, bool]] = []
        self.fails = False

    def answer(self, conversation: DeskConversation, message: str) -> DeskAnswer:
        if not message.startswith("cancel"):
            return DeskAnswer(DeskReply("answered", f"re {message}"), {})
        call = ProposedCall(f"call-of-{message[7:]}", "cancel_order", {}, "Cancel it")
        return DeskAnswer(DeskReply("proposed", "Soll ich?", call=call, language="de"), {"waiting": {"id": call.id}, "language": "de"})

    def decide(self, conversation: DeskConversation, call: str, yes: bool) -> DeskAnswer:
        self.run.append((conversation.address, call, yes))
        if self.fails:
            raise KeyError("a mistake while it ran")
        return DeskAnswer(DeskReply("done" if yes else "cancelled", "Erledigt."), {"language": "de"})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ConversationStore]:
    with ConversationStore(f"sqlite:///{tmp_path}/c.db") as mine:
        yield mine


@pytest.fixture
def desk() -> CallingDesk:
    return CallingDesk()


@pytest.fixture
def work(store: ConversationStore, desk: CallingDesk) -> Iterator[InboxWorker]:
    worker, attempts = InboxWorker(store, desk, retry=0.0), Attempts(10.0)

    def once(*_: object) -> bool:
        return InboxWorker.work_once(worker, attempts)

    worker.work_once = once  # type: ignore[method-assign]
    yield worker
    attempts.close()


def bring(store: ConversationStore, work: InboxWorker, text: str, id: str, sender: str = "U1", press: str = "") -> str:
    """Bring a message or a press, let the desk work, and return what the customer is told."""
    facts = {DECISION: read_press(press)} if press else {}
    message = IncomingMessage("chat", id, "T1", sender, text, facts=facts)
    assert take_in(store, "shop", "chat", WebhookAnswer(messages=(message,))).received == 1
    assert work.work_once()  # type: ignore[call-arg]
    (head,) = [one for one in store.conversations().conversations if one.address == sender]
    newest = store.conversation(head.id).turns[-1]
    return newest.text if newest.author == "desk" else ""


def test_a_press_runs_the_waiting_call_once(store: ConversationStore, work: InboxWorker, desk: CallingDesk) -> None:
    bring(store, work, "cancel 1", "m1")
    assert bring(store, work, "Ja, bitte", "p1", press="desk:yes:call-of-1") == "Erledigt."
    again = bring(store, work, "Ja, bitte", "p2", press="desk:yes:call-of-1")
    no = bring(store, work, "Nein", "p3", press="desk:no:call-of-1")
    assert desk.run == [("U1", "call-of-1", True)] and again == no and again.startswith("Diese Frage ist")
    turns = store.conversation(store.conversations().conversations[0].id).turns
    assert [turn.reply.outcome for turn in turns if turn.reply is not None] == ["proposed", "done", "failed", "failed"]


def test_a_late_press_does_nothing_and_the_call_that_waits_still_does(
    store: ConversationStore, work: InboxWorker, desk: CallingDesk
) -> None:
    bring(store, work, "cancel 1", "m1")
    bring(store, work, "cancel 2", "m2")
    assert "nicht mehr offen" in bring(store, work, "Ja", "p1", press="desk:yes:call-of-1") and desk.run == []
    assert bring(store, work, "Nein", "p2", press="desk:no:call-of-2") == "Erledigt."
    assert desk.run == [("U1", "call-of-2", False)]
    bring(store, work, "cancel 3", "m3")
    bring(store, work, "something else", "m4")
    assert "no longer" in bring(store, work, "Ja", "p3", press="desk:yes:call-of-3") and len(desk.run) == 1


def test_only_who_was_asked_decides(store: ConversationStore, work: InboxWorker, desk: CallingDesk) -> None:
    bring(store, work, "cancel 1", "m1")
    assert "no longer open for you" in bring(store, work, "Yes", "p1", sender="U2", press="desk:yes:call-of-1")
    assert desk.run == [] and bring(store, work, "Yes", "p2", press="desk:yes:call-of-1") == "Erledigt."


def test_nothing_runs_while_a_person_has_the_conversation(store: ConversationStore, work: InboxWorker, desk: CallingDesk) -> None:
    bring(store, work, "cancel 1", "m1")
    (head,) = store.conversations().conversations
    store.set_status(head.id, "with_person")
    assert "nicht mehr offen" in bring(store, work, "Ja", "p1", press="desk:yes:call-of-1")
    assert desk.run == [] and store.conversation(head.id).status == "with_person"


def test_a_call_that_began_and_did_not_end_is_not_begun_again(store: ConversationStore, work: InboxWorker, desk: CallingDesk) -> None:
    bring(store, work, "cancel 1", "m1")
    desk.fails = True
    bring(store, work, "Ja", "p1", press="desk:yes:call-of-1")
    desk.fails = False
    assert work.work_once() and len(desk.run) == 1  # type: ignore[call-arg]
    conversation = store.conversation(store.conversations().conversations[0].id)
    assert conversation.status == "with_person" and "nicht noch einmal" in conversation.turns[-1].text


def test_a_button_carries_its_call_and_nothing_else_is_read() -> None:
    call = ProposedCall("x" * 32, "cancel_order", {}, "Cancel it")
    message = OutgoingMessage("id", "chat", "T", "U", "Shall I?", DeskReply("proposed", "Shall I?", call=call, language="de"))
    shown = buttons(message)
    assert shown is not None and [label for label, _ in shown] == ["Ja, bitte", "Nein"]
    assert [read_press(value) for _, value in shown] == [{"call": "x" * 32, "yes": True}, {"call": "x" * 32, "yes": False}]
    assert all(len(value.encode()) <= 64 for _, value in shown)
    assert buttons(replace(message, reply=DeskReply("answered", "x"))) is None and buttons(replace(message, reply=None)) is None
    others = ("desk:yes:", "desk:maybe:x", "desk:yes:a b", "desk:yes:" + "x" * 56, "yes", "", None, 7, ["desk:yes:x"], "desk:yes:x\n")
    assert [read_press(one) for one in others] == [None] * len(others)
