"""Every public route of a desk has a bound on what it takes, and refuses what is beyond it in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.desk.routes.sample_desk import SampleDesk

from smidgen.desk.channels.channel import MOST_BODY
from smidgen.desk.flows.channel_file import open_desk_channels
from smidgen.desk.routes.served_desk import ServedDesk
from smidgen.desk.routes.widget_settings import WidgetSettings
from smidgen.desk.store import inbox
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.server.app import create_app
from smidgen.server.settings import ServeSettings

SHOP = SampleDesk().name
ORIGIN = {"origin": "http://127.0.0.1:8080"}
TELEGRAM = {"x-telegram-bot-api-secret-token": "s3cret"}
PLACES = {"desk": SHOP, "id": "none", "call": "c", "turn": "t", "name": "chat", "version": "v"}


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("TELEGRAM_SECRET", "s3cret")
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "s3cret")
    file = tmp_path / "channels.toml"
    file.write_text('[channels.chat]\nkind = "telegram"\napi = "http://127.0.0.1:1"\n', encoding="utf-8")
    with ConversationStore(f"sqlite:///{tmp_path}/c.db") as store:
        desk = SampleDesk()
        settings = WidgetSettings(calls_a_minute=30, starts_an_hour=5)
        served = ServedDesk(desk, store, settings, open_desk_channels(file, store, desk))
        with TestClient(create_app([], ServeSettings(access_log=False), shown=[served]), base_url="http://127.0.0.1:8080") as mine:
            yield mine


def routes(client: TestClient) -> list[tuple[str, str]]:
    """The method and path of each public route of a desk."""
    found, waiting = set[tuple[str, str]](), [client.app]
    while waiting:
        one: Any = waiting.pop()
        waiting += list(getattr(one, "routes", None) or ())
        waiting += [
            inner
            for name in ("app", "router", "original_router")
            if (inner := getattr(one, name, None)) is not None and hasattr(inner, "routes")
        ]
        if getattr(one, "path", "").startswith("/desk/"):
            found |= {(method, one.path) for method in one.methods if method not in ("HEAD", "OPTIONS")}
    return sorted(found)


def test_each_route_refuses_a_body_that_is_too_long(client: TestClient) -> None:
    tried = 0
    for method, path in routes(client):
        if method == "POST":
            answer = client.post(path.format(**PLACES), content=b'{"text": "' + b"x" * (20 * MOST_BODY), headers={**ORIGIN, **TELEGRAM})
            assert answer.status_code in (400, 404, 413, 422), (path, answer.status_code)
            assert "error" in answer.json() and len(answer.content) < 5_000
            tried += 1
    assert tried == 6


def test_each_call_of_a_visitor_is_counted(client: TestClient) -> None:
    visitors = [one for one in routes(client) if "/conversations" in one[1]]
    for _ in range(40):
        last = client.get(f"/desk/{SHOP}/conversations/none", headers=ORIGIN)
    assert (last.status_code == 429 and "retry" in str(last.json()).lower() + str(last.headers).lower()) or last.status_code == 429
    refused = [client.request(method, path.format(**PLACES), headers=ORIGIN, json=_body(path)).status_code for method, path in visitors]
    assert refused == [429] * len(visitors) and len(visitors) == 6


def _body(path: str) -> dict[str, Any] | None:
    """A body that a route takes."""
    bodies: dict[str, dict[str, Any]] = {
        "messages": {"id": "0" * 32, "text": "hi"}, "{call}": {"yes": True}, "feedback": {"verdict": "up"}, "person": {"email": ""},
        "conversations": {"language": "en"},
    }  # fmt: skip
    return bodies.get(path.rpartition("/")[2])


def test_conversations_and_webhooks_are_bounded_in_number(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MOST_WAITING", 15)
    begun = [client.post(f"/desk/{SHOP}/conversations", json={"language": ""}, headers=ORIGIN).status_code for _ in range(7)]
    assert begun == [200] * 5 + [429] * 2

    def update(number: int) -> dict[str, Any]:
        person = {"id": 7, "is_bot": False}
        return {"update_id": number, "message": {"message_id": number, "chat": {"id": 7, "type": "private"}, "from": person, "text": "hi"}}

    way = f"/desk/{SHOP}/channels/chat"
    sent = [client.post(way, json=update(number), headers=TELEGRAM).status_code for number in range(20)]
    assert sent == [200] * 15 + [503] * 5
