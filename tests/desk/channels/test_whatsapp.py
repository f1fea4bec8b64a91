"""WhatsApp: notifications as Meta's documentation shows them, and messages through a recorded API."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest

from smidgen.core.conversations import Card, DeskReply, OutgoingMessage, ProposedCall
from smidgen.core.errors import RecipeError, RequestError
from smidgen.desk.channels.channel import DeliveryError, TakenMark, WebhookAnswer, WebhookRequest, open_channel
from smidgen.desk.channels.whatsapp import WhatsAppChannel, WhatsAppSettings

from .vendor import Vendor, vendor

NUMBER = "106540352242922"
TEXT = {"from": "16315551181", "id": "wamid.ABGGFlA5Fpa", "timestamp": "1504902988", "type": "text", "text": {"body": "Hi"}}


@pytest.fixture
def api() -> Iterator[Vendor]:
    told = {"messaging_product": "whatsapp", "contacts": [{"input": "1", "wa_id": "1"}], "messages": [{"id": "wamid.OUT"}]}
    with vendor(lambda asked: (200, {}, told)) as mine:
        yield mine


@pytest.fixture
def whatsapp(api: Vendor, monkeypatch: pytest.MonkeyPatch) -> Iterator[WhatsAppChannel]:
    for name in ("TOKEN", "APP_SECRET", "VERIFY_TOKEN"):
        monkeypatch.setenv(f"WHATSAPP_{name}", f"the-{name}")
    channel = WhatsAppChannel(WhatsAppSettings(phone_number_id=NUMBER, api=api.url))
    yield channel
    channel.close()


def notification(number: str = NUMBER, **value: Any) -> dict[str, Any]:
    """The documented example of a notification."""
    metadata = {"display_phone_number": "16505551111", "phone_number_id": number}
    contacts = [{"profile": {"name": "test user name"}, "wa_id": "16315551181"}]
    change = {"field": "messages", "value": {"messaging_product": "whatsapp", "metadata": metadata, "contacts": contacts, **value}}
    return {"object": "whatsapp_business_account", "entry": [{"id": "0", "changes": [change]}]}


def signed(told: Any, secret: str = "the-APP_SECRET") -> WebhookRequest:
    body = json.dumps(told).encode()
    mac = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return WebhookRequest("POST", {"x-hub-signature-256": f"sha256={mac}"}, {}, body)


def test_messages_are_read(whatsapp: WhatsAppChannel) -> None:
    button = {
        "from": "1",
        "id": "b",
        "type": "interactive",
        "interactive": {"type": "button_reply", "button_reply": {"id": "y", "title": "Yes"}},
    }
    image = {"from": "2", "id": "c", "type": "image", "image": {"caption": "Look", "id": "275"}}
    reaction = {"from": "2", "id": "d", "type": "reaction", "reaction": {"emoji": "x"}}
    found = whatsapp.receive(signed(notification(messages=[TEXT, button, image, reaction]))).messages
    assert [(one.external_id, one.sender, one.text, one.attachments) for one in found] == [
        ("wamid.ABGGFlA5Fpa", "16315551181", "Hi", 0),
        ("b", "1", "Yes", 0),
        ("c", "2", "Look", 1),
    ]
    assert found[0].thread == f"{NUMBER}:16315551181" and found[0].facts == {"message_id": "wamid.ABGGFlA5Fpa"}


def test_statuses_say_only_what_failed(whatsapp: WhatsAppChannel) -> None:
    failed = {"id": "wamid.X", "status": "failed", "errors": [{"code": 131047, "title": "Re-engagement message"}]}
    answer = whatsapp.receive(signed(notification(statuses=[{"id": "wamid.X", "status": "sent"}, failed])))
    assert answer.messages == () and [(one.vendor_id, one.why) for one in answer.failures] == [
        ("wamid.X", "code 131047: Re-engagement message")
    ]


def test_the_challenge_needs_the_verify_token(whatsapp: WhatsAppChannel) -> None:
    query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "the-VERIFY_TOKEN"}
    assert whatsapp.receive(WebhookRequest("GET", {}, query, b"")).body == "1158201444"
    for wrong in ({"hub.verify_token": "x"}, {"hub.mode": "unsubscribe"}):
        with pytest.raises(RequestError, match="signature"):
            whatsapp.receive(WebhookRequest("GET", {}, {**query, **wrong}, b""))


def test_what_is_foreign_is_refused_or_ignored(whatsapp: WhatsAppChannel) -> None:
    good = signed(notification(messages=[TEXT]))
    for request in (signed(notification(messages=[TEXT]), "other"), WebhookRequest("POST", good.headers, {}, good.body + b" ")):
        with pytest.raises(RequestError, match="signature"):
            whatsapp.receive(request)
    for told in (notification("999999", messages=[TEXT]), {"object": "page", "entry": []}, {}):
        assert whatsapp.receive(signed(told)) == WebhookAnswer()
    with pytest.raises(RequestError, match="cannot be read"):
        whatsapp.receive(signed(notification(messages=[{"from": "1"}])))


def test_a_reply_goes_to_the_number_with_its_cards(api: Vendor, whatsapp: WhatsAppChannel) -> None:
    cards = (
        Card("order", "Order", ({"Order": "FH-1", "Status": "sent", "x": ""},)),
        Card("products", "P", ({"name": "Lamp", "price": "19 €"},)),
    )
    reply = DeskReply("answered", "Here:", cards=cards)
    message = OutgoingMessage("id-1", "whatsapp", "t", "16315551181", "Here:", reply, facts={"message_id": "wamid.IN"})
    assert whatsapp.send(message, False) == "wamid.OUT"
    (asked,) = api.asked
    assert (asked.path, asked.headers["authorization"]) == (f"/{NUMBER}/messages", "Bearer the-TOKEN")
    assert asked.body["to"] == "16315551181" and asked.body["context"] == {"message_id": "wamid.IN"}
    assert asked.body["text"]["body"] == "Here:\n\nOrder: FH-1\nStatus: sent\n\n- Lamp · 19 €"


@pytest.mark.parametrize(
    ("status", "code", "passing", "words"),
    [
        (400, 131047, False, "24 hours"),
        (400, 130429, True, "code 130429"),
        (500, 131000, True, "code 131000"),
        (401, 190, True, "refused the key"),
        (400, 100, False, "refused a message"),
        (404, 131030, False, "refused a message"),
    ],
)
def test_metas_codes_count_more_than_the_status(
    api: Vendor, whatsapp: WhatsAppChannel, status: int, code: int, passing: bool, words: str
) -> None:
    told = {"error": {"message": f"(#{code}) the-TOKEN is bad", "type": "OAuthException", "code": code, "fbtrace_id": "Az8"}}
    api.answer = lambda asked: (status, {}, told)
    with pytest.raises(DeliveryError, match=words) as caught:
        whatsapp.send(OutgoingMessage("id-1", "whatsapp", "t", "1", "x"), False)
    assert caught.value.passing is passing and "the-TOKEN" not in str(caught.value)


def test_wrong_settings_are_told_together() -> None:
    with pytest.raises(RecipeError, match="channel's settings") as caught:
        open_channel("whatsapp", {"phone_number_id": "x", "colour": 1})
    assert len(caught.value.mistakes) == 2


def proposal(text: str = "Soll ich das tun?") -> OutgoingMessage:
    reply = DeskReply("proposed", text, call=ProposedCall("Zx3_-9", "cancel_order", {}, "FH-1 stornieren"), language="de")
    return OutgoingMessage("id-1", "whatsapp", "t", "16315551181", text, reply, facts={"message_id": "wamid.IN"})


def test_a_proposed_call_has_buttons(api: Vendor, whatsapp: WhatsAppChannel) -> None:
    whatsapp.send(proposal(), False)
    body = api.asked[0].body
    assert (body["type"], body["interactive"]["type"], body["interactive"]["body"]) == (
        "interactive",
        "button",
        {"text": "Soll ich das tun?"},
    )
    assert body["interactive"]["action"]["buttons"] == [
        {"type": "reply", "reply": {"id": "desk:yes:Zx3_-9", "title": "Ja, bitte"}},
        {"type": "reply", "reply": {"id": "desk:no:Zx3_-9", "title": "Nein"}},
    ]
    assert "text" not in body and body["context"] == {"message_id": "wamid.IN"}
    # longer than a text with buttons may be: words instead, and nothing is cut
    whatsapp.send(proposal("Soll ich? " + "x " * 600), False)
    assert api.asked[1].body["type"] == "text" and api.asked[1].body["text"]["body"].endswith("x\n\nAntworten Sie mit Ja oder Nein.")


def test_a_press_is_read_by_its_id(whatsapp: WhatsAppChannel) -> None:
    reply = {"type": "button_reply", "button_reply": {"id": "desk:yes:Zx3_-9", "title": "Ja, bitte"}}
    one = {"from": "16315551181", "id": "wamid.P", "timestamp": "1739321024", "type": "interactive", "interactive": reply}
    one["context"] = {"from": "16505551111", "id": "wamid.OUT"}
    (found,) = whatsapp.receive(signed(notification(messages=[one]))).messages
    assert (found.external_id, found.sender, found.text) == ("wamid.P", "16315551181", "Ja, bitte")
    assert found.facts == {"message_id": "wamid.P", "decision": {"call": "Zx3_-9", "yes": True}}
    listed = {"type": "list_reply", "list_reply": {"id": "row-1", "title": "A row"}}
    (row,) = whatsapp.receive(signed(notification(messages=[{**one, "interactive": listed}]))).messages
    assert (row.text, row.facts) == ("A row", {"message_id": "wamid.P"})


def test_meta_tells_what_it_has_together_with_our_id(api: Vendor, whatsapp: WhatsAppChannel) -> None:
    whatsapp.send(proposal(), False)
    ours = api.asked[0].body["biz_opaque_callback_data"]
    statuses = [
        {"id": "wamid.OUT", "status": "sent", "timestamp": "1750857384", "recipient_id": "1", "biz_opaque_callback_data": ours},
        {"id": "wamid.OUT", "status": "read", "timestamp": "1750857399", "recipient_id": "1", "biz_opaque_callback_data": ours},
        {"id": "wamid.X", "status": "delivered", "timestamp": "1750857384"},
        {"id": "wamid.F", "status": "failed", "biz_opaque_callback_data": ours, "errors": [{"code": 131000, "title": "x"}]},
    ]
    told = whatsapp.receive(signed(notification(statuses=statuses)))
    assert told.taken == (TakenMark("id-1", "wamid.OUT"), TakenMark("id-1", "wamid.OUT")) and len(told.failures) == 1


def test_a_message_in_doubt_may_be_given_up(api: Vendor, whatsapp: WhatsAppChannel) -> None:
    careful = WhatsAppChannel(WhatsAppSettings(phone_number_id=NUMBER, api=api.url, on_doubt="give_up"))
    with pytest.raises(DeliveryError, match="not sent twice"):
        careful.send(proposal(), True)
    careful.close()
    assert api.asked == [] and whatsapp.send(proposal(), True) == "wamid.OUT"
