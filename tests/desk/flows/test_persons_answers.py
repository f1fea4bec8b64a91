"""A person's answer reaches the customer, whatever the channel; a visitor who has left the site gets it by mail."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from tests.desk.channels.test_email import Postman
from tests.desk.channels.vendor import Asked, Vendor, vendor

from smidgen.core.conversations import DeskAnswer, DeskReply
from smidgen.desk.channels.channel import CONVERSATION, Channel, PersonAnswer, WebhookAnswer, WebhookChannel, open_channel
from smidgen.desk.channels.email import EmailChannel
from smidgen.desk.flows.channel_file import ChannelFile, DeskChannels
from smidgen.desk.flows.delivery import DeliveryWorker
from smidgen.desk.flows.inbox import Attempts, take_in
from smidgen.desk.routes.served_desk import ServedDesk
from smidgen.desk.routes.visits import Visits
from smidgen.desk.store.conversation_store import VISIT_SECONDS, ConversationStore

from .soak_worker import SoakDesk, settings_of
from .test_soak import SECRETS, webhook

MAIL = b"From: Ann <ann@example.org>\r\nMessage-ID: <m1@x>\r\nSubject: Gifts\r\n\r\nDo you wrap gifts?\r\n"


class PassingClock:
    """A clock that a test sets."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> PassingClock:
    return PassingClock()


@pytest.fixture
def store(tmp_path: Path, clock: PassingClock) -> Iterator[ConversationStore]:
    with ConversationStore(f"sqlite:///{tmp_path}/c.db", clock) as mine:
        yield mine


@pytest.fixture
def attempts() -> Iterator[Attempts]:
    mine = Attempts(10.0)
    yield mine
    mine.close()


@pytest.fixture
def api() -> Iterator[Vendor]:
    told = {"ok": True, "ts": "1", "id": 1, "result": {"message_id": 1}, "messages": [{"id": "1"}]}
    with vendor(lambda asked: (200, {}, told)) as mine:
        yield mine


@pytest.fixture
def postman() -> Iterator[tuple[Postman, int]]:
    mine = Postman()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(mine, hostname="127.0.0.1", port=port)
    controller.start()
    yield mine, port
    controller.stop()


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**SECRETS, "DESK_MAIL_PASSWORD": "hush"}.items():
        monkeypatch.setenv(name, value)


def mailbox(port: int) -> dict[str, Any]:
    """The settings of an e-mail channel that keeps the desk's own answers as drafts."""
    place = {"imap_host": "127.0.0.1", "imap_security": "none", "smtp_port": port, "smtp_security": "none"}
    return {"address": "help@shop.example", "people": ["mia@shop.example"], **place}


def answered(store: ConversationStore, name: str) -> str:
    """Let a person answer the only conversation of a channel, once by mail; returns its id."""
    taken = store.inbox.take(60)
    assert taken is not None
    store.inbox.finish(taken, DeskAnswer(DeskReply("handed_over", ""), {}, "with_person"))
    id = taken.conversation.id
    answer = PersonAnswer(f"p-{name}", CONVERSATION + id, "Yes, for 3 EUR.", "Mia")
    take_in(store, "shop", "mail", WebhookAnswer(answers=(answer,)))
    return id


@pytest.mark.parametrize(
    ("name", "place", "text"),
    [
        ("slack", ("channel", "D7"), "text"),
        ("telegram", ("chat_id", 7), "text"),
        ("whatsapp", ("to", "7"), "body"),
        ("chatwoot", ("private", False), "content"),
    ],
)
def test_it_goes_back_through_each_vendor(
    store: ConversationStore, api: Vendor, attempts: Attempts, name: str, place: tuple[str, Any], text: str
) -> None:
    channel = open_channel(name, settings_of(api.url)[name])
    assert isinstance(channel, WebhookChannel)
    take_in(store, "shop", name, channel.receive(webhook(name, 1, 7)))
    answered(store, name)
    assert DeliveryWorker(store, "shop", {name: channel}).work_once(attempts) and store.outbox.waiting() == 0
    (asked,) = [one for one in api.asked if one.method == "POST"]
    said = asked.body["text"]["body"] if text == "body" else asked.body[text]
    assert (asked.body[place[0]], said) == (place[1], "Yes, for 3 EUR.") and _path_is_right(asked, name)
    channel.close()


def _path_is_right(asked: Asked, name: str) -> bool:
    return name != "chatwoot" or "/conversations/7/" in asked.path


def test_it_goes_back_by_mail_and_is_sent_at_once(store: ConversationStore, postman: tuple[Postman, int], attempts: Attempts) -> None:
    channel = open_channel("email", mailbox(postman[1]))
    assert isinstance(channel, EmailChannel)
    brought = channel.read(MAIL)
    assert brought is not None
    take_in(store, "shop", "mail", brought)
    answered(store, "mail")
    assert DeliveryWorker(store, "shop", {"mail": channel}).work_once(attempts)
    (got,) = postman[0].got
    mail = message_from_bytes(bytes(got.content or b""), policy=default)
    assert (got.rcpt_tos, mail["subject"], mail["in-reply-to"]) == (["ann@example.org"], "Re: Gifts", "<m1@x>")
    assert mail.get_content().strip() == "Yes, for 3 EUR."


