"""Messages by four channels, while the worker is killed and the vendors are busy, broken or silent: none is lost, none goes astray.

A silent vendor has taken every other message. Slack and Chatwoot can be asked for it, and WhatsApp tells by itself what it has, so nothing
arrives twice. Telegram can do neither: the messages of half of its customers are sent again in doubt, and some of them arrive twice; those
of the other half are left to people, and none does.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.desk.channels.vendor import Answer, Asked, vendor
from tests.eventually import eventually

from smidgen.desk.channels.channel import WebhookChannel, WebhookRequest, open_channel
from smidgen.desk.flows.inbox import take_in
from smidgen.desk.store.conversation_store import ConversationStore

from .soak_worker import SILENT_SECONDS, settings_of

SECRETS = {
    "SLACK_SIGNING_SECRET": "s1", "SLACK_BOT_TOKEN": "t1", "TELEGRAM_BOT_TOKEN": "t2", "TELEGRAM_SECRET": "s2", "WHATSAPP_TOKEN": "t3",
    "WHATSAPP_APP_SECRET": "s3", "WHATSAPP_VERIFY_TOKEN": "v3", "CHATWOOT_BOT_TOKEN": "t4", "CHATWOOT_SECRET": "s4",
}  # fmt: skip
KINDS = ("slack", "telegram", "whatsapp", "chatwoot")
NAMES = (*KINDS, "telegram_once")
REPEATED = "telegram"
"""The channel whose messages in doubt are sent again."""
_SAID = re.compile(r"re q-(\d+) for (\S+) after (\d+)")


@dataclass
class Vendors:
    """All four vendors: what each delivered to whom, and how often it misbehaves."""

    chance: random.Random
    bad: float
    delivered: dict[str, list[tuple[str, str, dict[str, Any]]]] = field(default_factory=lambda: {name: [] for name in NAMES})
    told: deque[tuple[str, str]] = field(default_factory=deque)
    refusals: Counter[str] = field(default_factory=Counter)
    silence: float = 0.0

    def answer(self, asked: Asked) -> Answer:
        """The answer of a vendor, now and then none in time."""
        kind = asked.path.split("/")[1]
        if asked.method == "GET":
            return 200, {}, self._shown(kind, asked.path)
        if self.chance.random() < self.bad:
            fault = self.chance.choice(("429", "500", "503", "silence"))
            self.refusals[fault] += 1
            if fault != "silence":
                return int(fault), {"retry-after": "0.1"} if fault == "429" else {}, {"ok": False, "parameters": {"retry_after": 0.1}}
            # Silence: it has taken the message or not, and the sender cannot know.
            self.silence = 2 * SILENT_SECONDS
            return (200, {}, self._take(kind, asked)) if self.chance.random() < 0.5 else (500, {}, {})
        return 200, {}, self._take(kind, asked)

    def _take(self, kind: str, asked: Asked) -> dict[str, Any]:
        body, all_of = asked.body, self.delivered[kind]
        number = len(all_of) + 1
        if kind == "slack":
            all_of.append((body["channel"], body["text"], {"ts": f"{number}", "metadata": body["metadata"]}))
            return {"ok": True, "ts": f"{number}"}
        if kind.startswith("telegram"):
            all_of.append((str(body["chat_id"]), body["text"], {}))
            return {"ok": True, "result": {"message_id": number}}
        if kind == "whatsapp":
            all_of.append((body["to"], body["text"]["body"], {}))
            self.told.append((body["biz_opaque_callback_data"], f"wamid.{number}"))
            return {"messages": [{"id": f"wamid.{number}"}]}
        conversation = asked.path.split("/conversations/")[1].split("/")[0]
        all_of.append((conversation, body["content"], {"id": number, "content_attributes": body["content_attributes"]}))
        return {"id": number}

    def _shown(self, kind: str, path: str) -> dict[str, Any]:
        if kind == "slack":
            place = re.search(r"channel=([^&]+)", path)
            assert place is not None
            return {"ok": True, "messages": [one for to, _, one in self.delivered[kind] if to == place[1]][-50:]}
        conversation = path.split("/conversations/")[1].split("/")[0]
        return {"payload": [one for to, _, one in self.delivered[kind] if to == conversation]}


def status(ours: str, id: str) -> WebhookRequest:
    """WhatsApp's word that it has a message."""
    told = {"id": id, "status": "sent", "timestamp": "1", "recipient_id": "1", "biz_opaque_callback_data": ours}
    return whatsapp({"metadata": {"phone_number_id": "106540352242922"}, "statuses": [told]})


