"""A conversation goes to a person with its summary, and the person's answer comes back to the customer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.desk.channels.chatwoot_server import TOKEN, chatwoot_server

from smidgen.core.conversations import Citation, DeskAnswer, DeskReply, IncomingMessage
from smidgen.desk.channels.channel import CONVERSATION, PersonAnswer, WebhookAnswer
from smidgen.desk.channels.chatwoot import ChatwootChannel, ChatwootSettings
from smidgen.desk.channels.email import EmailChannel, EmailSettings
from smidgen.desk.channels.mail_reader import hand_over_id
from smidgen.desk.flows.hand_over import ChatwootHandOver, MailHandOver, summarise, summary_data
from smidgen.desk.flows.inbox import take_in
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.desk.store.records import DeskEvent

FACTS = {"why": "not in the documents", "passages": [{"title": "Returns", "text": "30 days"}, {"title": "Gifts", "text": "We wrap gifts."}]}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ConversationStore]:
    with ConversationStore(f"sqlite:///{tmp_path}/conversations.db") as mine:
        yield mine


def handed_over(store: ConversationStore, channel: str = "slack", **facts: Any) -> DeskEvent:
    answers = [
        DeskAnswer(DeskReply("answered", "30 days.", "answer", "returns", 0.9, (Citation("d", "Returns", "30 days", 0, 7),)), {}),
        DeskAnswer(DeskReply("handed_over", "A person will answer.", "", "gifts", 0.4, facts=FACTS), {}, "with_person"),
    ]
    for number, answer in enumerate(answers):
        message = IncomingMessage(channel, f"{channel}{number}", "T1", "U1", ("Returns?", "Do you wrap gifts?")[number], facts=facts)
        take_in(store, "shop", channel, WebhookAnswer(messages=(message,)))
        taken = store.inbox.take(60)
        assert taken is not None and store.inbox.finish(taken, answer)
    return store.events.listed("shop", "handed_over")[0]


def test_the_summary_tells_who_what_and_what_was_tried(store: ConversationStore) -> None:
    event = handed_over(store)
    found = summarise(store.conversation(event.conversation))
    assert (found.who, found.question, found.subject) == ("slack U1", "Do you wrap gifts?", "slack U1: Do you wrap gifts?")
    assert found.passages == ("Returns: 30 days", "Gifts: We wrap gifts.")
    assert found.tried == (
        "answered (by answer, intent returns), score 0.90",
        "handed_over (intent gifts, why not in the documents), score 0.40",
    )
    assert found.talk[0] == "Customer: Returns?" and len(found.talk) == 4
    data = summary_data(store, event)["summary"]
    assert data["question"] == "Do you wrap gifts?" and data["text"].startswith("From: slack U1\n\nQuestion:\nDo you wrap gifts?")
    store.delete(event.conversation)
    assert summary_data(store, event) == {}


def test_a_mail_to_a_person_and_the_answer_back(store: ConversationStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_MAIL_PASSWORD", "hush")
    told = {"address": "help@shop.example", "imap_host": "127.0.0.1", "imap_security": "none", "smtp_security": "none"}
    mail = EmailChannel(EmailSettings(**told, people=("mia@shop.example",)))
    sent: list[Any] = []
    monkeypatch.setattr(mail, "send_mail", lambda one, again, draft: sent.append(one))
    event = handed_over(store)
    MailHandOver(store, mail).tell(event)
    (letter,) = sent
    assert letter["To"] == "mia@shop.example" and letter["Message-ID"] == hand_over_id(event.conversation, event.id, mail.box)
    assert "Gifts: We wrap gifts." in letter.get_content() and letter["Subject"] == "[Desk] slack U1: Do you wrap gifts?"
    head = f"From: Mia <mia@shop.example>\r\nMessage-ID: <p1@x>\r\nIn-Reply-To: {letter['Message-ID']}\r\n\r\n"
    answer = f"{head}Yes, for 3 EUR.\r\n\r\n> the summary"
    brought = mail.read(answer.encode())
    assert brought is not None
    while (old := store.outbox.take(60)) is not None:
        store.outbox.delivered(old)
    for _ in range(2):  # a mail that is read twice is written once
        take_in(store, "shop", "mail", brought)
    out = store.outbox.take(60)
    assert out is not None and (out.message.channel, out.message.recipient, out.message.text) == ("slack", "U1", "Yes, for 3 EUR.")
    store.outbox.delivered(out)
    assert store.outbox.take(60) is None
    assert [(pair.question, pair.answer) for pair in store.pairs("shop")] == [("Do you wrap gifts?", "Yes, for 3 EUR.")]
    MailHandOver(store, mail).tell(DeskEvent("evt_2", "shop", "customer_wrote", event.conversation, 0.0, {"question": "Thanks!"}))
    assert sent[1].get_content().startswith("The customer wrote:\n\nThanks!") and sent[1]["Message-ID"] != letter["Message-ID"]


def test_answers_of_another_desk_or_of_a_deleted_conversation_are_dropped(store: ConversationStore) -> None:
    event = handed_over(store)
    take_in(store, "clinic", "mail", WebhookAnswer(answers=(PersonAnswer("p1", CONVERSATION + event.conversation, "x", "Mia"),)))
    take_in(store, "shop", "mail", WebhookAnswer(answers=(PersonAnswer("p2", CONVERSATION + "none", "x", "Mia"),)))
    assert [turn.author for turn in store.conversation(event.conversation).turns].count("person") == 0


def test_a_note_in_chatwoot(store: ConversationStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATWOOT_BOT_TOKEN", TOKEN)
    monkeypatch.setenv("CHATWOOT_SECRET", "hush")
    with chatwoot_server() as server:
        channel = ChatwootChannel(ChatwootSettings(base=server.api.url, account=1))
        hand_over = ChatwootHandOver(store, "inbox", channel)
        hand_over.tell(handed_over(store, "inbox", conversation=5))
        hand_over.tell(handed_over(store, "slack", conversation=4))
        (note,) = server.messages[5]
        assert note["private"] is True and "Do you wrap gifts?" in note["content"] and server.messages[4] == []
        channel.close()
