"""Vendors' webhooks: verified, stored before the 200, answered afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.desk.channels.vendor import Vendor, vendor
from tests.desk.routes.sample_desk import SampleDesk
from tests.eventually import eventually

from smidgen.desk.flows.channel_file import DeskChannels, open_desk_channels
from smidgen.desk.routes.served_desk import ServedDesk
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.server.app import create_app
from smidgen.server.settings import ServeSettings

FILE = """
[channels.chat]
kind = "telegram"
api = "{url}"

[channels.phone]
kind = "whatsapp"
phone_number_id = "106540352242922"
api = "{url}"

[webhooks.own]
url = "{url}/hook"
secret_env = "OWN_SECRET"
events = ["answered", "handed_over"]
"""
SECRET = {"x-telegram-bot-api-secret-token": "s3cret"}
SHOP = SampleDesk().name


@pytest.fixture
def api() -> Iterator[Vendor]:
    with vendor(lambda asked: (200, {}, {"ok": True, "result": {"message_id": 1}})) as mine:
        yield mine


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ConversationStore]:
    with ConversationStore(f"sqlite:///{tmp_path}/conversations.db") as mine:
        yield mine


@pytest.fixture
def channels(tmp_path: Path, api: Vendor, store: ConversationStore, monkeypatch: pytest.MonkeyPatch) -> DeskChannels:
    for name in ("TELEGRAM_SECRET", "TELEGRAM_BOT_TOKEN", "WHATSAPP_TOKEN", "WHATSAPP_APP_SECRET", "WHATSAPP_VERIFY_TOKEN"):
        monkeypatch.setenv(name, "s3cret")
    monkeypatch.setenv("OWN_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    file = tmp_path / "channels.toml"
    file.write_text(FILE.format(url=api.url), encoding="utf-8")
    return open_desk_channels(file, store, SampleDesk())


@pytest.fixture
def client(store: ConversationStore, channels: DeskChannels) -> Iterator[TestClient]:
    settings = ServeSettings(port=0, access_log=False, account=False, api_key=("a-key",))
    app = create_app([], settings, shown=[replace(ServedDesk(SampleDesk(), store), channels=channels)])
    with TestClient(app, base_url="http://127.0.0.1") as mine:
        yield mine


def update(number: int = 1, text: str = "When are you open?") -> dict[str, Any]:
    chat = {"id": 5, "type": "private"}
    return {"update_id": number, "message": {"message_id": number, "chat": chat, "from": {"id": 5, "is_bot": False}, "text": text}}


def test_a_message_is_stored_before_the_200_and_answered_afterwards(
    client: TestClient, channels: DeskChannels, store: ConversationStore, api: Vendor
) -> None:
    for _ in range(2):  # the vendor sends it twice
        answer = client.post(f"/desk/{SHOP}/channels/chat", json=update(), headers=SECRET)
        assert (answer.status_code, answer.text) == (200, "")
    assert store.inbox.waiting()[0] == 1 and api.asked == []
    channels.start()
    try:
        eventually(lambda: {one.path for one in list(api.asked)} >= {"/bots3cret/sendMessage", "/hook"}, 30)
    finally:
        channels.stop()
    sent = [one for one in api.asked if one.path == "/bots3cret/sendMessage"]
    assert len(sent) == 1 and sent[0].body["chat_id"] == 5 and sent[0].body["text"]


def test_what_is_not_signed_is_refused_and_nothing_is_stored(client: TestClient, store: ConversationStore) -> None:
    way = f"/desk/{SHOP}/channels"
    refused = client.post(f"{way}/chat", json=update(), headers={"x-telegram-bot-api-secret-token": "no"})
    assert refused.status_code == 401 and refused.json()["error"]["code"] == "invalid_signature" and "s3cret" not in refused.text
    assert client.post(f"{way}/chat", content=b"{", headers=SECRET).status_code == 400
    assert client.post(f"{way}/chat", content=b"x" * 1_000_001, headers=SECRET).status_code == 413
    assert client.post(f"{way}/none", json=update(), headers=SECRET).status_code == 404
    assert client.post("/desk/none/channels/chat", json=update(), headers=SECRET).status_code == 404
    assert store.inbox.waiting()[0] == 0


def test_metas_challenge_is_answered(client: TestClient) -> None:
    query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "s3cret"}
    answer = client.get(f"/desk/{SHOP}/channels/phone", params=query)
    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert client.get(f"/desk/{SHOP}/channels/phone", params={**query, "hub.verify_token": "x"}).status_code == 401


def test_a_full_inbox_lets_the_vendor_send_again(client: TestClient, store: ConversationStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("smidgen.desk.store.inbox.MOST_WAITING", 2)
    told = [client.post(f"/desk/{SHOP}/channels/chat", json=update(number), headers=SECRET).status_code for number in range(3)]
    assert told == [200, 200, 503] and store.inbox.waiting()[0] == 2


def test_keys_still_guard_everything_else(client: TestClient) -> None:
    assert client.get("/v1/models").status_code == 401
    assert client.get(f"/desk/{SHOP}/channels/chat/more").status_code == 401
    assert json.loads(client.post(f"/desk/{SHOP}/channels/chat", content=b"", headers=SECRET).text)["error"]["code"] == "invalid_request"