def visit(store: ConversationStore, channels: DeskChannels, email: str) -> tuple[Visits, str, str]:
    """A visitor who asked, and asked for a person; returns the visits, the conversation's id and its token."""
    visits = Visits(ServedDesk(SoakDesk(), store, channels=channels))
    begun, token = visits.begin("de")
    asked = visits.answer(begun, "m1", "Packen Sie\nGeschenke ein?", lambda *_: None)
    visits.hand_over(asked, email)
    return visits, begun.id, token


def opened(store: ConversationStore, port: int, **hand_over: str) -> DeskChannels:
    given = {"channels": {"mail": {"kind": "email", **mailbox(port)}}, "hand_over": hand_over}
    return DeskChannels(store, SoakDesk(), ChannelFile.model_validate(given))


def test_a_visitor_who_left_gets_a_mail(
    store: ConversationStore, clock: PassingClock, postman: tuple[Postman, int], attempts: Attempts
) -> None:
    channels = opened(store, postman[1], mail="mail")
    _, id, _ = visit(store, channels, "nia@example.com")
    take_in(store, "shop", "mail", WebhookAnswer(answers=(PersonAnswer("p1", CONVERSATION + id, "Ja, für 3 EUR.", "Mia"),)))
    worker = DeliveryWorker(store, "shop", dict[str, Channel](channels.channels))
    assert not worker.work_once(attempts)
    clock.now += VISIT_SECONDS + 1
    assert worker.work_once(attempts) and not worker.work_once(attempts)
    (got,) = postman[0].got
    mail = message_from_bytes(bytes(got.content or b""), policy=default)
    assert (got.rcpt_tos, mail["subject"]) == (["nia@example.com"], "Re: Ihre Frage an uns")
    text = mail.get_content().replace("\r\n", "\n").strip()
    assert text == "Ja, für 3 EUR.\n\nSie haben auf unserer Seite gefragt:\n> Packen Sie\n> Geschenke ein?"
    assert id not in got.content.decode() if isinstance(got.content, bytes) else True


def test_a_visitor_who_answers_the_mail_goes_on_with_the_conversation(
    store: ConversationStore, clock: PassingClock, postman: tuple[Postman, int], attempts: Attempts
) -> None:
    channels = opened(store, postman[1], visitors="mail")
    mail = channels.channels["mail"]
    assert isinstance(mail, EmailChannel)
    _, id, _ = visit(store, channels, "Nia@example.com")
    store.add_turn(id, "Ja.", "Mia")
    clock.now += VISIT_SECONDS + 1
    worker = DeliveryWorker(store, "shop", dict[str, Channel](channels.channels))
    assert worker.work_once(attempts)

    def got(place: int) -> Any:
        return message_from_bytes(bytes(postman[0].got[place].content or b""), policy=default)

    def answers(number: int, sender: str, text: str) -> None:
        head = f"From: {sender}\r\nMessage-ID: <v{number}@x>\r\nIn-Reply-To: {got(0)['message-id']}\r\nSubject: Re: Ihre Frage\r\n\r\n"
        brought = mail.read(f"{head}{text}\r\n".encode())
        assert brought is not None
        take_in(store, "shop", "mail", brought)
        assert channels.inbox.work_once(attempts)

    answers(1, "nia@example.com", "Und was kostet das?")
    assert [turn.text for turn in store.conversation(id).turns][-1] == "Und was kostet das?"
    assert store.conversations().total == 1 and store.events.listed("shop", "customer_wrote")[0].conversation == id
    store.add_turn(id, "3 EUR.", "Mia")
    assert worker.work_once(attempts), "whoever writes mails has left the site: nothing waits for a visit"
    assert (postman[0].got[1].rcpt_tos, got(1)["in-reply-to"]) == (["Nia@example.com"], "<v1@x>")
    store.set_status(id, "open")
    answers(2, "nia@example.com", "Danke, und am Sonntag?")
    drafted = store.outbox.take(60)
    assert drafted is not None and (drafted.message.channel, drafted.message.recipient) == ("mail", "nia@example.com")
    assert drafted.message.facts["message_id"] == "<v2@x>" and store.conversations().total == 1
    answers(3, "eve@example.com", "Was hat Nia gefragt?")
    assert store.conversations().total == 2, "the id of a mail opens nothing to another sender"


def test_a_visitor_who_reads_it_on_the_site_gets_none(
    store: ConversationStore, clock: PassingClock, postman: tuple[Postman, int], attempts: Attempts
) -> None:
    channels = opened(store, postman[1], visitors="mail")
    visits, id, token = visit(store, channels, "nia@example.com")
    store.add_turn(id, "Ja.", "Mia")
    told = visits.told(visits.read(id, token))
    assert told["turns"][-1]["text"] == "Ja."
    store.add_turn(id, "Und morgen?", "Mia")
    clock.now += VISIT_SECONDS + 1
    worker = DeliveryWorker(store, "shop", dict[str, Channel](channels.channels))
    assert worker.work_once(attempts) and not worker.work_once(attempts) and store.outbox.waiting() == 0
    (got,) = postman[0].got
    assert b"Und morgen?" in (got.content or b"")


def test_without_an_address_or_an_email_channel_nothing_is_mailed(store: ConversationStore, postman: tuple[Postman, int]) -> None:
    for hand_over, email in (({}, "nia@example.com"), ({"mail": "mail"}, "")):
        _, id, _ = visit(store, opened(store, postman[1], **hand_over), email)
        assert store.add_turn(id, "Ja.", "Mia") is not None and store.outbox.waiting() == 0
