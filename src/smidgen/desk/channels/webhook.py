"""A webhook of the business's own: messages come in and answers go out by Standard Webhooks, for Zapier, Make, n8n and own code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from smidgen.core.conversations import IncomingMessage, OutgoingMessage
from smidgen.core.settings import Settings, setting
from smidgen.desk.channels.channel import WebhookAnswer, WebhookRequest, secret, unreadable
from smidgen.desk.channels.decisions import DECISION, pressed_words
from smidgen.desk.channels.plain_text import plain_text
from smidgen.desk.channels.standard_webhooks import verify
from smidgen.desk.channels.webhook_endpoint import WebhookEndpoint
from smidgen.desk.reply_json import reply_output

MESSAGE, REPLY = "desk.message", "desk.reply"
_MOST_TEXT = 20_000


class OwnWebhookSettings(Settings):
    """Settings of a webhook channel."""

    reply_url: str = setting(..., "Where answers go: https, or http of this machine.")
    secret_env: str = setting(
        "DESK_WEBHOOK_SECRET", "The environment variable with the secret that signs in both directions (whsec_...).", hidden=True
    )


class OwnWebhook:
    """A webhook in both directions. The id of an answer is equal at every attempt, so the receiver drops repeats."""

    settings = OwnWebhookSettings

    def __init__(self, settings: OwnWebhookSettings, environment: Mapping[str, str] | None = None) -> None:
        self._secret = secret(settings.secret_env, "the webhook's secret", environment)
        self._endpoint = WebhookEndpoint(settings.reply_url, [self._secret])

    def close(self) -> None:
        """Close the connections."""
        self._endpoint.close()

    def receive(self, request: WebhookRequest) -> WebhookAnswer:
        """Verify a message and read it: its `webhook-id` is the message's id, and one that comes again is answered once."""
        id = verify([self._secret], request.headers, request.body)
        try:
            told = json.loads(request.body)
            if told["type"] != MESSAGE:
                raise ValueError("another type")
            return WebhookAnswer(messages=(_message(id, told["data"]),))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise unreadable("the webhook", f"{type(error).__name__}: {error}"[:200]) from None

    def send(self, message: OutgoingMessage, again: bool) -> str:
        """Send an answer, with the data of its cards, sources and proposed call."""
        shown = reply_output(message.reply) if message.reply is not None else {}
        if message.reply is not None and message.reply.call is not None:
            shown["call"] = {"id": message.reply.call.id, **shown["call"]}
        place = {"thread": message.thread, "sender": message.recipient, "answers": message.facts.get("message", "")}
        data = {**place, "text": plain_text(message, _MOST_TEXT), "reply": shown}
        stamp = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        told = {"type": REPLY, "timestamp": stamp, "data": data}
        self._endpoint.send(f"msg_{message.id}", json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode())
        return message.id


def _message(id: str, data: Mapping[str, Any]) -> IncomingMessage:
    """A message, or a decision on a proposed call: `{"call": its id, "yes": true}`."""
    sender = _text(data["sender"])
    language, decision = str(data.get("language", ""))[:2], data.get("decision")
    facts: dict[str, Any] = {"message": id, "language": language}
    if decision is not None:
        facts[DECISION] = {"call": _text(decision["call"]), "yes": decision["yes"] is True}
        words = pressed_words(facts[DECISION], language)
    else:
        words = _text(data["text"])
    thread = _text(data.get("thread") or sender)
    return IncomingMessage("webhook", id, thread, sender, words, str(data.get("subject", "")), facts=facts)


def _text(given: Any) -> str:
    if not isinstance(given, str) or not given.strip():
        raise ValueError("a text is missing")
    return given


part = OwnWebhook
