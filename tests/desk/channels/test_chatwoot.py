"""Chatwoot: an agent bot's events, and answers through a small Chatwoot."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from smidgen.core.conversations import DeskReply, OutgoingMessage, ProposedCall
from smidgen.core.errors import RequestError
from smidgen.desk.channels.channel import DeliveryError, WebhookAnswer, WebhookRequest
from smidgen.desk.channels.chatwoot import ChatwootChannel, ChatwootSettings

from .chatwoot_server import TOKEN, SmallChatwoot, chatwoot_server


def told(**changed: Any) -> dict[str, Any]:
    """A `message_created` as Chatwoot's documentation shows it."""
    base = {
        "event": "message_created",
        "id": 17,
        "content": "Hi",
        "created_at": "2020-03-03 13:05:57 UTC",
        "message_type": "incoming",
        "content_type": "text",
        "content_attributes": {},
        "private": False,
        "source_id": "",
        "sender": {"id": 9, "name": "contact-name", "email": "ann@example.org", "type": "contact"},
        "conversation": {"id": 4, "status": "pending", "inbox_id": 2},
        "account": {"id": 1, "name": "Chatwoot"},
        "inbox": {"id": 2, "name": "Website"},
    }
    return {**base, **changed}


@pytest.fixture
def server() -> Iterator[SmallChatwoot]:
    with chatwoot_server() as mine:
        yield mine


@pytest.fixture
def chatwoot(server: SmallChatwoot, monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatwootChannel]:
    monkeypatch.setenv("CHATWOOT_BOT_TOKEN", TOKEN)
    monkeypatch.setenv("CHATWOOT_SECRET", "hush")
    channel = ChatwootChannel(ChatwootSettings(base=server.api.url + "/", account=1))
    yield channel
    channel.close()


def signed(event: Any, secret: str = "hush", at: float | None = None) -> WebhookRequest:
    body, stamp = json.dumps(event).encode(), str(int(time.time() if at is None else at))
    mac = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return WebhookRequest("POST", {"x-chatwoot-timestamp": stamp, "x-chatwoot-signature": f"sha256={mac}"}, {}, body)


def message(outcome: str = "answered", conversation: int = 4) -> OutgoingMessage:
    reply = DeskReply(outcome, "30 days.")  # type: ignore[arg-type]
    return OutgoingMessage("id-1", "chatwoot", "1:4", "contact:9", "30 days.", reply, facts={"conversation": conversation})


def test_a_customers_message_in_a_pending_conversation_is_read(chatwoot: ChatwootChannel) -> None:
    (found,) = chatwoot.receive(signed(told(attachments=[{}]))).messages
    assert (found.external_id, found.thread, found.sender, found.text, found.attachments) == ("1:17", "1:4", "contact:9", "Hi", 1)
    assert found.facts == {"conversation": 4, "inbox": 2}


def test_people_answer_open_conversations(chatwoot: ChatwootChannel) -> None:
    ignored = [
        told(conversation={"id": 4, "status": "open"}),
        told(private=True),
        told(message_type="outgoing", sender={"id": 1, "type": "agent_bot"}),
        told(message_type="template"),
        told(account={"id": 2}),
        {"event": "webwidget_triggered"},
    ]
    assert [chatwoot.receive(signed(one)) for one in ignored] == [WebhookAnswer()] * 6
    (answer,) = chatwoot.receive(
        signed(told(message_type="outgoing", content="Sure!", sender={"id": 3, "name": "Mia", "type": "user"}))
    ).answers
    assert (answer.thread, answer.text, answer.by, answer.external_id) == ("1:4", "Sure!", "Mia", "1:17")


def test_statuses_say_who_answers_next(chatwoot: ChatwootChannel) -> None:
    events = [{"event": f"conversation_{name}", "id": 4, "status": status} for name, status in
              (("opened", "open"), ("status_changed", "pending"), ("resolved", "resolved"), ("status_changed", "snoozed"))]  # fmt: skip
    assert [chatwoot.receive(signed(one)).statuses for one in events] == [
        (("1:4", "with_person"),),
        (("1:4", "open"),),
        (("1:4", "closed"),),
        (),
    ]


def test_what_is_not_signed_is_refused(chatwoot: ChatwootChannel, server: SmallChatwoot) -> None:
    bare = WebhookRequest("POST", {}, {"token": "hush"}, json.dumps(told()).encode())
    for request in (signed(told(), "other"), signed(told(), at=time.time() - 400), bare):
        with pytest.raises(RequestError, match="signature"):
            chatwoot.receive(request)
    older = ChatwootChannel(ChatwootSettings(base=server.api.url, account=1, unsigned=True))
    assert len(older.receive(bare).messages) == 1
    with pytest.raises(RequestError, match="signature"):
        older.receive(WebhookRequest("POST", {}, {"token": "hus"}, bare.body))
    older.close()


