"""WhatsApp: messages to a business number, by Meta's Cloud API."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from smidgen.core.conversations import IncomingMessage, OutgoingMessage
from smidgen.core.settings import Settings, setting
from smidgen.desk.channels.channel import (
    DeliveryError,
    LateFailure,
    OnDoubt,
    TakenMark,
    WebhookAnswer,
    WebhookRequest,
    given_up,
    is_equal,
    is_signed,
    secret,
    unreadable,
    unverified,
)
from smidgen.desk.channels.decisions import DECISION, asked_in_words, buttons, read_press
from smidgen.desk.channels.plain_text import plain_text
from smidgen.desk.channels.vendor_http import VendorApi

_MOST_TEXT = 4_096
_MOST_ASKED = 1_024
"""Longest text with buttons."""
_WINDOW = 131047
"""The code of a message to a customer who last wrote over 24 hours ago."""
_PASSING = frozenset({1, 2, 4, 80007, 130429, 131000, 131016, 131048, 131056, 131057, 133004})
"""Codes of limits and of failures at Meta, which pass."""
_KEY = frozenset({0, 3, 10, 190})
_FILES = ("image", "video", "audio", "document", "sticker")


class WhatsAppSettings(Settings):
    """Settings of a WhatsApp channel."""

    phone_number_id: str = setting(..., "The id of the business number, as Meta's app dashboard shows it.", pattern=r"^[0-9]{5,30}$")
    token_env: str = setting("WHATSAPP_TOKEN", "The environment variable with the access token.", hidden=True)
    secret_env: str = setting("WHATSAPP_APP_SECRET", "The environment variable with the app's secret.", hidden=True)
    verify_env: str = setting("WHATSAPP_VERIFY_TOKEN", "The environment variable with the webhook's verify token.", hidden=True)
    on_doubt: OnDoubt = setting(
        "repeat", "What happens to a message whose arrival is unknown: repeat it, or give_up and leave it to people as a dead letter."
    )
    api: str = setting("https://graph.facebook.com/v23.0", "The base URL of the Graph API, with its version.")


class WhatsAppChannel:
    """A WhatsApp business number.

    Meta cannot be asked whether it has a message, but tells the status of each one together with our id of it. So a message in doubt waits
    for that before it is sent again.
    """

    settings = WhatsAppSettings
    doubt_seconds = 60.0

    def __init__(self, settings: WhatsAppSettings, environment: Mapping[str, str] | None = None) -> None:
        self._on_doubt = settings.on_doubt
        self._number = settings.phone_number_id
        self._secret = secret(settings.secret_env, "WhatsApp's app secret", environment)
        self._verify = secret(settings.verify_env, "WhatsApp's verify token", environment)
        token = secret(settings.token_env, "WhatsApp's access token", environment)
        self._api = VendorApi("WhatsApp", settings.api, {"authorization": f"Bearer {token}"}, token)

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def receive(self, request: WebhookRequest) -> WebhookAnswer:
        """Answer Meta's challenge (GET), or verify a notification and read it."""
        if request.method == "GET":
            if request.query.get("hub.mode") != "subscribe" or not is_equal(self._verify, request.query.get("hub.verify_token", "")):
                raise unverified("WhatsApp")
            return WebhookAnswer(body=request.query.get("hub.challenge", "")[:1_000])
        if not is_signed(self._secret, request.body, request.headers.get("x-hub-signature-256", ""), "sha256="):
            raise unverified("WhatsApp")
        try:
            values = list(self._values(json.loads(request.body)))
            messages = [message for value in values for one in value.get("messages", ()) if (message := self._message(one))]
            failures = [failure for value in values for one in value.get("statuses", ()) if (failure := _failure(one))]
            taken = [mark for value in values for one in value.get("statuses", ()) if (mark := _taken(one))]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise unreadable("WhatsApp", type(error).__name__) from None
        return WebhookAnswer(messages=tuple(messages), failures=tuple(failures), taken=tuple(taken))

    def check(self) -> str:
        """The business number and its name, by the access token."""
        try:
            told = self._api.ask("GET", f"/{self._number}", query={"fields": "display_phone_number,verified_name"})
        except DeliveryError as refusal:
            raise self._told(refusal) from None
        facts = told if isinstance(told, dict) else {}
        return f"{facts.get('display_phone_number', '')} {facts.get('verified_name', '')}".strip()

    def send(self, message: OutgoingMessage, again: bool) -> str:
        """Send a text to the customer's number, as a reply to their message; with buttons, if it proposes a call."""
        if again and self._on_doubt == "give_up":
            raise given_up("WhatsApp")
        body: dict[str, Any] = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": message.recipient}
        body["biz_opaque_callback_data"] = message.id
        text, shown = plain_text(message, _MOST_TEXT), buttons(message)
        if shown and len(text) <= _MOST_ASKED:
            replies = [{"type": "reply", "reply": {"id": value, "title": label}} for label, value in shown]
            body |= {"type": "interactive", "interactive": {"type": "button", "body": {"text": text}, "action": {"buttons": replies}}}
        else:
            words = "\n\n".join(part for part in (plain_text(message, _MOST_TEXT - 100), asked_in_words(message)) if part)
            body |= {"type": "text", "text": {"body": words if shown else text, "preview_url": False}}
        if "message_id" in message.facts:
            body["context"] = {"message_id": str(message.facts["message_id"])}
        try:
            told = self._api.ask("POST", f"/{self._number}/messages", body)
        except DeliveryError as refusal:
            raise self._told(refusal) from None
        return str(told["messages"][0]["id"]) if isinstance(told, dict) and told.get("messages") else ""

    def _told(self, refusal: DeliveryError) -> DeliveryError:
        """Meta's refusal by its code, which says more than the status."""
        error = refusal.answer.get("error", {}) if isinstance(refusal.answer, dict) else {}
        code = error.get("code") if isinstance(error, dict) else None
        if code == _WINDOW:
            return self._api.final("131047: the customer last wrote over 24 hours ago, and only a template may be sent")
        if code in _PASSING:
            return self._api.passing(f"code {code}", refusal.after)
        if code in _KEY:
            return self._api.failed(401, {}, {}, f"code {code}")
        return refusal

    def _values(self, told: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """The notifications of this number."""
        if told.get("object") != "whatsapp_business_account":
            return
        for entry in told.get("entry", ()):
            for change in entry.get("changes", ()):
                value = change.get("value", {})
                if change.get("field") == "messages" and value.get("metadata", {}).get("phone_number_id") == self._number:
                    yield value

    def _message(self, one: Mapping[str, Any]) -> IncomingMessage | None:
        """A customer's message; None for reactions and what WhatsApp itself says."""
        sender, id, kind = str(one["from"]), str(one["id"]), str(one["type"])
        facts: dict[str, Any] = {"message_id": id}
        if kind == "text":
            text = str(one["text"]["body"])
        elif kind == "button":
            text = str(one["button"]["text"])
        elif kind == "interactive":
            chosen = one["interactive"]
            button = chosen.get(chosen["type"], {})
            text, decision = str(button.get("title", "")), read_press(button.get("id"))
            facts |= {DECISION: decision} if decision is not None else {}
        elif kind in _FILES:
            text = str(one.get(kind, {}).get("caption", ""))
        else:
            return None
        files = int(kind in _FILES)
        return IncomingMessage("whatsapp", id, f"{self._number}:{sender}", sender, text, attachments=files, facts=facts)


def _taken(status: Mapping[str, Any]) -> TakenMark | None:
    """Meta's word that it has a message of ours."""
    ours, id = status.get("biz_opaque_callback_data"), status.get("id")
    if not isinstance(ours, str) or not isinstance(id, str) or status.get("status") not in ("sent", "delivered", "read"):
        return None
    return TakenMark(ours[:500], id[:500])


def _failure(status: Mapping[str, Any]) -> LateFailure | None:
    """A message that did not arrive. The other statuses say that it did."""
    if status.get("status") != "failed":
        return None
    errors = status.get("errors") or [{}]
    return LateFailure(str(status["id"]), f"code {errors[0].get('code', 'unknown')}: {errors[0].get('title', '')}"[:200])


part = WhatsAppChannel
