"""Requests that a server stores: sent one after the other through a gateway in front of a large model that knows every answer."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from tests.local_server import serving

MODEL = "big"
_STARTS_WITHIN = 120.0


def capture(pairs: Sequence[tuple[str, str]], folder: Path, environment: dict[str, str]) -> None:
    """Have every text asked of the large model, and stored with its answer.

    Args:
        pairs: texts and what the large model answers.
        folder: for the server's orders and log.
        environment: of the server: its home, and where it stores.
    """
    with serving(_large_model(dict(pairs))) as upstream, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        command = ["serve", "--port", str(port), "--fallback", upstream, "--fallback-model", MODEL, "--capture", "answers"]
        orders = folder / "serve.json"
        orders.write_text(json.dumps([[*command, "--no-access-log"]]), encoding="utf-8")
        script = str(Path(__file__).with_name("seeded.py"))
        with (folder / "serve.log").open("w", encoding="utf-8") as log:
            server = subprocess.Popen([sys.executable, script, str(orders)], cwd=folder, env=environment, stderr=log)
            try:
                _ready(server, f"http://127.0.0.1:{port}/readyz", folder / "serve.log")
                for text, _ in pairs:
                    _ask(f"http://127.0.0.1:{port}/v1/chat/completions", text)
            finally:
                server.send_signal(signal.SIGINT)
                server.wait(60)


def _ready(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=10):
                return
        except urllib.error.URLError:
            time.sleep(0.1)
    raise RuntimeError(f"the server did not start: {log.read_text(encoding='utf-8')[-2000:]}")


def _ask(url: str, text: str) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": text}]}
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        reply.read()


def _large_model(answers: dict[str, str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            message = {"role": "assistant", "content": answers[asked["messages"][-1]["content"]]}
            whole = {
                "id": "c",
                "object": "chat.completion",
                "created": 1,
                "model": MODEL,
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10},
            }
            body = json.dumps(whole).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    return Handler
