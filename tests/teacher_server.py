"""A small OpenAI-compatible server over real HTTP: answers as a function tells it, fails as it is told, and remembers what it was sent."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from tests.local_server import serving

from smidgen.flows.build import teaching

Messages = list[dict[str, str]]


@dataclass
class Fault:
    """One request's failure: a status with headers and a body, or a wait before the answer."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"error": {"message": "not now"}}'
    wait: float = 0.0


@dataclass
class TeacherServer:
    """A running server.

    Attributes:
        url: its base.
        answer: from messages to the text of the answer.
        faults: taken one a request, first come first served, before any answer is given.
        seen: the bodies of all requests that were answered; `refused` those that were not.
        keys: the Authorization headers that came.
        times: when each request came, in monotonic seconds.
        usage: whether answers say what they took.
        schemas: whether a request with a `response_format` is taken; where not, it is answered with 400.
        refuses: from a request's body to the failure that it is answered with; None where it is taken.
        whole: from an answer to what a completion says of it: the message, why it ended, and more of what it took.
    """

    url: str = ""
    answer: Callable[[Messages], str] = lambda messages: "yes"
    faults: list[Fault] = field(default_factory=list)
    seen: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    times: list[float] = field(default_factory=list)
    usage: bool = True
    schemas: bool = True
    refuses: Callable[[dict[str, Any]], Fault | None] = lambda body: None
    whole: Callable[[str], tuple[dict[str, Any], str, dict[str, Any]]] = lambda text: ({"content": text}, "stop", {})
    most_at_once: int = 0
    running: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def asked(self) -> list[str]:
        """The last message of each answered request."""
        return [body["messages"][-1]["content"] for body in self.seen]

    def tokens(self) -> int:
        """What it would bill for all answers."""
        return sum(billed["prompt_tokens"] + billed["completion_tokens"] for billed in self.bills)

    bills: list[dict[str, int]] = field(default_factory=list)


@contextlib.contextmanager
def teacher_server(answer: Callable[[Messages], str] | None = None) -> Iterator[TeacherServer]:
    """Serve until the block ends."""
    state = TeacherServer()
    if answer is not None:
        state.answer = answer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body are written apart

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with state.lock:
                state.times.append(time.monotonic())
                state.keys.add(self.headers.get("authorization"))
                fault = state.faults.pop(0) if state.faults else None
                if "response_format" in body and not state.schemas:
                    fault = Fault(400, body=b'{"error": {"message": "response_format is not known here"}}')
                fault = fault or state.refuses(body)
                state.running += 1
                state.most_at_once = max(state.most_at_once, state.running)
            try:
                if fault is not None and fault.wait:
                    time.sleep(fault.wait)
                if fault is not None and fault.status != 200:
                    with state.lock:
                        state.refused.append(body)
                    self._send(fault.status, fault.body, fault.headers)
                    return
                text = state.answer(body["messages"])
                used = {"prompt_tokens": sum(len(m["content"]) // 4 + 4 for m in body["messages"]), "completion_tokens": len(text) // 4 + 1}
                message, end, more = state.whole(text)
                whole: dict[str, Any] = {"choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": end}]}
                if state.usage:
                    whole["usage"] = {**used, **more}
                with state.lock:
                    state.seen.append(body)
                    state.bills.append(used)
                self._send(200, json.dumps(whole).encode(), {})
            finally:
                with state.lock:
                    state.running -= 1

        def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            with contextlib.suppress(OSError):  # a client that has given up
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Nothing is printed."""

    with serving(Handler) as state.url:
        yield state


@pytest.fixture(autouse=True)
def words_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No base is needed: nearness is by words. Answers of one test are not the next one's."""
    monkeypatch.setattr(teaching, "embedder", lambda base=None, threads=None: None)
    own = tmp_path / "own"
    own.mkdir()
    (own / "bases").symlink_to(Path(os.environ["SMIDGEN_HOME"]) / "bases", target_is_directory=True)
    monkeypatch.setenv("SMIDGEN_HOME", str(own))
