"""Mails are read as customers' messages or people's answers, or left alone with a reason."""

from __future__ import annotations

from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.examples import examples

from smidgen.desk.channels.mail_reader import MailAccount, hand_over_id, is_address, message_id, read_mail, thread_key

BOX = MailAccount("help@shop.example", ("mia@shop.example",), b"key")


def mail(body: str = "Where is my order?", **headers: str) -> bytes:
    told = {"From": "Ann <ann@example.org>", "To": "help@shop.example", "Subject": "Order", "Message-ID": "<m1@example.org>"}
    for name, value in headers.items():
        told[name.replace("_", "-")] = value
    lines = [f"{name}: {value}" for name, value in told.items() if value != "none"]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def test_a_mail_is_a_message_of_its_sender() -> None:
    found = read_mail(mail(), BOX).message
    assert found is not None
    assert (found.channel, found.external_id, found.sender, found.subject) == ("email", "<m1@example.org>", "ann@example.org", "Order")
    assert found.text == "Where is my order?" and found.attachments == 0
    assert found.facts == {"message_id": "<m1@example.org>", "references": ["<m1@example.org>"]}


def test_answers_stay_in_their_thread() -> None:
    first = read_mail(mail(), BOX).message
    assert first is not None
    ours = message_id(first.thread, "ab12", "help@shop.example")
    kept = read_mail(mail(Message_ID="<m2@example.org>", References=f"<m1@example.org> {ours}", In_Reply_To=ours), BOX).message
    cut = read_mail(mail(Message_ID="<m3@example.org>", In_Reply_To=ours), BOX).message
    other = read_mail(mail(Message_ID="<m4@example.org>"), BOX).message
    assert kept is not None and cut is not None and other is not None
    assert kept.thread == cut.thread == first.thread != other.thread
    assert kept.facts["references"] == ["<m1@example.org>", ours, "<m2@example.org>"]
    assert thread_key(["<a@b>", "<c@d>"]) == thread_key(["<a@b>"])


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"Auto_Submitted": "auto-replied (vacation)"}, "Auto-Submitted"),
        ({"Auto_Submitted": "auto-generated"}, "Auto-Submitted"),
        ({"Precedence": "bulk"}, "Precedence"),
        ({"X_Auto_Response_Suppress": "DR, OOF, AutoReply"}, "X-Auto-Response-Suppress"),
        ({"List_Id": "<news.example.org>"}, "list-id"),
        ({"List_Unsubscribe": "<https://x.example>"}, "list-unsubscribe"),
        ({"Return_Path": "<>"}, "null sender"),
        ({"From": "MAILER-DAEMON@example.org"}, "takes no mail"),
        ({"From": "no-reply@example.org"}, "takes no mail"),
        ({"From": "Help <HELP@shop.example>"}, "desk itself"),
        ({"From": "a@b.example, c@d.example"}, "no single sender"),
        ({"From": "none"}, "no single sender"),
        ({"From": "undisclosed"}, "no single sender"),
        ({"Content_Type": "multipart/report; boundary=x"}, "report"),
    ],
)
def test_machines_get_no_answer(headers: dict[str, str], reason: str) -> None:
    found = read_mail(mail(**headers), BOX)
    assert found.message is None and found.answer is None and reason in found.ignored


def test_people_with_such_headers_do() -> None:
    assert read_mail(mail(Auto_Submitted="no", Precedence="normal", Return_Path="<ann@example.org>"), BOX).message is not None


def test_a_reply_goes_to_the_sender_alone() -> None:
    def recipient(box: MailAccount, **headers: str) -> str:
        found = read_mail(mail(**headers), box).message
        assert found is not None
        return found.sender

    assert recipient(BOX, Reply_To="evil@other.example", Cc="boss@example.org") == "ann@example.org"
    assert recipient(BOX, Reply_To="Ann <ann.work@EXAMPLE.org>") == "ann.work@example.org"
    assert recipient(BOX, Reply_To="a@example.org, b@example.org") == "ann@example.org"
    assert recipient(BOX, Reply_To="help@shop.example") == "ann@example.org"
    assert recipient(MailAccount("help@shop.example", any_reply_to=True), Reply_To="evil@other.example") == "evil@other.example"


