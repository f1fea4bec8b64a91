"""An OpenAI-compatible upstream over real HTTP: answers and fails as it is told, and remembers every byte that it was sent."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.local_server import serving

WHOLE = (
    b'{"id":"chatcmpl-up",  "object":"chat.completion","created":1,"model":"big",'
    b'"choices":[{"index":0,"message":{"role":"assistant","content":"from above"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}'
)
"""An answer with a spelling of its own: what is passed on untouched keeps its two spaces."""


def chunk(text: str) -> bytes:
    """A piece of a streamed chat completion."""
    said = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "big", "choices": [said]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


@dataclass
class Said:
    """One answer. `pieces` are sent one by one as chunks, with `pause` seconds before each but the first; `cut` breaks off after them.
    `hold`: nothing after the first piece is sent before it is set, half a minute at most."""

    status: int = 200
    body: bytes = WHOLE
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    pieces: list[bytes] | None = None
    pause: float = 0.0
    hold: threading.Event | None = None
    wait: float = 0.0
    cut: bool = False


@dataclass
class Seen:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class UpstreamStub:
    """A running one. `script` is taken one a request, first come first served; then `answer` is given."""

    url: str = ""
    script: list[Said] = field(default_factory=list)
    answer: Callable[[Seen], Said] = lambda seen: Said()
    seen: list[Seen] = field(default_factory=list)
    left: threading.Event = field(default_factory=threading.Event)

    @property
    def bodies(self) -> list[Any]:
        """What was posted, as JSON."""
        return [json.loads(seen.body) for seen in self.seen if seen.body]


@contextlib.contextmanager
def upstream_stub() -> Iterator[UpstreamStub]:
    """Serve until the block ends."""
    state = UpstreamStub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _any(self) -> None:
            if "chunked" in self.headers.get("transfer-encoding", ""):
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
            seen = Seen(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            state.seen.append(seen)
            said = state.script.pop(0) if state.script else state.answer(seen)
            time.sleep(said.wait)
            try:
                self._say(said)
            except OSError:
                state.left.set()
                self.close_connection = True

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _any

        def _say(self, said: Said) -> None:
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            if said.pieces is None:
                if "Content-Length" not in said.headers:
                    self.send_header("Content-Length", str(len(said.body) + (10 if said.cut else 0)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(said.body)
            else:
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for number, piece in enumerate(said.pieces):
                    time.sleep(said.pause if number else 0)
                    if number and said.hold is not None:
                        said.hold.wait(30)
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    self.wfile.flush()
                if not said.cut:
                    self.wfile.write(b"0\r\n\r\n")
            self.close_connection = self.close_connection or said.cut

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing is printed."""

    with serving(Handler) as state.url:
        yield state
