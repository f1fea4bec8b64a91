"""A server that shows the sample desk, and the sample shop's site on a port of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from tests.desk.routes.sample_desk import SampleDesk

from smidgen.desk.routes.sample_site import sample_site
from smidgen.desk.routes.served_desk import ServedDesk
from smidgen.desk.routes.widget_settings import WidgetSettings
from smidgen.desk.store.conversation_store import ConversationStore
from smidgen.server.app import create_app
from smidgen.server.process import config_of, take_port, url_of
from smidgen.server.settings import ListenSettings, ServeSettings


@contextmanager
def serving(app: Any, listen: ListenSettings | None = None, bound: Any = None) -> Iterator[str]:
    """An application on a free port of this machine; yields its URL."""
    socket = bound if bound is not None else take_port(listen or ListenSettings(port=0))
    server = uvicorn.Server(config_of(app, 1.0))
    started = threading.Event()
    startup = server.startup

    async def tell(sockets: Any = None) -> None:
        await startup(sockets)
        started.set()

    server.startup = tell  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run, args=([socket],), daemon=True)
    thread.start()
    assert started.wait(20)
    try:
        yield url_of(socket)
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@dataclass
class Visitor:
    """A visitor's frame, without a browser."""

    client: httpx.Client
    desk: str
    id: str = ""
    token: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"origin": str(self.client.base_url).rstrip("/"), "x-smidgen-conversation": self.token}

    @property
    def path(self) -> str:
        return f"/desk/{self.desk}/conversations"

    def begin(self, **body: Any) -> Visitor:
        told = self.client.post(self.path, json=body, headers=self.headers)
        assert told.status_code == 200, told.text
        self.id, self.token = told.json()["id"], told.json()["token"]
        return self

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        sent = {**self.headers, "content-type": "application/json", **headers}
        return self.client.post(f"{self.path}/{self.id}{path}", content=json.dumps(body), headers=sent)

    def say(self, text: str, message: str = "0" * 32) -> list[tuple[str, Any]]:
        return events_of(self.post("/messages", {"id": message, "text": text}))

    def read(self, **query: Any) -> dict[str, Any]:
        told = self.client.get(f"{self.path}/{self.id}", params=query, headers=self.headers)
        assert told.status_code == 200, told.text
        found: dict[str, Any] = told.json()
        return found


def events_of(response: httpx.Response) -> list[tuple[str, Any]]:
    """The events of a stream: names and values."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    found = []
    for event in response.text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in event.splitlines() if not line.startswith(":"))
        if "event" in lines:
            found.append((lines["event"], httpx.Response(200, text=lines["data"]).json()))
    return found


@dataclass
class ShownDesk:
    """A server that shows a desk."""

    url: str
    desk: SampleDesk
    store: ConversationStore
    client: httpx.Client

    def visitor(self) -> Visitor:
        return Visitor(self.client, self.desk.name)


@contextmanager
def shown_desk(folder: Path, desk: SampleDesk | None = None, server: Any = None, **settings: Any) -> Iterator[ShownDesk]:
    """A server with a desk and nothing else. `settings` are the widget's, `server` the server's."""
    shown = desk or SampleDesk()
    with ConversationStore(f"sqlite:///{folder / 'conversations.db'}") as store:
        served = ServedDesk(shown, store, WidgetSettings(**settings))
        chosen = ServeSettings(**{"port": 0, "access_log": False, "account": False, **(server or {})})
        with serving(create_app([], chosen, shown=[served]), chosen.listen) as url, httpx.Client(base_url=url, timeout=30) as client:
            yield ShownDesk(url, shown, store, client)


@contextmanager
def shop(folder: Path, desk: SampleDesk | None = None, **settings: Any) -> Iterator[tuple[ShownDesk, str]]:
    """A desk, and the sample shop that has it on its pages, on two ports; yields the desk and the shop's URL."""
    bound = take_port(ListenSettings(port=0))
    site = url_of(bound)
    settings = {"name": "Fern & Hearth", "colour": "#2f5d46", "site": f"{site}/", "image_hosts": [site], "origins": [site], **settings}
    with shown_desk(folder, desk, **settings) as shown, serving(sample_site(f"{shown.url}/desk/widget.js", shown.desk.name), bound=bound):
        yield shown, site
