"""Slack: direct messages to the desk's app, by the Events API; mentions in channels, if wanted."""

from __future__ import annotations

import contextlib
import html
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from smidgen.core.conversations import IncomingMessage, OutgoingMessage
from smidgen.core.errors import DataError
from smidgen.core.settings import Settings, setting
from smidgen.desk.channels.channel import DeliveryError, WebhookAnswer, WebhookRequest, is_recent, is_signed, secret, unreadable, unverified
from smidgen.desk.channels.decisions import DECISION, PRESSED, buttons, pressed_words, read_press
from smidgen.desk.channels.plain_text import plain_text
from smidgen.desk.channels.vendor_http import VendorApi

_MOST_TEXT = 12_000
_MOST_SECTION = 3_000
"""Longest text of a block."""
_PASSING = ("ratelimited", "rate_limited", "internal_error", "fatal_error", "request_timeout", "service_unavailable", "team_added_to_org")
_UNSURE = ("internal_error", "fatal_error", "request_timeout")
"""Errors after which Slack may have the message all the same, as it says."""
_KEY = ("invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "missing_scope")
_LOOKED_AT = 50
_EVENT = "desk_reply"
_MENTION = re.compile(r"<@[A-Z0-9]+(?:\|[^>]*)?>")
_LINK = re.compile(r"<((?:https?|mailto):[^>|]+)(?:\|([^>]*))?>")


class SlackSettings(Settings):
    """Settings of a Slack channel."""

    secret_env: str = setting("SLACK_SIGNING_SECRET", "The environment variable with the app's signing secret.", hidden=True)
    token_env: str = setting("SLACK_BOT_TOKEN", "The environment variable with the bot's token (xoxb-...).", hidden=True)
    mentions: bool = setting(False, "Whether mentions in channels are answered. All members of the channel can read the answer.")
    api: str = setting("https://slack.com/api", "The base URL of Slack's Web API.")


class SlackChannel:
    """A Slack app. A message's id is that of its channel and time, so a message that comes as two events is one."""

    settings = SlackSettings

    def __init__(self, settings: SlackSettings, environment: Mapping[str, str] | None = None) -> None:
        self._settings = settings
        self._secret = secret(settings.secret_env, "Slack's signing secret", environment)
        token = secret(settings.token_env, "Slack's bot token", environment)
        self._api = VendorApi("Slack", settings.api, {"authorization": f"Bearer {token}"}, token)

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def receive(self, request: WebhookRequest) -> WebhookAnswer:
        """Verify an event and read it. Slack's retries (`x-slack-retry-num`) bring the same message again, which is stored once."""
        stamp, signature = request.headers.get("x-slack-request-timestamp", ""), request.headers.get("x-slack-signature", "")
        signed = b"v0:" + stamp.encode("ascii", "replace") + b":" + request.body
        if not is_signed(self._secret, signed, signature, "v0=") or not is_recent(stamp):
            raise unverified("Slack")
        try:
            if request.body.startswith(b"payload="):
                return _pressed(json.loads(parse_qs(request.body.decode(), max_num_fields=2)["payload"][0]))
            told = json.loads(request.body)
            if told["type"] == "url_verification":
                return WebhookAnswer(body=str(told["challenge"])[:1_000])
            message = self._message(told) if told["type"] == "event_callback" else None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise unreadable("Slack", type(error).__name__) from None
        return WebhookAnswer(messages=(message,) if message is not None else ())

    def check(self) -> str:
        """The app's name and team, by its token."""
        told = self._asked("POST", "/auth.test", {})
        return f"{told.get('user', '')}, {told.get('team', '')}"

    def send(self, message: OutgoingMessage, again: bool) -> str:
        """Post a message. After an attempt whose answer did not come, Slack is asked first whether the message is there."""
        place, parent = str(message.facts.get("channel", "")), str(message.facts.get("thread_ts", ""))
        if not place:
            raise DataError("desk.message_to_slack_has_no_channel", value=message.id)
        if again and (found := self._posted(message.id, place, parent)):
            return found
        text = _escaped(plain_text(message, _MOST_TEXT))
        body: dict[str, Any] = {"channel": place, "text": text, "unfurl_links": False}
        if shown := buttons(message):
            body["blocks"] = [*_sections(text), {"type": "actions", "elements": [_button(label, value) for label, value in shown]}]
        body["metadata"] = {"event_type": _EVENT, "event_payload": {"id": message.id}}
        if parent:
            body["thread_ts"] = parent
        told = self._asked("POST", "/chat.postMessage", body)
        if PRESSED in message.facts:
            # Only to look right: a second press of these buttons does nothing.
            with contextlib.suppress(DeliveryError):
                question = str(message.facts.get("question", ""))
                update = {"channel": place, "ts": message.facts[PRESSED], "text": question, "blocks": _sections(question)}
                self._asked("POST", "/chat.update", update)
        return str(told.get("ts", ""))

    def _posted(self, id: str, place: str, parent: str) -> str:
        """The time of the message with this id, if Slack shows one; empty if not, or if the app may not look."""
        query: dict[str, Any] = {"channel": place, "limit": _LOOKED_AT, "include_all_metadata": "true"}
        way = "/conversations.replies" if parent else "/conversations.history"
        told = self._api.ask("GET", way, query={**query, "ts": parent} if parent else query)
        found = told.get("messages", []) if isinstance(told, dict) and told.get("ok") else []
        mine = [one for one in found if one.get("metadata", {}).get("event_payload", {}).get("id") == id]
        return str(mine[0].get("ts", "")) if mine else ""

    def _asked(self, method: str, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        told = self._api.ask(method, path, body)
        if isinstance(told, dict) and told.get("ok") is True:
            return told
        error = str(told.get("error", "unknown") if isinstance(told, dict) else "unknown")[:100]
        if error in _PASSING:
            refusal = self._api.passing(error)
            refusal.unsure = error in _UNSURE
            raise refusal
        if error in _KEY:
            raise self._api.failed(401, {}, {}, error)
        raise self._api.final(error)

    def _message(self, told: Mapping[str, Any]) -> IncomingMessage | None:
        """The message of an event; None for one that is not a customer's: bots, the desk itself, edits, joins."""
        event, team = told["event"], str(told["team_id"])
        own = {str(one.get("user_id", "")) for one in told.get("authorizations", ())}
        direct = event.get("type") == "message" and event.get("channel_type") == "im"
        mentioned = event.get("type") == "app_mention" and self._settings.mentions
        if not (direct or mentioned) or event.get("bot_id") or event.get("subtype") not in (None, "file_share") or event.get("user") in own:
            return None
        place, time, user = str(event["channel"]), str(event["ts"]), str(event["user"])
        thread = str(event.get("thread_ts", "") or ("" if direct else time))
        facts = {"channel": place, "thread_ts": thread, "ts": time}
        ids = (f"{team}:{place}:{time}", f"{team}:{place}:{thread}", f"{team}:{user}")
        return IncomingMessage("slack", *ids, _plain(str(event.get("text", ""))), attachments=len(event.get("files", ())), facts=facts)


def _pressed(told: Mapping[str, Any]) -> WebhookAnswer:
    """The decision of a pressed button; nothing for another interaction. A press counts for the user who pressed, whoever was asked."""
    if told["type"] != "block_actions" or not isinstance(told.get("message"), dict):
        return WebhookAnswer()
    action, message, user = told["actions"][0], told["message"], told["user"]
    decision = read_press(action.get("value"))
    if decision is None:
        return WebhookAnswer()
    team, place = str((told.get("team") or {}).get("id") or user["team_id"]), str(told["channel"]["id"])
    time, thread = str(message["ts"]), str(message.get("thread_ts", ""))
    facts = {DECISION: decision, PRESSED: time, "channel": place, "thread_ts": thread, "ts": time}
    facts["question"] = str(message.get("text", ""))[:_MOST_SECTION]
    id = f"{team}:{place}:{time}:{action['action_ts']}"
    ids = (id, f"{team}:{place}:{thread}", f"{team}:{user['id']}")
    return WebhookAnswer(
        messages=(IncomingMessage("slack", *ids, pressed_words(decision, (action.get("text") or {}).get("text")), facts=facts),)
    )


def _sections(text: str) -> list[dict[str, Any]]:
    """A text as blocks, which are short."""
    pieces = [text[at : at + _MOST_SECTION] for at in range(0, len(text), _MOST_SECTION)] or [" "]
    return [{"type": "section", "text": {"type": "mrkdwn", "text": piece}} for piece in pieces]


def _button(label: str, value: str) -> dict[str, Any]:
    return {"type": "button", "action_id": value.rpartition(":")[0], "text": {"type": "plain_text", "text": label}, "value": value}


def _plain(text: str) -> str:
    """Slack's markup as plain words."""
    linked = _LINK.sub(lambda found: f"{found[2]} ({found[1]})" if found[2] and found[2] != found[1] else found[1], text)
    return html.unescape(_MENTION.sub("", linked)).strip()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


part = SlackChannel