def test_an_answer_is_written_and_a_hand_over_opens_the_conversation(chatwoot: ChatwootChannel, server: SmallChatwoot) -> None:
    assert chatwoot.send(message(), False) == "100" and server.statuses[4] == "pending"
    assert server.messages[4][0]["content"] == "30 days." and server.messages[4][0]["content_attributes"] == {"desk_message": "id-1"}
    # the message arrived, the status did not change: the second attempt writes nothing twice
    assert chatwoot.send(message("handed_over"), True) == "100"
    assert len(server.messages[4]) == 1 and server.statuses[4] == "open"
    chatwoot.note(5, "Summary")
    assert server.messages[5][0]["private"] is True


def test_failures_pass_or_do_not(chatwoot: ChatwootChannel, server: SmallChatwoot) -> None:
    with pytest.raises(DeliveryError) as gone:
        chatwoot.send(message(conversation=99), False)
    server.failing = (503, {"retry-after": "9"}, {})
    with pytest.raises(DeliveryError) as busy:
        chatwoot.send(message(), False)
    assert (gone.value.passing, busy.value.passing, busy.value.after) == (False, True, 9.0) and server.messages[4] == []


def chosen(value: str = "desk:yes:Zx3_-9", status: str = "pending", **changed: Any) -> dict[str, Any]:
    """A `message_updated` after the customer has chosen a button."""
    base = told(event="message_updated", message_type="outgoing", content_type="input_select", content="Shall I?", id=100)
    items = [{"title": "Yes, do it", "value": "desk:yes:Zx3_-9"}, {"title": "No", "value": "desk:no:Zx3_-9"}]
    base["content_attributes"] = {"items": items, "desk_message": "id-1", "submitted_values": [{"title": "Yes, do it", "value": value}]}
    base["conversation"] = {"id": 4, "status": status, "meta": {"sender": {"id": 9, "type": "contact"}}, "contact_inbox": {"contact_id": 9}}
    return {**base, "sender": {"id": 1, "type": "agent_bot"}, **changed}


def test_a_proposed_call_has_buttons(chatwoot: ChatwootChannel, server: SmallChatwoot) -> None:
    reply = DeskReply("proposed", "Shall I?", call=ProposedCall("Zx3_-9", "cancel_order", {}, "Cancel FH-1"))
    proposal = OutgoingMessage("id-1", "chatwoot", "1:4", "contact:9", "Shall I?", reply, facts={"conversation": 4})
    assert chatwoot.send(proposal, False) == "100" and chatwoot.send(proposal, True) == "100"
    (stored,) = server.messages[4]
    assert stored["content_type"] == "input_select" and stored["content_attributes"]["desk_message"] == "id-1"
    assert [one["value"] for one in stored["content_attributes"]["items"]] == ["desk:yes:Zx3_-9", "desk:no:Zx3_-9"]
    assert all(set(one) == {"title", "value"} for one in stored["content_attributes"]["items"])


def test_a_choice_is_the_contacts_and_counts_while_the_bot_has_the_conversation(chatwoot: ChatwootChannel) -> None:
    (found,) = chatwoot.receive(signed(chosen())).messages
    (written,) = chatwoot.receive(signed(told())).messages
    assert (found.thread, found.sender, found.text) == (written.thread, written.sender, "Yes, do it")
    assert found.external_id == "1:100:chosen" and found.facts["decision"] == {"call": "Zx3_-9", "yes": True}
    (late,) = chatwoot.receive(signed(chosen(status="open"))).messages
    assert late.facts["decision"] == {"call": "", "yes": True}
    others = [chosen("red"), chosen(content_attributes={}), chosen(account={"id": 2}), chosen(content_attributes={"submitted_values": []})]
    assert [chatwoot.receive(signed(one)) for one in others] == [WebhookAnswer()] * 4


def test_a_hand_over_that_fails_half_way_is_in_doubt(chatwoot: ChatwootChannel, server: SmallChatwoot) -> None:
    answered = server.api.answer
    server.api.answer = lambda asked: (429, {}, {}) if asked.path.endswith("toggle_status") else answered(asked)
    with pytest.raises(DeliveryError) as caught:
        chatwoot.send(message("handed_over"), False)
    assert caught.value.passing and caught.value.unsure and len(server.messages[4]) == 1
