"""A vendor's API for tests: it answers as a test says, and keeps what it was asked."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.local_server import serving

Answer = tuple[int, Mapping[str, str], Any]


@dataclass
class Asked:
    """A request that the vendor got."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any


@dataclass
class Vendor:
    """What the vendor was asked, and how it answers. `silent`: seconds that it waits before it answers."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    answer: Callable[[Asked], Answer] = lambda asked: (200, {}, {"ok": True})
    silent: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextlib.contextmanager
def vendor(answer: Callable[[Asked], Answer] | None = None) -> Iterator[Vendor]:
    """A vendor on a free port of this machine."""
    mine = Vendor()
    if answer is not None:
        mine.answer = answer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # a client that was killed
                super().handle()

        def handle_any(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                body = json.loads(content) if content else None
            except ValueError:
                body = content
            if len(content) < int(self.headers.get("content-length", 0)):
                return  # the client was killed before it had sent all
            one = Asked(self.command, self.path, headers, body)
            with mine.lock:
                mine.asked.append(one)
                status, more, told = mine.answer(one)
                silent = mine.silent
            if silent:
                time.sleep(silent)
            out = told if isinstance(told, bytes) else json.dumps(told).encode()
            with contextlib.suppress(OSError):
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(out)))
                self.end_headers()
                self.wfile.write(out)

        do_GET = do_POST = handle_any

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as url:
        mine.url = url.removesuffix("/v1")
        yield mine
