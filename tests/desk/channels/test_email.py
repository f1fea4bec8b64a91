"""E-mail against a real SMTP server in this process; and against Dovecot and Postfix, where this machine has them."""

from __future__ import annotations

import email
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from tests.desk.channels.conftest import MailServer
from tests.desk.flows.test_inbox import EchoDesk
from tests.eventually import eventually

from smidgen.core.conversations import Citation, DeskReply, OutgoingMessage
from smidgen.core.errors import InputError
from smidgen.desk.channels.channel import DeliveryError
from smidgen.desk.channels.email import EmailChannel, EmailSettings
from smidgen.desk.flows.delivery import DeliveryWorker
from smidgen.desk.flows.inbox import Attempts, InboxWorker, take_in
from smidgen.desk.store.conversation_store import ConversationStore


class Postman:
    """Keeps what it gets; answers as told."""

    def __init__(self) -> None:
        self.got: list[Envelope] = []
        self.recipient, self.data = "250 OK", "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        envelope.rcpt_tos.append(address)
        return self.recipient

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.got.append(envelope)
        return self.data


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


def channel(port: int, **more: Any) -> EmailChannel:
    told = {"address": "help@shop.example", "name": "Fern & Hearth", "imap_host": "127.0.0.1", "imap_security": "none"}
    return EmailChannel(EmailSettings(**told, smtp_port=port, smtp_security="none", policy="reply", **more))


