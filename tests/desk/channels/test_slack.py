"""Slack: events as its documentation shows them, and messages through a recorded API."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest

from smidgen.core.conversations import Citation, DeskReply, OutgoingMessage, ProposedCall
from smidgen.core.errors import InputError, RequestError
from smidgen.desk.channels.channel import DeliveryError, WebhookAnswer, WebhookRequest, open_channel
from smidgen.desk.channels.slack import SlackChannel, SlackSettings

from .vendor import Vendor, vendor

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"

EVENT: dict[str, Any] = {
    "token": "XXYYZZ",
    "team_id": "T123ABC456",
    "api_app_id": "A123ABC456",
    "event": {
        "type": "message",
        "channel": "D024BE91L",
        "user": "U2147483697",
        "text": "Where is <https://shop.example/o/1|my order>? &lt;FH-1&gt;",
        "ts": "1355517523.000005",
        "event_ts": "1355517523.000005",
        "channel_type": "im",
    },
    "type": "event_callback",
    "authorizations": [{"team_id": "T123ABC456", "user_id": "UBOT", "is_bot": True, "is_enterprise_install": False}],
    "event_id": "Ev123ABC456",
    "event_time": 1355517523,
}
"""The documented example of `message.im`, with a link and entities in its text."""


@pytest.fixture
def api() -> Iterator[Vendor]:
    with vendor(lambda asked: (200, {}, {"ok": True, "ts": "1.2", "messages": []})) as mine:
        yield mine


@pytest.fixture
def slack(api: Vendor, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackChannel]:
    monkeypatch.setenv("SLACK_SIGNING_SECRET", SECRET)
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")
    channel = open_channel("slack", {"api": api.url})
    assert isinstance(channel, SlackChannel)
    yield channel
    channel.close()


def signed(told: Any, at: float | None = None, secret: str = SECRET) -> WebhookRequest:
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    stamp = str(int(time.time() if at is None else at))
    mac = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    return WebhookRequest("POST", {"x-slack-request-timestamp": stamp, "x-slack-signature": f"v0={mac}"}, {}, body)


def event(**changed: Any) -> dict[str, Any]:
    return {**EVENT, "event": {**EVENT["event"], **changed}}


def message(outcome: str = "answered", **facts: str) -> OutgoingMessage:
    cited = (Citation("d", "Returns & refunds", "x", 0, 1, "Shop > Returns", url="https://shop.example/returns"),)
    reply = DeskReply(outcome, "30 days <b>", citations=cited)  # type: ignore[arg-type]
    return OutgoingMessage("id-1", "slack", "T:D", "T:U", "30 days <b>", reply, facts={"channel": "D024BE91L", "thread_ts": "", **facts})


def test_a_direct_message_is_read(slack: SlackChannel) -> None:
    (found,) = slack.receive(signed(EVENT)).messages
    assert (found.external_id, found.thread, found.sender) == (
        "T123ABC456:D024BE91L:1355517523.000005",
        "T123ABC456:D024BE91L:",
        "T123ABC456:U2147483697",
    )
    assert found.text == "Where is my order (https://shop.example/o/1)? <FH-1>" and found.facts["channel"] == "D024BE91L"


def test_the_challenge_is_answered_only_if_signed(slack: SlackChannel) -> None:
    told = {"token": "x", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P", "type": "url_verification"}
    assert slack.receive(signed(told)).body == told["challenge"]
    with pytest.raises(RequestError, match="signature"):
        slack.receive(signed(told, secret="other"))


def test_slacks_documented_signature_is_right() -> None:
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
        b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
        b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    mac = "a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    assert signed(body, 1531420618).headers["x-slack-signature"] == f"v0={mac}"


def test_what_is_old_changed_or_unsigned_is_refused(slack: SlackChannel) -> None:
    good = signed(EVENT)
    later = WebhookRequest("POST", {**good.headers, "x-slack-request-timestamp": str(int(time.time()) + 1)}, {}, good.body)
    refused = 0
    for request in (
        signed(EVENT, time.time() - 400),
        signed(EVENT, time.time() + 400),
        WebhookRequest("POST", good.headers, {}, good.body + b" "),
        later,
        WebhookRequest("POST", {}, {}, good.body),
        WebhookRequest("POST", {**good.headers, "x-slack-signature": "v0=\xff"}, {}, good.body),
    ):
        with pytest.raises(RequestError, match="signature") as caught:
            slack.receive(request)
        refused += caught.value.status == 401
    assert refused == 6
    for bad in (b"{", b"[]", b'{"type": "event_callback"}'):
        with pytest.raises(RequestError, match="cannot be read"):
            slack.receive(signed(bad))


@pytest.mark.parametrize(
    "changed",
    [
        {"bot_id": "B1"},
        {"subtype": "bot_message"},
        {"subtype": "message_changed"},
        {"user": "UBOT"},
        {"channel_type": "channel"},
        {"type": "app_mention", "channel_type": ""},
        {"type": "reaction_added"},
    ],
)
def test_other_events_are_ignored(slack: SlackChannel, changed: dict[str, str]) -> None:
    assert slack.receive(signed(event(**changed))) == WebhookAnswer()


def test_a_mention_is_read_if_wanted_and_answered_in_its_thread(api: Vendor, slack: SlackChannel) -> None:
    told = signed(event(type="app_mention", channel_type="", channel="C1", text="<@UBOT> hours?", files=[{"id": "F1"}]))
    mentions = SlackChannel(SlackSettings(mentions=True, api=api.url))
    (found,) = mentions.receive(told).messages
    assert (found.text, found.thread, found.attachments) == ("hours?", "T123ABC456:C1:1355517523.000005", 1)
    mentions.send(message(**{name: str(value) for name, value in found.facts.items()}), False)
    assert api.asked[-1].body["thread_ts"] == "1355517523.000005" and api.asked[-1].body["channel"] == "C1"
    mentions.close()


def test_a_reply_is_posted_with_its_source(api: Vendor, slack: SlackChannel) -> None:
    assert slack.send(message(), False) == "1.2"
    (asked,) = api.asked
    assert (asked.path, asked.headers["authorization"]) == ("/chat.postMessage", "Bearer xoxb-secret")
    assert asked.body["text"] == "30 days &lt;b&gt;\n\nReturns &amp; refunds · Returns: https://shop.example/returns"
    assert asked.body["metadata"]["event_payload"] == {"id": "id-1"} and "thread_ts" not in asked.body


def test_a_second_attempt_asks_first(api: Vendor, slack: SlackChannel) -> None:
    there = {"ts": "7.7", "metadata": {"event_type": "desk_reply", "event_payload": {"id": "id-1"}}}
    api.answer = lambda asked: (200, {}, {"ok": True, "messages": [{"ts": "9"}, there]})
    assert slack.send(message(), True) == "7.7" and [one.method for one in api.asked] == ["GET"]
    api.answer = lambda asked: (200, {}, {"ok": asked.method == "POST", "ts": "8.8", "error": "missing_scope"})
    assert slack.send(message(thread_ts="5.5"), True) == "8.8"
    assert "/conversations.replies?" in api.asked[-2].path and "ts=5.5" in api.asked[-2].path


@pytest.mark.parametrize(
    ("answer", "passing", "after", "unsure"),
    [
        ((429, {"retry-after": "30"}, {"ok": False, "error": "ratelimited"}), True, 30.0, False),
        ((500, {}, {}), True, None, True),
        ((503, {}, {}), True, None, False),
        ((200, {}, {"ok": False, "error": "fatal_error"}), True, None, True),
        ((200, {}, {"ok": False, "error": "service_unavailable"}), True, None, False),
        ((200, {}, {"ok": False, "error": "channel_not_found"}), False, None, False),
        ((200, {}, {"ok": False, "error": "token_revoked"}), True, 300.0, False),
        ((200, {}, b"<html>"), True, None, True),
        ((302, {"location": "http://169.254.169.254/"}, {}), False, None, False),
    ],
)
def test_failures_pass_or_do_not(api: Vendor, slack: SlackChannel, answer: Any, passing: bool, after: float | None, unsure: bool) -> None:
    api.answer = lambda asked: answer
    with pytest.raises(DeliveryError) as caught:
        slack.send(message(), False)
    assert (caught.value.passing, caught.value.after, caught.value.unsure) == (passing, after, unsure)
    assert "xoxb" not in str(caught.value) and len(api.asked) == 1


def test_secrets_come_from_the_environment_and_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLACK_SIGNING_SECRET", raising=False)
    with pytest.raises(InputError, match="SLACK_SIGNING_SECRET"):
        SlackChannel(SlackSettings())
    with pytest.raises(InputError) as caught:
        SlackChannel(SlackSettings(secret_env="8f742231b10e8888abcd99"))
    assert "8f742231" not in str(caught.value)


PRESS: dict[str, Any] = {
    "type": "block_actions",
    "user": {"id": "U2147483697", "username": "ann", "name": "ann", "team_id": "T123ABC456"},
    "api_app_id": "A123ABC456",
    "token": "XXYYZZ",
    "container": {"type": "message", "message_ts": "1355517600.000007", "channel_id": "D024BE91L", "is_ephemeral": False},
    "trigger_id": "12321423423.333649436676.d8c1bb837935619ccad0f624c448ffb3",
    "team": {"id": "T123ABC456", "domain": "example"},
    "enterprise": None,
    "is_enterprise_install": False,
    "channel": {"id": "D024BE91L", "name": "directmessage"},
    "message": {"bot_id": "B1", "type": "message", "text": "Shall I do this? Cancel FH-1", "user": "UBOT", "ts": "1355517600.000007"},
    "state": {"values": {}},
    "response_url": "https://hooks.slack.com/actions/T123ABC456/1/x",
    "actions": [
        {
            "action_id": "desk:no",
            "block_id": "6KC",
            "text": {"type": "plain_text", "text": "No", "emoji": True},
            "value": "desk:no:Zx3_-9",
            "type": "button",
            "action_ts": "1355517611.123456",
        }
    ],
}
"""A pressed button, in the shape of the documentation's block_actions payload."""


