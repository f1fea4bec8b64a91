"""The worker of the soak test, in a process of its own that is killed again and again: python soak_worker.py STORE VENDOR."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Mapping
from typing import Any

from smidgen.core.conversations import DeskAnswer, DeskConversation, DeskReply
from smidgen.desk.channels.channel import open_channel
from smidgen.desk.flows.delivery import DeliveryWorker, RetryRule
from smidgen.desk.flows.inbox import InboxWorker
from smidgen.desk.store.conversation_store import ConversationStore

LEASE_SECONDS = 6.0
SILENT_SECONDS = 0.4
DOUBT_SECONDS = 5.0


class SoakDesk:
    """A desk that repeats what it is told, and for whom; now and then it fails."""

    name = "shop"
    greeting: Mapping[str, str] = {}

    def __init__(self) -> None:
        self._asked = 0

    def answer(self, conversation: DeskConversation, message: str) -> DeskAnswer:
        self._asked += 1
        if self._asked % 97 == 0:
            raise RuntimeError("a mistake that passes")
        customer = sum(turn.author == "customer" for turn in conversation.turns)
        return DeskAnswer(DeskReply("answered", f"re {message} for {conversation.address} after {customer}"), {})

    def decide(self, conversation: DeskConversation, call: str, yes: bool) -> DeskAnswer:
        raise NotImplementedError


def settings_of(vendor: str) -> dict[str, dict[str, Any]]:
    """The settings of the channels: four vendors, of which Telegram is there twice, once for each choice in doubt."""
    return {
        "slack": {"api": f"{vendor}/slack"},
        "telegram": {"api": f"{vendor}/telegram"},
        "telegram_once": {"api": f"{vendor}/telegram_once", "on_doubt": "give_up"},
        "whatsapp": {"phone_number_id": "106540352242922", "api": f"{vendor}/whatsapp"},
        "chatwoot": {"base": f"{vendor}/chatwoot", "account": 1},
    }


def main() -> None:
    place, vendor = sys.argv[1:3]
    store = ConversationStore(place)
    channels = {name: open_channel(name.partition("_")[0], given) for name, given in settings_of(vendor).items()}
    for channel in channels.values():
        channel._api._client.timeout = SILENT_SECONDS  # type: ignore[attr-defined]
        if hasattr(channel, "doubt_seconds"):
            channel.doubt_seconds = DOUBT_SECONDS
    rule = RetryRule(tries=60, first=0.05, longest=0.5)
    inbox = InboxWorker(store, SoakDesk(), lease=LEASE_SECONDS, retry=0.05)
    delivery = DeliveryWorker(store, "shop", channels, rule=rule, lease=LEASE_SECONDS)
    inbox.start()
    delivery.start()
    print("ready", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()
    inbox.stop()
    delivery.stop()


ended = threading.Event()

if __name__ == "__main__":
    main()
