"""Conversations on a real PostgreSQL, where one is named: SMIDGEN_TEST_POSTGRES_URL, a database that may be filled and emptied."""

from __future__ import annotations

import os
import threading
import uuid
from collections import Counter

import pytest

from smidgen.core.conversations import DeskAnswer, DeskReply, IncomingMessage
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.desk.store.records import ConversationFilter

URL = os.environ.get("SMIDGEN_TEST_POSTGRES_URL", "")

pytestmark = pytest.mark.skipif(not URL, reason="SMIDGEN_TEST_POSTGRES_URL names no database")


def test_workers_share_it_and_answer_each_message_once() -> None:
    desk = f"test-{uuid.uuid4().hex}"

    def fill(sender: str) -> None:
        with ConversationStore(URL) as store:
            for number in range(20):
                message = IncomingMessage("slack", f"{number % 15}-{sender}", "T1", sender, f"{number} \0 é", facts={"n": number})
                store.inbox.receive(message, desk)

    def work() -> None:
        with ConversationStore(URL) as store:
            while (taken := store.inbox.take(60, desk)) is not None:
                reply = DeskReply("answered", f"to {taken.message.sender}")
                assert store.inbox.finish(taken, DeskAnswer(reply, {"n": 1}))

    def deliver() -> None:
        with ConversationStore(URL) as store:
            store.events.sort({"hook": ("answered",)}, desk)
            while (taken := store.outbox.take(60, desk)) is not None:
                assert taken.message.text == f"to {taken.message.recipient}" and store.outbox.delivered(taken, taken.message.id)
                sent.append(taken.message.id)

    sent: list[str] = []
    for job, arguments in ((fill, ["A", "B", "A", "B"]), (work, []), (deliver, [])):
        threads = [threading.Thread(target=job, args=tuple(arguments[place : place + 1])) for place in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    work()
    deliver()
    with ConversationStore(URL) as store:
        assert len(sent) == 30 and set(Counter(sent).values()) == {1}
        page = store.conversations(ConversationFilter(desk))
        assert page.total == 2 and {head.turns for head in page.conversations} == {30}
        first = store.conversation(page.conversations[0].id)
        store.give_feedback(first.id, first.turns[-1].id, "down")
        store.give_feedback(first.id, first.turns[-1].id, "up")
        assert [one.verdict for one in store.feedback(first.id)] == ["up"]
        assert len(store.events.listed(desk)) == 32 and store.events.take(60, desk) is not None
        for head in page.conversations:
            assert store.delete(head.id).conversations == 1
        assert store.conversations(ConversationFilter(desk)).total == 0 and store.events.listed(desk) == []
