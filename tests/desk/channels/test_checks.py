"""Each channel's keys are tried at its vendor, and nothing is sent to a customer; a wrong key is told as such."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from tests.desk.channels.vendor import vendor

from smidgen.desk.channels.channel import DeliveryError, TriedChannel, open_channel
from smidgen.desk.flows.channel_trial import connect_channel, try_channel, try_webhook

KEYS = {"KEY": "right", "OTHER": "x", "THIRD": "y"}
SLACK = {"token_env": "KEY", "secret_env": "OTHER"}
CASES: dict[str, tuple[dict[str, Any], tuple[int, Any], str, tuple[str, str], tuple[int, Any]]] = {
    "telegram": (SLACK, (200, {"ok": True, "result": {"username": "fern"}}), "@fern", ("GET", "/botright/getMe"), (401, {"ok": False})),
    "slack": (
        SLACK,
        (200, {"ok": True, "user": "desk", "team": "Fern"}),
        "desk, Fern",
        ("POST", "/auth.test"),
        (200, {"ok": False, "error": "invalid_auth"}),
    ),
    "whatsapp": (
        {**SLACK, "verify_env": "THIRD", "phone_number_id": "12345678"},
        (200, {"display_phone_number": "+44 1", "verified_name": "Fern"}),
        "+44 1 Fern",
        ("GET", "/12345678?fields=display_phone_number%2Cverified_name"),
        (401, {"error": {"code": 190, "message": "bad"}}),
    ),
    "chatwoot": (
        {**SLACK, "account": 7},
        (404, {"error": "Resource could not be found"}),
        "account 7",
        ("POST", "/api/v1/accounts/7/conversations/0/toggle_status"),
        (401, {"error": "Invalid Access Token"}),
    ),
}


@pytest.mark.parametrize("kind", CASES)
def test_a_right_key_is_told_with_its_account_and_a_wrong_one_is_refused(kind: str) -> None:
    settings, right, name, asked, wrong = CASES[kind]
    with vendor() as api:
        api.answer = lambda _: (right[0], {}, right[1])
        channel = open_channel(kind, {**settings, ("base" if kind == "chatwoot" else "api"): api.url}, KEYS)
        assert isinstance(channel, TriedChannel) and channel.check() == name
        assert [(one.method, one.path) for one in api.asked] == [asked]
        api.answer = lambda _: (wrong[0], {}, wrong[1])
        with pytest.raises(DeliveryError, match="refused the key"):
            channel.check()
        channel.close()


def test_telegram_is_told_the_address_with_its_secret() -> None:
    with vendor(lambda asked: (200, {}, {"ok": True})) as api:
        told = connect_channel("telegram", {**SLACK, "api": api.url}, KEYS, "https://desk.shop.example/desk/shop/channels/telegram")
        assert told.works and [(one.path, one.body) for one in api.asked] == [
            ("/botright/setWebhook", {"url": "https://desk.shop.example/desk/shop/channels/telegram", "secret_token": "x"})
        ]
    other = connect_channel("slack", SLACK, KEYS, "https://desk.shop.example/x")
    assert (other.works, other.what) == (False, "this vendor is told the address on its own pages")


def test_a_mailbox_is_tried_for_reading_and_sending(dovecot: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(object(), hostname="127.0.0.1", port=port)
    controller.start()
    told = {"address": "help@shop.example", "user": "desk", "imap_host": "127.0.0.1", "imap_port": dovecot, "imap_security": "none"}
    told |= {"smtp_port": port, "smtp_security": "none", "policy": "reply", "password_env": "KEY"}
    try:
        assert try_channel("email", told, {"KEY": "hush"}).name == "help@shop.example"
        wrong = try_channel("email", told, {"KEY": "no"})
        assert not wrong.works and wrong.what == "the mail server refused the password"
        lost = try_channel("email", {**told, "folder": "Nowhere"}, {"KEY": "hush"})
        assert lost.what == "the mailbox has no such folder" and lost.value == "Nowhere"
    finally:
        controller.stop()
    unreached = try_channel("email", told, {"KEY": "hush"})
    assert not unreached.works and try_channel("email", {**told, "policy": "draft"}, {"KEY": "hush"}).works, "drafts need no SMTP"


def test_a_trial_is_bounded_in_time_and_says_what_is_wrong() -> None:
    with vendor() as api:
        api.silent = 2.0
        slow = try_channel("telegram", {**SLACK, "api": api.url}, KEYS, seconds=0.3)
        assert (slow.works, slow.what) == (False, "there was no answer in time")
    assert try_channel("telegram", {**SLACK, "api": "http://10.0.0.1"}, KEYS).what == "the URL of the API of Telegram cannot be used"
    assert "account: must be given" in try_channel("chatwoot", {**SLACK, "base": "https://a.example"}, KEYS).value
    assert try_channel("pigeon", {}, KEYS).works is False
    assert try_webhook("https://a.example", "whsec_short", "shop").what == "a webhook's secret is invalid"
