"""Chatwoot: an agent bot of an inbox. It answers pending conversations, and opens one to hand it to people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from smidgen.core.conversations import IncomingMessage, OutgoingMessage, Status
from smidgen.core.settings import Settings, setting
from smidgen.desk.channels.channel import (
    DeliveryError,
    PersonAnswer,
    WebhookAnswer,
    WebhookRequest,
    is_equal,
    is_recent,
    is_signed,
    secret,
    unreadable,
    unverified,
)
from smidgen.desk.channels.decisions import DECISION, buttons, pressed_words, read_press
from smidgen.desk.channels.plain_text import plain_text
from smidgen.desk.channels.vendor_http import VendorApi

_MOST_TEXT = 20_000
_MARK = "desk_message"
"""The content attribute with our id of a message."""
_STATUSES: dict[str, Status] = {"open": "with_person", "pending": "open", "resolved": "closed"}
"""Who answers next, by Chatwoot's status of a conversation. A snoozed one stays as it is."""
_INCOMING, _OUTGOING = ("incoming", 0), ("outgoing", 1)


class ChatwootSettings(Settings):
    """Settings of a Chatwoot channel."""

    base: str = setting(..., "The address of your Chatwoot: https://chat.example.com.")
    account: int = setting(..., "The number of your account, as in the address of its pages.", ge=1)
    token_env: str = setting("CHATWOOT_BOT_TOKEN", "The environment variable with the agent bot's access token.", hidden=True)
    secret_env: str = setting("CHATWOOT_SECRET", "The environment variable with the agent bot's webhook secret.", hidden=True)
    unsigned: bool = setting(
        False, "For an older Chatwoot, which signs nothing: whether the secret may stand in the webhook's address as ?token=SECRET."
    )


class ChatwootChannel:
    """A Chatwoot agent bot."""

    settings = ChatwootSettings

    def __init__(self, settings: ChatwootSettings, environment: Mapping[str, str] | None = None) -> None:
        self._settings = settings
        self._secret = secret(settings.secret_env, "Chatwoot's webhook secret", environment)
        token = secret(settings.token_env, "Chatwoot's access token", environment)
        base = f"{settings.base.rstrip('/')}/api/v1/accounts/{settings.account}"
        self._api = VendorApi("Chatwoot", base, {"api_access_token": token}, token)

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def receive(self, request: WebhookRequest) -> WebhookAnswer:
        """Verify an event and read it."""
        stamp, signature = request.headers.get("x-chatwoot-timestamp", ""), request.headers.get("x-chatwoot-signature", "")
        signed = is_signed(self._secret, stamp.encode("ascii", "replace") + b"." + request.body, signature, "sha256=") and is_recent(stamp)
        named = self._settings.unsigned and not signature and is_equal(self._secret, request.query.get("token", ""))
        if not (signed or named):
            raise unverified("Chatwoot")
        try:
            return self._read(json.loads(request.body))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise unreadable("Chatwoot", type(error).__name__) from None

    def check(self) -> str:
        """The account, by the bot's token. Chatwoot tells a bot nothing of itself: it is asked to open a conversation that cannot be."""
        try:
            self._api.ask("POST", "/conversations/0/toggle_status", {"status": "open"})
        except DeliveryError as refusal:
            if not str(refusal.value).startswith("HTTP 404"):
                raise
        return f"account {self._settings.account}"

    def send(self, message: OutgoingMessage, again: bool) -> str:
        """Write a message into the conversation, and open the conversation if the desk handed it over."""
        way = f"/conversations/{int(message.facts['conversation'])}"
        id = self._written(message.id, way) if again else ""
        if not id:
            body: dict[str, Any] = {"content": plain_text(message, _MOST_TEXT), "message_type": "outgoing", "private": False}
            body["content_attributes"] = {_MARK: message.id}
            if shown := buttons(message):
                body["content_type"] = "input_select"
                body["content_attributes"] |= {"items": [{"title": label, "value": value} for label, value in shown]}
            told = self._api.ask("POST", f"{way}/messages", body)
            id = str(told.get("id", "")) if isinstance(told, dict) else ""
        if message.reply is not None and message.reply.outcome == "handed_over":
            try:
                self._api.ask("POST", f"{way}/toggle_status", {"status": "open"})
            except DeliveryError as refusal:
                refusal.unsure = True  # the words are there already: the next attempt must not write them again
                raise
        return id

    def note(self, conversation: int, text: str) -> None:
        """Write a private note, which the customer does not see."""
        body = {"content": text[:_MOST_TEXT], "message_type": "outgoing", "private": True}
        self._api.ask("POST", f"/conversations/{conversation}/messages", body)

    def _written(self, id: str, way: str) -> str:
        """Chatwoot's id of the message with our id, if it has it; else empty."""
        told = self._api.ask("GET", f"{way}/messages")
        found = told.get("payload", []) if isinstance(told, dict) else []
        return next((str(one.get("id", "")) for one in found if (one.get("content_attributes") or {}).get(_MARK) == id), "")

    def _read(self, told: Mapping[str, Any]) -> WebhookAnswer:
        event = told["event"]
        if event in ("conversation_opened", "conversation_resolved", "conversation_status_changed"):
            status = _STATUSES.get(str(told.get("status")))
            return WebhookAnswer(statuses=((self._thread(told), status),) if status is not None else ())
        if event == "message_updated" and told["account"]["id"] == self._settings.account:
            return self._chosen(told)
        if event != "message_created" or told.get("private") or told["account"]["id"] != self._settings.account:
            return WebhookAnswer()
        conversation, sender = told["conversation"], told.get("sender") or {}
        thread, id = self._thread(conversation), f"{self._settings.account}:{told['id']}"
        text = str(told.get("content") or "")
        if told["message_type"] in _OUTGOING:
            by_person = sender.get("type") == "user" and text.strip()
            return WebhookAnswer(answers=(PersonAnswer(id, thread, text, str(sender.get("name", ""))),) if by_person else ())
        # People answer an open conversation, and nobody a resolved one.
        if told["message_type"] not in _INCOMING or conversation.get("status") != "pending":
            return WebhookAnswer()
        facts = {"conversation": int(conversation["id"]), "inbox": (told.get("inbox") or {}).get("id")}
        files = len(told.get("attachments") or ())
        return WebhookAnswer(messages=(IncomingMessage("chatwoot", id, thread, f"contact:{sender['id']}", text, "", files, facts),))

    def _chosen(self, told: Mapping[str, Any]) -> WebhookAnswer:
        """The customer's choice among the buttons of a message; nothing for another change. Chatwoot takes one choice of a message."""
        values = (told.get("content_attributes") or {}).get("submitted_values") or ()
        decision, label = next(((found, one.get("title")) for one in values if (found := read_press(one.get("value")))), (None, ""))
        if decision is None:
            return WebhookAnswer()
        conversation = told["conversation"]
        contact = ((conversation.get("meta") or {}).get("sender") or {}).get("id") or conversation["contact_inbox"]["contact_id"]
        if conversation.get("status") != "pending":
            decision["call"] = ""  # people have the conversation: no call waits in it
        facts = {DECISION: decision, "conversation": int(conversation["id"]), "inbox": (told.get("inbox") or {}).get("id")}
        thread, id = self._thread(conversation), f"{self._settings.account}:{told['id']}:chosen"
        said = IncomingMessage("chatwoot", id, thread, f"contact:{contact}", pressed_words(decision, label), facts=facts)
        return WebhookAnswer(messages=(said,))

    def _thread(self, conversation: Mapping[str, Any]) -> str:
        return f"{self._settings.account}:{int(conversation['id'])}"


part = ChatwootChannel