def test_encodings_folded_headers_and_attachments() -> None:
    message = EmailMessage()
    message["From"] = "Jörg Müller <joerg@example.org>"
    message["Subject"] = "Rückgabe einer sehr langen Bestellung mit vielen Wörtern, die den Betreff über mehrere Zeilen bricht, bitte"
    message.set_content("Grüße, wo ist meine Lampe?", charset="iso-8859-1")
    message.add_alternative("<p>html</p>", subtype="html")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="Rechnung.pdf")
    message.add_attachment("text file", filename="notes.txt")
    found = read_mail(message.as_bytes(), BOX).message
    assert found is not None and found.text == "Grüße, wo ist meine Lampe?" and found.attachments == 2
    assert found.subject == message["Subject"] and found.external_id.endswith("@none>")
    html = read_mail(mail("<p>Only <b>HTML</b></p>", Content_Type="text/html; charset=utf-8"), BOX).message
    assert html is not None and html.text == "Only HTML"


@pytest.mark.parametrize(
    "raw",
    [
        mail("é", Content_Type="text/plain; charset=no-such-thing", Content_Transfer_Encoding="base64"),
        mail("x", Subject="=?utf-8?B?broken", Content_Type="multipart/mixed"),
        mail("--b\r\n\r\nhi", Content_Type='multipart/mixed; boundary="b"'),
        mail("x").replace(b"Order", b"\xff\xfe Order"),
    ],
)
def test_broken_mails_are_read_as_far_as_they_go(raw: bytes) -> None:
    found = read_mail(raw, BOX)
    assert found.message is not None and found.message.sender == "ann@example.org"


def test_a_nest_of_parts_is_left_alone() -> None:
    nest = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(3_000))
    assert read_mail(b"From: ann@example.org\r\n" + nest + b"Content-Type: text/plain\r\n\r\nx", BOX) is not None


@given(st.binary(max_size=400))
@settings(max_examples=examples(60), deadline=None)
def test_nothing_in_a_mail_raises(rubbish: bytes) -> None:
    for raw in (rubbish, b"From: a@b.example\r\n" + rubbish, mail() + rubbish, b"From: " + rubbish + b"\r\nSubject: x\r\n\r\ny"):
        found = read_mail(raw, BOX)
        assert found.message is None or is_address(found.message.sender)


def test_only_the_person_who_got_a_conversation_may_answer_it() -> None:
    id = hand_over_id("Abc-123_xyz", "evt_1", BOX)
    told = {"In_Reply_To": id, "Message_ID": "<p1@shop.example>"}
    answer = read_mail(mail("Yes, we do.\n\n> summary", From="Mia <mia@shop.example>", **told), BOX).answer
    assert answer is not None
    assert (answer.thread, answer.text, answer.by) == ("conversation:Abc-123_xyz", "Yes, we do.", "mia@shop.example")
    wrong = [
        read_mail(mail("Yes", From="eve@example.org", **told), BOX),
        read_mail(mail("Yes", From="mia@shop.example", In_Reply_To=id.replace("Abc", "Abd")), BOX),
        read_mail(mail("Yes", From="mia@shop.example", **told), MailAccount("help@shop.example", ("mia@shop.example",), b"other")),
        read_mail(mail("> only", From="mia@shop.example", **told), BOX),
    ]
    assert [(one.message, one.answer) for one in wrong] == [(None, None)] * 4


def test_addresses() -> None:
    assert is_address("a.b+c@example.org") and is_address("a@localhost")
    assert not any(is_address(bad) for bad in ("", "a", "a@", "@b", "a b@c.d", "a@b..c", "a@b.c\n", "a@b.c,d@e.f", "x" * 250 + "@b.c"))


REPORT = """From: MAILER-DAEMON@mail.example
Return-Path: <>
Subject: Undelivered
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

I could not deliver it.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example

Final-Recipient: rfc822; ann@example.org
Action: {action}
Status: 5.1.1
--b
Content-Type: {kind}

Message-ID: {id}
Subject: Re: Order

{body}
--b--
"""
OURS = message_id("0" * 20, "ab12", "help@shop.example")


@pytest.mark.parametrize("kind", ["message/rfc822", "text/rfc822-headers"])
def test_a_report_of_an_undelivered_mail_of_ours_is_told(kind: str) -> None:
    box = MailAccount("help@shop.example")
    found = read_mail(REPORT.format(action="failed", kind=kind, id=OURS, body="words").encode(), box)
    assert found.failure is not None and found.message is None
    assert (found.failure.vendor_id, found.failure.why) == (OURS, "the mail was not delivered (status 5.1.1)")
    for other in ({"action": "delayed", "id": OURS}, {"action": "failed", "id": "<someone@example.org>"}):
        ignored = read_mail(REPORT.format(kind=kind, body="words", **other).encode(), box)
        assert ignored.failure is None and ignored.message is None and "takes no mail" in ignored.ignored