def form(told: Any, secret: str = SECRET) -> WebhookRequest:
    return signed(urlencode({"payload": json.dumps(told)}).encode(), secret=secret)


def proposal(**facts: str) -> OutgoingMessage:
    reply = DeskReply("proposed", "Shall I?", call=ProposedCall("Zx3_-9", "cancel_order", {}, "Cancel FH-1"))
    text = "Shall I do this? " + "x & y " * 700
    return OutgoingMessage("id-1", "slack", "T:D", "T:U", text, reply, facts={"channel": "D024BE91L", "thread_ts": "", **facts})


def test_a_proposed_call_has_buttons(api: Vendor, slack: SlackChannel) -> None:
    slack.send(proposal(), False)
    *sections, actions = api.asked[0].body["blocks"]
    assert "".join(one["text"]["text"] for one in sections) == api.asked[0].body["text"]
    assert max(len(one["text"]["text"]) for one in sections) <= 3_000 and len(sections) > 1
    assert [(one["type"], one["text"]["text"], one["value"]) for one in actions["elements"]] == [
        ("button", "Yes, do it", "desk:yes:Zx3_-9"),
        ("button", "No", "desk:no:Zx3_-9"),
    ]
    slack.send(message(), False)
    assert "blocks" not in api.asked[1].body