@contextmanager
def secured(certificate: Path, security: str) -> Iterator[tuple[Postman, int]]:
    """A mail server that takes mails only over TLS, and only from who logs in."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    mine = Postman()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {"ssl_context": context} if security == "tls" else {"tls_context": context, "require_starttls": True}
    known = LoginPassword(b"help@shop.example", b"hush")
    login = {"auth_required": True, "auth_require_tls": security == "starttls"}
    login["authenticator"] = lambda server, session, envelope, kind, data: AuthResult(success=data == known, handled=False)
    controller = Controller(mine, hostname="127.0.0.1", port=port, **told, **login)
    controller.start()
    try:
        yield mine, port
    finally:
        controller.stop()


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESK_MAIL_PASSWORD", "hush")


def outgoing(**more: Any) -> OutgoingMessage:
    cited = (Citation("d", "Returns", "30 days", 0, 7, url="https://shop.example/returns"),)
    reply = DeskReply("answered", "30 Tage – größer.", citations=cited)
    facts = {"message_id": "<m1@example.org>", "references": ["<m0@example.org>", "<m1@example.org>"]}
    told: dict[str, Any] = {"recipient": "ann@example.org", "subject": "Order\r\nBcc: eve@example.org", "facts": facts, **more}
    return OutgoingMessage("ab12", "email", "0" * 20, text="30 Tage – größer.", reply=reply, **told)


def test_a_reply_goes_to_the_sender_in_its_thread(postman: tuple[Postman, int]) -> None:
    mine, port = postman
    id = channel(port).send(outgoing(), False)
    (envelope,) = mine.got
    assert envelope.rcpt_tos == ["ann@example.org"] and envelope.mail_from == "help@shop.example"
    mail = email.message_from_bytes(envelope.content, policy=email.policy.default)  # type: ignore[arg-type]
    assert mail["Message-ID"] == id == f"<desk.{'0' * 20}.ab12@shop.example>"
    assert (mail["In-Reply-To"], mail["References"]) == ("<m1@example.org>", "<m0@example.org> <m1@example.org>")
    assert mail["Subject"] == "Re: Order Bcc: eve@example.org" and mail["Bcc"] is None
    assert (mail["Auto-Submitted"], mail["X-Auto-Response-Suppress"]) == ("auto-replied", "All")
    assert mail.get_content().replace("\r\n", "\n").strip() == "30 Tage – größer.\n\nReturns: https://shop.example/returns"
    assert channel(port).send(outgoing(), True) == id


def test_the_desks_own_mail_gets_no_answer(postman: tuple[Postman, int]) -> None:
    mine, port = postman
    desk = channel(port)
    desk.send(outgoing(), False)
    sent = mine.got[0].content
    assert isinstance(sent, bytes) and desk.read(sent) is None
    assert desk.read(sent.replace(b"help@shop.example", b"other@desk.example")) is None  # two desks do not talk for ever


@pytest.mark.parametrize(
    ("recipient", "data", "passing"),
    [("550 no", "250 OK", False), ("451 later", "250 OK", True), ("250 OK", "552 full", False), ("250 OK", "421 busy", True)],
)
def test_failures_pass_or_do_not(postman: tuple[Postman, int], recipient: str, data: str, passing: bool) -> None:
    mine, port = postman
    mine.recipient, mine.data = recipient, data
    with pytest.raises(DeliveryError) as caught:
        channel(port).send(outgoing(), False)
    assert caught.value.passing is passing


def test_no_server_passes_and_a_bad_recipient_does_not() -> None:
    with pytest.raises(DeliveryError) as down:
        channel(1).send(outgoing(), False)
    with pytest.raises(DeliveryError) as bad:
        channel(1).send(outgoing(recipient="ann@example.org, eve@example.org"), False)
    assert (down.value.passing, bad.value.passing) == (True, False) and not down.value.unsure, "it cannot have arrived"


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_mail_goes_only_to_a_server_whose_certificate_is_valid(certificate: Path, security: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with secured(certificate, security) as (mine, port):
        desk = channel(port)
        named, other = (
            EmailChannel(desk._settings.model_copy(update={"smtp_host": host, "smtp_security": security}))
            for host in ("localhost", "127.0.0.1")
        )
        with pytest.raises(DeliveryError, match=r"certificate is not valid.*self-signed certificate") as unknown:
            named.send(outgoing(), False)
        assert unknown.value.passing and not unknown.value.unsure
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))  # as an administrator makes a certificate known
        with pytest.raises(DeliveryError, match=r"certificate is not valid.*mismatch"):
            other.send(outgoing(), False)
        assert mine.got == []
        assert named.send(outgoing(), False) and len(mine.got) == 1
        monkeypatch.setenv("DESK_MAIL_PASSWORD", "wrong")
        with pytest.raises(DeliveryError, match="refused the password"):
            EmailChannel(named._settings).send(outgoing(), False)


def test_no_word_goes_to_a_server_that_is_not_secured_as_asked(postman: tuple[Postman, int]) -> None:
    mine, port = postman
    desk = channel(port)
    for security, why in (("starttls", "offers no STARTTLS"), ("tls", "no secure connection")):
        with pytest.raises(DeliveryError, match=why) as caught:
            EmailChannel(desk._settings.model_copy(update={"smtp_security": security})).send(outgoing(), False)
        assert caught.value.passing and not caught.value.unsure
    assert mine.got == []


def test_one_sender_is_answered_only_so_often_an_hour() -> None:
    desk = channel(1, most_an_hour=2)
    assert [desk._may_answer("a@b.example", at) for at in (0.0, 1.0, 2.0, 3_601.0)] == [True, True, False, True]
    assert desk._may_answer("c@b.example", 2.0)


def test_settings_are_safe() -> None:
    with pytest.raises(InputError, match="without encryption"):
        EmailChannel(EmailSettings(address="a@b.example", imap_host="mail.example", imap_security="none"))
    with pytest.raises(InputError, match="mail address"):
        EmailChannel(EmailSettings(address="nobody", imap_host="mail.example"))


RAW = b"From: Ann <ann@example.org>\r\nSubject: Hi\r\nMessage-ID: <%d@example.org>\r\n\r\nWhere is my order %d?\r\n"


@pytest.mark.thorough
def test_a_mailbox_of_dovecot_is_read_once_and_gets_drafts(dovecot: int) -> None:
    import imap_tools

    desk = channel(1, user="desk", imap_port=dovecot)
    desk = EmailChannel(desk._settings.model_copy(update={"policy": "draft"}))
    with imap_tools.MailBoxUnencrypted("127.0.0.1", dovecot).login("desk", "hush") as box:
        for number in range(3):
            box.append(RAW % (number, number), "INBOX")
        box.append(RAW.replace(b"Subject", b"Auto-Submitted: auto-replied\r\nSubject") % (9, 9), "INBOX")
    brought: list[Any] = []
    began = time.monotonic()
    assert desk.poll(brought.append, idle=0) == 4 and desk.poll(brought.append, idle=0) == 0
    assert [one.messages[0].text for one in brought] == [f"Where is my order {number}?" for number in range(3)]
    id = desk.send(outgoing(), False)
    assert desk.send(outgoing(), True) == id and time.monotonic() - began < 60
    with imap_tools.MailBoxUnencrypted("127.0.0.1", dovecot).login("desk", "hush", "Drafts") as box:
        drafts = list(box.fetch())
        assert [(draft.headers["message-id"], "\\Draft" in draft.flags) for draft in drafts] == [((id,), True)]
    # people's read marks stay as they are
    with imap_tools.MailBoxUnencrypted("127.0.0.1", dovecot).login("desk", "hush") as box:
        assert all("\\Seen" not in one.flags for one in box.fetch(mark_seen=False))


@pytest.mark.thorough
@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_mailbox_is_read_only_of_a_server_whose_certificate_is_valid(
    mail_server: MailServer, certificate: Path, security: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = mail_server.tls_port if security == "tls" else mail_server.port
    told = {"imap_host": "localhost", "imap_port": port, "imap_security": security, "user": "desk", "policy": "draft"}
    desk = EmailChannel(channel(1)._settings.model_copy(update=told))
    with pytest.raises(DeliveryError, match=r"certificate is not valid.*self-signed certificate"):
        desk.check()
    with pytest.raises(DeliveryError, match="certificate is not valid"):
        desk.send(outgoing(), False)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert desk.check() == "help@shop.example" and desk.send(outgoing(), False)
    assert desk.poll(lambda _: None, idle=0) == 0
    with pytest.raises(DeliveryError, match=r"certificate is not valid.*mismatch"):
        EmailChannel(desk._settings.model_copy(update={"imap_host": "127.0.0.1"})).check()


def posted(port: int, **headers: str) -> str:
    """A customer's mail, through Postfix; returns its Message-ID."""
    mail = EmailMessage()
    told = {"From": "Ann <ann@example.org>", "To": "help@shop.example", "Message-ID": make_msgid(domain="example.org"), **headers}
    for name, value in told.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(f"{told.get('Subject', 'Hello')}?")
    with smtplib.SMTP("127.0.0.1", port) as smtp:
        smtp.send_message(mail)
    return told["Message-ID"]


