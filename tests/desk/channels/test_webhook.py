"""A webhook of the business's own: signed messages come in and signed answers go out, each checked with the reference implementation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
import standardwebhooks
from tests.desk.channels.vendor import vendor

from smidgen.core.conversations import Citation, DeskReply, OutgoingMessage, ProposedCall
from smidgen.core.errors import InputError, RequestError
from smidgen.desk.channels.channel import DeliveryError, WebhookChannel, WebhookRequest, open_channel
from smidgen.desk.channels.standard_webhooks import new_secret

SECRET = new_secret()


@pytest.fixture
def channel() -> Iterator[WebhookChannel]:
    made = open_channel("webhook", {"reply_url": "http://127.0.0.1:9/"}, {"DESK_WEBHOOK_SECRET": SECRET})
    assert isinstance(made, WebhookChannel)
    yield made
    made.close()


def signed(told: Any, id: str = "msg_1", secret: str = SECRET) -> WebhookRequest:
    """A request as the reference implementation signs it."""
    now, body = datetime.now(UTC), json.dumps(told)
    headers: Mapping[str, str] = {
        "webhook-id": id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": standardwebhooks.Webhook(secret).sign(id, now, body),
    }
    return WebhookRequest("POST", headers, {}, body.encode())


def test_a_message_comes_in(channel: WebhookChannel) -> None:
    (message,) = channel.receive(signed({"type": "desk.message", "data": {"sender": "customer-7", "text": "Are you open?"}})).messages
    assert (message.external_id, message.thread, message.sender, message.text) == ("msg_1", "customer-7", "customer-7", "Are you open?")
    told = {"sender": "customer-7", "thread": "t-1", "subject": "Hours", "text": "Offen?", "language": "de"}
    (other,) = channel.receive(signed({"type": "desk.message", "data": told}, "msg_2")).messages
    assert (other.thread, other.subject, other.facts["language"], other.facts["message"]) == ("t-1", "Hours", "de", "msg_2")
    decided = {"sender": "customer-7", "decision": {"call": "a1", "yes": True}}
    (yes,) = channel.receive(signed({"type": "desk.message", "data": decided})).messages
    assert yes.facts["decision"] == {"call": "a1", "yes": True} and yes.text == "Yes, do it"


def test_what_is_unsigned_or_cannot_be_read_is_refused(channel: WebhookChannel) -> None:
    good = {"type": "desk.message", "data": {"sender": "x", "text": "hello"}}
    with pytest.raises(RequestError, match="signature") as unsigned:
        channel.receive(signed(good, secret=new_secret()))
    assert unsigned.value.status == 401
    wrong = [
        [],
        {"type": "order.paid", "data": {}},
        {"type": "desk.message", "data": {"text": "hello"}},
        {"type": "desk.message", "data": {"sender": "x"}},
        {"type": "desk.message", "data": {"sender": "x", "text": " "}},
        {"type": "desk.message", "data": {"sender": 7, "text": "hello"}},
        {"type": "desk.message", "data": {"sender": "x", "decision": {"yes": True}}},
    ]
    refused = []
    for told in wrong:
        with pytest.raises(RequestError, match="cannot be read") as caught:
            channel.receive(signed(told))
        refused.append(caught.value.status)
    assert refused == [400] * len(wrong)
    with pytest.raises(InputError, match="https address"):
        open_channel("webhook", {"reply_url": "http://shop.example/"}, {"DESK_WEBHOOK_SECRET": SECRET})


def test_an_answer_goes_out_with_its_data_and_one_id() -> None:
    call = ProposedCall("a1", "cancel_order", {"order": "FH-1"}, "Cancel order FH-1")
    cited = Citation("faq.md", "Questions", "From 9 to 5.", 0, 12)
    reply = DeskReply("proposed", "Shall I cancel it?", "act", citations=(cited,), call=call, facts={"secret": "of the business"})
    message = OutgoingMessage("m1", "webhook", "t-1", "customer-7", reply.text, reply, facts={"message": "msg_1"})
    with vendor() as there:
        channel = open_channel("webhook", {"reply_url": f"{there.url}/in"}, {"DESK_WEBHOOK_SECRET": SECRET})
        assert channel.send(message, False) == channel.send(message, True) == "m1"
        there.answer = lambda asked: (410, {}, {})
        with pytest.raises(DeliveryError) as gone:
            channel.send(message, False)
        channel.close()
    assert not gone.value.passing
    assert [one.headers["webhook-id"] for one in there.asked] == ["msg_m1"] * 3
    body = json.dumps(there.asked[0].body, ensure_ascii=False, separators=(",", ":"))
    told = standardwebhooks.Webhook(SECRET).verify(body, dict(there.asked[0].headers))
    assert told["type"] == "desk.reply" and told["data"]["thread"] == "t-1" and told["data"]["answers"] == "msg_1"
    assert told["data"]["text"].startswith("Shall I cancel it?") and told["data"]["reply"]["call"]["id"] == "a1"
    assert told["data"]["reply"]["citations"][0]["text"] == "From 9 to 5." and "of the business" not in body