def test_a_press_belongs_to_who_pressed_and_to_the_thread(slack: SlackChannel) -> None:
    (found,) = slack.receive(form(PRESS)).messages
    (written,) = slack.receive(signed(EVENT)).messages
    assert (found.thread, found.sender) == (written.thread, written.sender) and found.text == "No"
    assert found.external_id == "T123ABC456:D024BE91L:1355517600.000007:1355517611.123456"
    assert found.facts["decision"] == {"call": "Zx3_-9", "yes": False} and found.facts["channel"] == "D024BE91L"
    threaded = {**PRESS, "team": None, "message": {**PRESS["message"], "thread_ts": "5.5"}, "user": {"id": "UX", "team_id": "T9"}}
    (other,) = slack.receive(form(threaded)).messages
    assert (other.thread, other.sender, other.facts["thread_ts"]) == ("T9:D024BE91L:5.5", "T9:UX", "5.5")


def test_foreign_presses_are_refused_or_bring_nothing(slack: SlackChannel) -> None:
    with pytest.raises(RequestError, match="signature"):
        slack.receive(form(PRESS, "other"))
    other = {**PRESS, "actions": [{**PRESS["actions"][0], "value": "approve"}]}
    for told in (other, {**PRESS, "type": "view_submission"}, {**PRESS, "message": None}):
        assert slack.receive(form(told)) == WebhookAnswer()
    for bad in (b"payload=", b"payload={", b"payload=%7B%7D", b"payload=\xff"):
        with pytest.raises(RequestError, match="cannot be read"):
            slack.receive(signed(bad))


def test_the_buttons_go_with_the_answer_to_a_press(api: Vendor, slack: SlackChannel) -> None:
    (found,) = slack.receive(form(PRESS)).messages
    api.answer = lambda asked: (200, {}, {"ok": not asked.path.endswith("update"), "ts": "9.9", "error": "cant_update_message"})
    assert slack.send(OutgoingMessage("id-2", "slack", found.thread, found.sender, "Done.", facts=found.facts), False) == "9.9"
    posted, update = api.asked
    assert (update.path, update.body["ts"], update.body["text"]) == ("/chat.update", "1355517600.000007", PRESS["message"]["text"])
    assert [one["type"] for one in update.body["blocks"]] == ["section"] and posted.path == "/chat.postMessage"