def whatsapp(value: dict[str, Any]) -> WebhookRequest:
    """A signed notification of WhatsApp."""
    told = {"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "messages", "value": value}]}]}
    body = json.dumps(told).encode()
    return WebhookRequest("POST", {"x-hub-signature-256": "sha256=" + hmac.new(b"s3", body, hashlib.sha256).hexdigest()}, {}, body)


def name_of(kind: str, customer: int) -> str:
    """The channel of a customer: Telegram has two."""
    return "telegram_once" if kind == "telegram" and customer % 2 else kind


def webhook(kind: str, number: int, customer: int) -> WebhookRequest:
    """A vendor's webhook with the message `q-NUMBER` of a customer."""
    text, stamp = f"q-{number}", str(int(time.time()))
    if kind == "slack":
        event = {
            "type": "message",
            "channel_type": "im",
            "channel": f"D{customer}",
            "user": f"U{customer}",
            "text": text,
            "ts": f"{number}.1",
        }
        body = json.dumps({"type": "event_callback", "team_id": "T", "event": event}).encode()
        mac = hmac.new(b"s1", f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
        return WebhookRequest("POST", {"x-slack-request-timestamp": stamp, "x-slack-signature": f"v0={mac}"}, {}, body)
    if kind == "telegram":
        message = {"message_id": number, "chat": {"id": customer, "type": "private"}, "from": {"id": customer}, "text": text}
        body = json.dumps({"update_id": number, "message": message}).encode()
        return WebhookRequest("POST", {"x-telegram-bot-api-secret-token": "s2"}, {}, body)
    if kind == "whatsapp":
        message = {"from": f"{customer}", "id": f"wamid.in{number}", "type": "text", "text": {"body": text}}
        return whatsapp({"metadata": {"phone_number_id": "106540352242922"}, "messages": [message]})
    told = {"event": "message_created", "id": number, "content": text, "message_type": "incoming", "account": {"id": 1}}
    told |= {"sender": {"id": customer, "type": "contact"}, "conversation": {"id": customer, "status": "pending"}}
    body = json.dumps(told).encode()
    mac = hmac.new(b"s4", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return WebhookRequest("POST", {"x-chatwoot-timestamp": stamp, "x-chatwoot-signature": f"sha256={mac}"}, {}, body)


def soak(folder: Path, messages: int, customers: int, kills: int, seconds: float) -> dict[str, Any]:
    """Send so many messages while the worker is killed so often, and count what arrived. `seconds`: the time that the sending takes."""
    place, chance = f"sqlite:///{folder}/soak.db", random.Random(7)
    vendors = Vendors(random.Random(8), 0.08)
    began = time.monotonic()
    with vendor() as api, ConversationStore(place) as store:

        def answer(asked: Asked) -> Answer:
            told = vendors.answer(asked)
            api.silent, vendors.silence = vendors.silence, 0.0
            return told

        api.answer = answer
        given = {name: open_channel(name.partition("_")[0], told) for name, told in settings_of(api.url).items()}
        sent = [(KINDS[number % 4], number, 1 + chance.randrange(customers)) for number in range(messages)]

        def bring_one(name: str, request: WebhookRequest) -> None:
            channel = given[name]
            assert isinstance(channel, WebhookChannel)
            take_in(store, "shop", name, channel.receive(request))

        def tell() -> None:
            while not ended.is_set():
                while vendors.told:
                    bring_one("whatsapp", status(*vendors.told.popleft()))
                ended.wait(0.05)

        def bring() -> None:
            for place_, (kind, number, customer) in enumerate(sent):
                name = name_of(kind, customer)
                for _ in range(chance.choice((1, 1, 2, 3))):  # vendors repeat themselves
                    bring_one(name, webhook(kind, number, customer))
                time.sleep(max(0.0, began + seconds * place_ / messages - time.monotonic()))

        ended = threading.Event()
        bringing, telling = threading.Thread(target=bring), threading.Thread(target=tell)
        bringing.start()
        telling.start()
        worker = _worker(place, api.url)
        for _ in range(kills):
            time.sleep(chance.uniform(0.4, 0.8) * seconds / kills)
            worker.kill()
            worker.wait()
            worker = _worker(place, api.url)
        bringing.join()
        last = [time.monotonic(), -1]

        def done() -> bool:
            left = store.inbox.waiting()[0] + store.outbox.waiting()
            if left != last[1]:
                last[:] = [time.monotonic(), left]
            assert time.monotonic() - last[0] < 60, f"{left} messages do not move"
            return left == 0

        eventually(done, 7_200.0)
        worker.terminate()
        worker.wait(30)
        ended.set()
        telling.join()
        dead = store.outbox.dead("shop", 1_000)
        for channel in given.values():
            channel.close()
    return {
        **_counted(vendors, sent, {one.message.text for one in dead if one.message.channel == "telegram_once"}),
        "dead": len(dead),
        "kills": kills,
        "refusals": dict(vendors.refusals),
        "seconds": time.monotonic() - began,
    }


def _worker(place: str, url: str) -> subprocess.Popen[str]:
    script = Path(__file__).with_name("soak_worker.py")
    worker = subprocess.Popen([sys.executable, str(script), place, url], stdout=subprocess.PIPE, text=True, env={**os.environ, **SECRETS})
    assert worker.stdout is not None and worker.stdout.readline() == "ready\n"
    worker.stdout.close()
    return worker


def _counted(vendors: Vendors, sent: list[tuple[str, int, int]], left: set[str]) -> dict[str, Any]:
    """How many answers were lost, doubled, of the wrong person, or out of order; `left`: those that were left to people."""
    who = {number: (name_of(kind, customer), customer) for kind, number, customer in sent}
    address = {"slack": "T:U{}", "whatsapp": "{}", "chatwoot": "contact:{}", "telegram": "{}", "telegram_once": "{}"}
    place = {"slack": "D{}", "whatsapp": "{}", "chatwoot": "{}", "telegram": "{}", "telegram_once": "{}"}
    times: Counter[int] = Counter()
    wrong = disordered = 0
    newest: dict[tuple[str, str], int] = {}
    for name, deliveries in vendors.delivered.items():
        for to, text, _ in deliveries:
            said = _SAID.fullmatch(text)
            assert said is not None, text
            number = int(said[1])
            mine, customer = who[number]
            wrong += (mine, place[name].format(customer), address[name].format(customer)) != (name, to, said[2])
            if not times[number]:
                disordered += newest.get((name, to), -1) > number
                newest[name, to] = number
            times[number] += 1
    doubled = Counter(who[number][0] for number, count in times.items() if count > 1)
    people = {int(said[1]) for text in left if (said := _SAID.fullmatch(text))}
    return {
        "messages": len(sent),
        "lost": len([number for number in who if not times[number] and number not in people]),
        "wrong": wrong,
        "disordered": disordered,
        "doubled": sum(doubled[name] for name in NAMES if name != REPEATED),
        "repeated in doubt": doubled[REPEATED],
        "by telegram": Counter(name for name, _ in who.values())["telegram"],
        "left to people": len(people),
        "of these arrived": len([number for number in people if times[number]]),
    }


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)


def check(found: dict[str, Any], messages: int) -> None:
    print(json.dumps(found))
    assert found["messages"] == messages and sum(found["refusals"].values()) > 0
    assert (found["lost"], found["doubled"], found["wrong"], found["disordered"]) == (0, 0, 0, 0), found
    assert found["dead"] == found["left to people"]
    # In doubt at most: each silence and each message that a killed worker held; two threads deliver.
    most = found["refusals"].get("silence", 0) + found["refusals"].get("500", 0) + 2 * found["kills"]
    assert found["repeated in doubt"] + found["left to people"] <= most


def test_some_hundred_messages(tmp_path: Path) -> None:
    check(soak(tmp_path, 120, 25, 1, 1.5), 120)


@pytest.mark.thorough
def test_three_thousand_messages(tmp_path: Path) -> None:
    check(soak(tmp_path, 3_000, 300, 20, 120.0), 3_000)
