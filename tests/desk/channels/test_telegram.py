"""Telegram: updates as its documentation shows them, and messages through a recorded API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from smidgen.core.conversations import DeskReply, OutgoingMessage, ProposedCall
from smidgen.core.errors import RequestError
from smidgen.desk.channels.channel import DeliveryError, WebhookAnswer, WebhookRequest
from smidgen.desk.channels.telegram import TelegramChannel, TelegramSettings

from .vendor import Answer, Asked, Vendor, vendor

UPDATE: dict[str, Any] = {
    "update_id": 10000,
    "message": {
        "date": 1441645532,
        "chat": {
            "last_name": "Test Lastname",
            "id": 1111111,
            "type": "private",
            "first_name": "Test Firstname",
            "username": "Testusername",
        },
        "message_id": 1365,
        "from": {"last_name": "Test Lastname", "id": 1111111, "is_bot": False, "first_name": "Test", "language_code": "de"},
        "text": "Wo ist meine Bestellung?",
    },
}
"""The documented example of a message, with a text and a language."""


@pytest.fixture
def api() -> Iterator[Vendor]:
    with vendor(lambda asked: (200, {}, {"ok": True, "result": {"message_id": 77}})) as mine:
        yield mine


@pytest.fixture
def telegram(api: Vendor, monkeypatch: pytest.MonkeyPatch) -> Iterator[TelegramChannel]:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "123456:ABC-DEF")
    monkeypatch.setenv("TELEGRAM_SECRET", "s3cret")
    channel = TelegramChannel(TelegramSettings(api=api.url))
    yield channel
    channel.close()


def sent(told: Any, secret: str = "s3cret") -> WebhookRequest:
    return WebhookRequest("POST", {"x-telegram-bot-api-secret-token": secret}, {}, json.dumps(told).encode())


def changed(**message: Any) -> dict[str, Any]:
    return {**UPDATE, "message": {**UPDATE["message"], **message}}


def outgoing(text: str = "Morgen.") -> OutgoingMessage:
    return OutgoingMessage("id-1", "telegram", "1111111", "1111111", text, facts={"message_id": 1365})


def test_a_private_message_is_read(telegram: TelegramChannel) -> None:
    (found,) = telegram.receive(sent(UPDATE)).messages
    assert (found.external_id, found.thread, found.sender, found.text) == ("10000", "1111111", "1111111", "Wo ist meine Bestellung?")
    assert found.facts == {"message_id": 1365, "language": "de"}
    (start,) = telegram.receive(sent(changed(text="/start ref_1"))).messages
    assert start.facts["begins"] is True
    photo = changed(photo=[{"file_id": "x"}], caption="Broken!")
    del photo["message"]["text"]
    (pictured,) = telegram.receive(sent(photo)).messages
    assert (pictured.text, pictured.attachments) == ("Broken!", 1)


def test_a_wrong_secret_is_refused(telegram: TelegramChannel) -> None:
    for secret in ("", "s3cre", "s3crets", "é"):
        with pytest.raises(RequestError, match="signature"):
            telegram.receive(sent(UPDATE, secret))


def test_other_updates_are_ignored(telegram: TelegramChannel) -> None:
    group = changed(chat={"id": -5, "type": "supergroup"})
    bot = changed(**{"from": {"id": 5, "is_bot": True}})
    for told in ({"update_id": 1, "edited_message": UPDATE["message"]}, group, bot, {"update_id": 2, "poll": {}}):
        assert telegram.receive(sent(told)) == WebhookAnswer()
    for bad in ({}, [], {"update_id": 1, "message": {}}):
        with pytest.raises(RequestError, match="cannot be read"):
            telegram.receive(sent(bad))


def test_a_reply_goes_to_the_chat(api: Vendor, telegram: TelegramChannel) -> None:
    assert telegram.send(outgoing("x " * 4_000), False) == "77"
    (asked,) = api.asked
    assert asked.path == "/bot123456:ABC-DEF/sendMessage" and asked.body["chat_id"] == 1111111
    assert len(asked.body["text"]) <= 4_096 and asked.body["text"].endswith(" …")
    assert asked.body["reply_parameters"] == {"message_id": 1365, "allow_sending_without_reply": True}


def test_failures_pass_or_do_not(api: Vendor, telegram: TelegramChannel) -> None:
    busy = {"ok": False, "error_code": 429, "description": "Too Many Requests: retry after 17", "parameters": {"retry_after": 17}}
    blocked = {"ok": False, "error_code": 403, "description": "Forbidden: bot was blocked by the user"}
    missing = {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"}
    revoked = {"ok": False, "error_code": 401, "description": "Unauthorized"}
    told = []
    for status, answer in ((429, busy), (403, blocked), (400, missing), (401, revoked), (502, {})):
        api.answer = lambda asked, status=status, answer=answer: (status, {}, answer)  # type: ignore[misc]
        with pytest.raises(DeliveryError) as caught:
            telegram.send(outgoing(), False)
        assert "ABC-DEF" not in str(caught.value)
        told.append((caught.value.passing, caught.value.after))
    assert told == [(True, 17.0), (False, None), (False, None), (True, 300.0), (True, None)]


def test_silence_leaves_it_unsure(api: Vendor, monkeypatch: pytest.MonkeyPatch, telegram: TelegramChannel) -> None:
    monkeypatch.setattr("smidgen.desk.channels.vendor_http.SECONDS", 0.1)
    telegram._api._client.timeout = 0.1
    api.silent = 0.5
    with pytest.raises(DeliveryError) as caught:
        telegram.send(outgoing(), False)
    assert caught.value.passing and caught.value.unsure and "ABC-DEF" not in str(caught.value)


PRESS: dict[str, Any] = {
    "update_id": 10001,
    "callback_query": {
        "id": "4382bfdwdsb323b2d9",
        "from": {"last_name": "Test Lastname", "id": 1111111, "is_bot": False, "first_name": "Test", "language_code": "de"},
        "message": {
            "message_id": 1370,
            "from": {"id": 123456, "is_bot": True, "first_name": "Desk", "username": "desk_bot"},
            "chat": {"id": 1111111, "first_name": "Test", "type": "private"},
            "date": 1441645600,
            "text": "Soll ich das tun? Bestellung FH-1 stornieren",
        },
        "chat_instance": "-3169422934",
        "data": "desk:yes:Zx3_-9",
    },
}
"""An update of a pressed button, in the shape of the documentation's CallbackQuery."""


