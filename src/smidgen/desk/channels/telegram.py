"""Telegram: private chats with the desk's bot."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from smidgen.core.conversations import IncomingMessage, OutgoingMessage
from smidgen.core.settings import Settings, setting
from smidgen.desk.channels.channel import (
    DeliveryError,
    OnDoubt,
    WebhookAnswer,
    WebhookRequest,
    given_up,
    is_equal,
    secret,
    unreadable,
    unverified,
)
from smidgen.desk.channels.decisions import DECISION, PRESSED, buttons, pressed_words, read_press
from smidgen.desk.channels.plain_text import plain_text
from smidgen.desk.channels.vendor_http import VendorApi

_MOST_TEXT = 4_096
_FILES = ("photo", "document", "voice", "video", "audio", "video_note", "sticker", "animation")


class TelegramSettings(Settings):
    """Settings of a Telegram channel."""

    token_env: str = setting("TELEGRAM_BOT_TOKEN", "The environment variable with the bot's token.", hidden=True)
    secret_env: str = setting("TELEGRAM_SECRET", "The environment variable with the secret_token that setWebhook was given.", hidden=True)
    on_doubt: OnDoubt = setting(
        "repeat", "What happens to a message whose arrival is unknown: repeat it, or give_up and leave it to people as a dead letter."
    )
    api: str = setting("https://api.telegram.org", "The base URL of Telegram's Bot API.")


class TelegramChannel:
    """A Telegram bot. Telegram cannot be asked whether it has a message, and takes no id of ours: `on_doubt` says what happens then."""

    settings = TelegramSettings

    def __init__(self, settings: TelegramSettings, environment: Mapping[str, str] | None = None) -> None:
        self._on_doubt = settings.on_doubt
        self._secret = secret(settings.secret_env, "Telegram's secret token", environment)
        token = secret(settings.token_env, "Telegram's bot token", environment)
        self._api = VendorApi("Telegram", f"{settings.api.rstrip('/')}/bot{token}", {}, token)

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def receive(self, request: WebhookRequest) -> WebhookAnswer:
        """Verify an update and read it."""
        if not is_equal(self._secret, request.headers.get("x-telegram-bot-api-secret-token", "")):
            raise unverified("Telegram")
        try:
            told = json.loads(request.body)
            if "callback_query" in told:
                return _pressed(told)
            message = _message(told)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise unreadable("Telegram", type(error).__name__) from None
        return WebhookAnswer(messages=(message,) if message is not None else ())

    def check(self) -> str:
        """The bot's name, by its token."""
        told = self._api.ask("GET", "/getMe")
        if not isinstance(told, dict) or told.get("ok") is not True:
            raise self._api.final(str(told)[:200])
        return f"@{told.get('result', {}).get('username', '')}"

    def connect(self, address: str) -> None:
        """Tell Telegram where updates go, with the secret token."""
        told = self._api.ask("POST", "/setWebhook", {"url": address, "secret_token": self._secret})
        if not isinstance(told, dict) or told.get("ok") is not True:
            raise self._api.final(str(told)[:200])

    def send(self, message: OutgoingMessage, again: bool) -> str:
        """Send a message to the chat that the customer's came from."""
        if again and self._on_doubt == "give_up":
            raise given_up("Telegram")
        body: dict[str, Any] = {"chat_id": int(message.recipient), "text": plain_text(message, _MOST_TEXT)}
        body["link_preview_options"] = {"is_disabled": True}
        if shown := buttons(message):
            body["reply_markup"] = {"inline_keyboard": [[{"text": label, "callback_data": value} for label, value in shown]]}
        if "message_id" in message.facts:
            body["reply_parameters"] = {"message_id": message.facts["message_id"], "allow_sending_without_reply": True}
        try:
            told = self._api.ask("POST", "/sendMessage", body)
        except DeliveryError as refusal:
            raise self._told(refusal) from None
        if not isinstance(told, dict) or told.get("ok") is not True:
            raise self._api.final(str(told)[:200])
        if PRESSED in message.facts:
            # Only to look right: a second press of these buttons does nothing.
            with contextlib.suppress(DeliveryError):
                pressed = {"chat_id": int(message.recipient), "message_id": message.facts[PRESSED]}
                self._api.ask("POST", "/editMessageReplyMarkup", {**pressed, "reply_markup": {"inline_keyboard": []}})
        return str(told.get("result", {}).get("message_id", ""))

    def _told(self, refusal: DeliveryError) -> DeliveryError:
        """Telegram's refusal: the wait stands in the answer, and 403 means that the customer blocked the bot."""
        answer = refusal.answer if isinstance(refusal.answer, dict) else {}
        code, wait = answer.get("error_code"), (answer.get("parameters") or {}).get("retry_after")
        if code == 429 and isinstance(wait, int | float):
            return self._api.passing("HTTP 429", float(wait))
        return self._api.final("HTTP 403: the customer blocked the bot") if code == 403 else refusal


def _label(message: Mapping[str, Any], data: str) -> str:
    """The words on the button of a message that carries this value."""
    rows = (message.get("reply_markup") or {}).get("inline_keyboard") or ()
    return next((str(one.get("text", "")) for row in rows for one in row if one.get("callback_data") == data), "")


def _pressed(told: Mapping[str, Any]) -> WebhookAnswer:
    """The decision of a pressed button. The answer to the webhook tells Telegram that the press has arrived."""
    query = told["callback_query"]
    body = json.dumps({"method": "answerCallbackQuery", "callback_query_id": str(query["id"])[:200]})
    message, sender, decision = query.get("message"), query["from"], read_press(query.get("data"))
    if message is None or decision is None or message["chat"]["type"] != "private" or message["chat"]["id"] != sender["id"]:
        return WebhookAnswer(body=body, content_type="application/json")
    chat, pressed, language = str(int(message["chat"]["id"])), int(message["message_id"]), str(sender.get("language_code", ""))[:2]
    facts = {DECISION: decision, PRESSED: pressed, "message_id": pressed, "language": language}
    said = IncomingMessage(
        "telegram", f"callback:{query['id']}", chat, chat, pressed_words(decision, _label(message, query["data"]), language), facts=facts
    )
    return WebhookAnswer(body=body, messages=(said,), content_type="application/json")


def _message(told: Mapping[str, Any]) -> IncomingMessage | None:
    """The message of an update; None for other updates: edits, groups, channels, bots."""
    update, message = int(told["update_id"]), told.get("message")
    if message is None or message["chat"]["type"] != "private" or message["from"].get("is_bot"):
        return None
    chat, sender = str(int(message["chat"]["id"])), message["from"]
    text = str(message.get("text", message.get("caption", "")))
    facts: dict[str, Any] = {"message_id": int(message["message_id"]), "language": str(sender.get("language_code", ""))[:2]}
    if text.split(" ")[0] == "/start":
        facts["begins"] = True
    files = sum(name in message for name in _FILES)
    # In a private chat the chat's id is the person's.
    return IncomingMessage("telegram", str(update), chat, chat, text, attachments=files, facts=facts)


part = TelegramChannel
