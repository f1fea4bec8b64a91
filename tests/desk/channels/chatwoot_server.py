"""A small Chatwoot: conversations with messages and a status, in the shapes of its OpenAPI document."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .vendor import Answer, Asked, Vendor, vendor

TOKEN = "bot-token"
_WAY = re.compile(r"^/api/v1/accounts/(\d+)/conversations/(\d+)/(messages|toggle_status)$")


@dataclass
class SmallChatwoot:
    """Its conversations: messages and a status by number. `failing`: an answer given instead, once."""

    api: Vendor
    messages: dict[int, list[dict[str, Any]]] = field(default_factory=lambda: {4: [], 5: []})
    statuses: dict[int, str] = field(default_factory=lambda: {4: "pending", 5: "pending"})
    failing: Answer | None = None

    def answer(self, asked: Asked) -> Answer:
        """The answer to a request."""
        if self.failing is not None:
            told, self.failing = self.failing, None
            return told
        if asked.headers.get("api_access_token") != TOKEN:
            return 401, {}, {"error": "Invalid Access Token"}
        way = _WAY.match(asked.path)
        if way is None or way[1] != "1" or int(way[2]) not in self.messages:
            return 404, {}, {"error": "Resource could not be found"}
        number = int(way[2])
        if way[3] == "toggle_status":
            self.statuses[number] = asked.body["status"]
            shown = {"success": True, "current_status": asked.body["status"], "conversation_id": number}
            return 200, {}, {"meta": {}, "payload": shown}
        if asked.method == "GET":
            return 200, {}, {"meta": {"labels": []}, "payload": self.messages[number]}
        if not isinstance(asked.body.get("content"), str) or asked.body.get("message_type") not in ("outgoing", "incoming"):
            return 422, {}, {"description": "Invalid", "errors": []}
        stored = {
            "id": 100 + len(self.messages[number]),
            "message_type": 1,
            "content_type": "text",
            "conversation_id": number,
            **asked.body,
        }
        self.messages[number].append(stored)
        return 200, {}, stored


@contextlib.contextmanager
def chatwoot_server() -> Iterator[SmallChatwoot]:
    """A small Chatwoot on a free port of this machine."""
    with vendor() as api:
        mine = SmallChatwoot(api)
        api.answer = mine.answer
        yield mine