def pressed(**query: Any) -> dict[str, Any]:
    return {**PRESS, "callback_query": {**PRESS["callback_query"], **query}}


def proposal(**facts: Any) -> OutgoingMessage:
    call = ProposedCall("Zx3_-9", "cancel_order", {}, "Cancel FH-1")
    reply = DeskReply("proposed", "Soll ich das tun?", call=call, language="de")
    return OutgoingMessage("id-1", "telegram", "1111111", "1111111", "Soll ich das tun?", reply, facts=facts)


def test_a_proposed_call_has_buttons(api: Vendor, telegram: TelegramChannel) -> None:
    telegram.send(proposal(message_id=1365), False)
    (keys,) = api.asked[0].body["reply_markup"]["inline_keyboard"]
    assert keys == [{"text": "Ja, bitte", "callback_data": "desk:yes:Zx3_-9"}, {"text": "Nein", "callback_data": "desk:no:Zx3_-9"}]
    telegram.send(outgoing(), False)
    assert "reply_markup" not in api.asked[1].body


def test_a_press_is_read_and_confirmed_in_the_answer(telegram: TelegramChannel) -> None:
    told = telegram.receive(sent(PRESS))
    assert json.loads(told.body) == {"method": "answerCallbackQuery", "callback_query_id": "4382bfdwdsb323b2d9"}
    (found,) = told.messages
    assert told.content_type == "application/json" and found.external_id == "callback:4382bfdwdsb323b2d9"
    assert (found.thread, found.sender, found.text) == ("1111111", "1111111", "Ja, bitte")
    assert found.facts["decision"] == {"call": "Zx3_-9", "yes": True} and found.facts["pressed"] == 1370
    with pytest.raises(RequestError, match="signature"):
        telegram.receive(sent(PRESS, "other"))


def test_a_press_has_the_words_of_its_button_whatever_the_customers_telegram_speaks(telegram: TelegramChannel) -> None:
    keys = [[{"text": "Ja, bitte", "callback_data": "desk:yes:Zx3_-9"}, {"text": "Nein", "callback_data": "desk:no:Zx3_-9"}]]
    query = PRESS["callback_query"]
    message, sender = {**query["message"], "reply_markup": {"inline_keyboard": keys}}, {**query["from"], "language_code": "en"}
    (found,) = telegram.receive(sent(pressed(message=message, data="desk:no:Zx3_-9", **{"from": sender}))).messages
    assert found.text == "Nein" and found.facts["decision"] == {"call": "Zx3_-9", "yes": False}


def test_foreign_presses_bring_nothing(telegram: TelegramChannel) -> None:
    stranger = pressed(**{"from": {"id": 5, "is_bot": False}})
    group = pressed(message={**PRESS["callback_query"]["message"], "chat": {"id": -5, "type": "group"}})
    inline = {**PRESS, "callback_query": {name: value for name, value in PRESS["callback_query"].items() if name != "message"}}
    found = [telegram.receive(sent(one)).messages for one in (stranger, group, inline, pressed(data="buy"), pressed(data=None))]
    assert found == [()] * 5


def test_the_buttons_go_with_the_answer_to_a_press(api: Vendor, telegram: TelegramChannel) -> None:
    def answer(asked: Asked) -> Answer:
        if asked.path.endswith("editMessageReplyMarkup"):
            return 400, {}, {"ok": False, "description": "Bad Request: message is not modified"}
        return 200, {}, {"ok": True, "result": {"message_id": 78}}

    api.answer = answer
    message = OutgoingMessage("id-2", "telegram", "1111111", "1111111", "Erledigt.", facts={"pressed": 1370, "message_id": 1370})
    assert telegram.send(message, False) == "78"
    assert [one.path.rpartition("/")[2] for one in api.asked] == ["sendMessage", "editMessageReplyMarkup"]
    assert api.asked[1].body == {"chat_id": 1111111, "message_id": 1370, "reply_markup": {"inline_keyboard": []}}


def test_a_message_in_doubt_is_repeated_or_given_up(api: Vendor, telegram: TelegramChannel) -> None:
    assert telegram.send(outgoing(), True) == "77"
    careful = TelegramChannel(TelegramSettings(api=api.url, on_doubt="give_up"))
    assert careful.send(outgoing(), False) == "77"
    with pytest.raises(DeliveryError, match="may have a message already") as caught:
        careful.send(outgoing(), True)
    careful.close()
    assert not caught.value.passing and len(api.asked) == 2