def mails_of(port: int, user: str) -> list[Any]:
    import imap_tools

    with imap_tools.MailBoxUnencrypted("127.0.0.1", port).login(user, "hush") as box:
        return list(box.fetch(mark_seen=False))


@pytest.mark.thorough
def test_a_mail_goes_through_postfix_and_dovecot_and_back_in_its_thread(postfix: int, dovecot: int) -> None:
    desk = channel(postfix, user="desk", imap_port=dovecot)
    assert desk.check() == "help@shop.example"
    brought: list[Any] = []
    waiting = threading.Thread(target=lambda: desk.poll(brought.append, idle=20))
    waiting.start()
    first = posted(postfix, Subject="Where is my order")
    waiting.join(40)
    ((asked,),) = [one.messages for one in brought]
    assert (asked.sender, asked.text, asked.external_id) == ("ann@example.org", "Where is my order?", first)
    sent = desk.send(OutgoingMessage("ab12", "email", asked.thread, asked.sender, "On its way.", None, asked.subject, asked.facts), False)
    eventually(lambda: mails_of(dovecot, "ann"), 20.0)
    (answer,) = mails_of(dovecot, "ann")
    assert answer.headers["message-id"] == (sent,) and answer.headers["in-reply-to"] == (first,)
    assert (
        answer.subject == "Re: Where is my order"
        and "On its way." in answer.text
        and answer.headers["return-path"] == ("<help@shop.example>",)
    )
    posted(postfix, Subject="Re: Where is my order", In_Reply_To=sent, References=sent)
    eventually(lambda: len(mails_of(dovecot, "desk")) == 2, 20.0)
    brought.clear()
    assert desk.poll(brought.append, idle=0) == 1 and brought[0].messages[0].thread == asked.thread


@pytest.mark.thorough
def test_bounces_and_circles_of_postfix_end_with_the_desk(postfix: int, dovecot: int) -> None:
    desk = channel(postfix, user="desk", imap_port=dovecot)
    brought: list[Any] = []
    with pytest.raises(DeliveryError, match="refused the recipient") as refused:
        desk.send(outgoing(recipient="nobody@example.org"), False)
    assert not refused.value.passing
    circle = desk.send(outgoing(recipient="circle@example.org"), False)
    bounced = desk.send(outgoing(recipient="late@example.org"), False)
    posted(postfix, Subject="Out of office", Auto_Submitted="auto-replied", References=circle)
    eventually(lambda: len(mails_of(dovecot, "desk")) == 3, 30.0)
    assert desk.poll(brought.append, idle=0) == 3, "its own mail, a bounce, an automatic answer: none is answered"
    (failure,) = [failure for one in brought for failure in one.failures]
    assert not any(one.messages or one.answers for one in brought)
    assert failure.vendor_id == bounced and "5.1.1" in failure.why
    assert desk.poll(brought.append, idle=0) == 0 and len(mails_of(dovecot, "ann")) == 0


@pytest.mark.thorough
def test_a_bounced_answer_is_a_dead_letter_with_its_words(postfix: int, dovecot: int, tmp_path: Path) -> None:
    mail = channel(postfix, user="desk", imap_port=dovecot)
    with ConversationStore(f"sqlite:///{tmp_path}/conversations.db") as store, closing(Attempts(10.0)) as attempts:

        def take(brought: Any) -> None:
            take_in(store, "shop", "mail", brought)

        posted(postfix, Subject="Hello", From="Late <late@example.org>")
        eventually(lambda: mail.poll(take, idle=0) == 1, 20.0)
        assert InboxWorker(store, EchoDesk()).work_once(attempts)
        (head,) = store.conversations().conversations
        said = store.conversation(head.id).turns[-1].text
        assert DeliveryWorker(store, "shop", {"mail": mail}).work_once(attempts) and store.outbox.waiting() == 0
        assert [one.message.text for one in store.outbox.of_conversation(head.id)] == [""], "its words are gone once it is delivered"
        eventually(lambda: mail.poll(take, idle=0) == 1, 30.0)
        (letter,) = store.outbox.dead()
        assert said and letter.message.text == said and "5.1.1" in letter.error
