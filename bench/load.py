"""A closed loop of HTTP clients against a server on this machine: each sends, waits for the answer, sends again.

One thread and raw sockets, so that the clients take as little as can be of the cores that the server needs. Bounded in time and count.

    python -m bench.load http://127.0.0.1:8080 --face classify --texts texts.txt --clients 32 --seconds 8
"""

from __future__ import annotations

import argparse
import json
import math
import selectors
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MOST_ERRORS = 100
MOST_SECONDS = 120.0
MOST_REQUESTS = 1_000_000
STUCK_SECONDS = 30.0


def body(face: str, text: str, model: str = "") -> tuple[str, dict[str, Any]]:
    """Path and JSON body of one question: `classify` and `chat` are smidgen's, `peer` the transformers server's."""
    if face == "classify":
        return "/v1/classify", {"input": text, "top_k": 1}
    if face == "chat":
        return "/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": text}]}
    return "/classify", {"text": text}


def request(face: str, text: str, host: str, model: str = "") -> bytes:
    """The bytes of one request."""
    path, content = body(face, text, model)
    payload = json.dumps(content).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
    return head.encode() + payload


@dataclass(eq=False)
class Client:
    """One connection and where it is in its answer."""

    address: tuple[str, int]
    number: int
    connection: socket.socket
    buffer: bytearray = field(default_factory=bytearray)
    sent_at: float = 0.0

    def send(self, data: bytes) -> None:
        """Send a request; it is small enough to fit a socket's buffer."""
        self.buffer.clear()
        self.sent_at = time.perf_counter()
        self.connection.sendall(data)

    def receive(self) -> int | None:
        """Read what has come. The status once the whole answer is here; None before. Raises OSError where the server hung up."""
        data = self.connection.recv(65536)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(self.buffer[:end]).lower()
        place = head.find(b"content-length:")
        if place >= 0:
            length = int(head[place + 15 :].split(b"\r\n", 1)[0])
            whole = len(self.buffer) >= end + 4 + length
        elif b"\ntransfer-encoding: chunked" in head:
            whole = self.buffer.endswith(b"\r\n0\r\n\r\n")  # no text of a JSON body or an event has such an end
        else:
            raise ConnectionAbortedError("an answer without a length")
        return int(head[9:12]) if whole else None


@dataclass(frozen=True)
class Load:
    """What came of a load: milliseconds of the good answers, answers a second, and what went wrong by kind."""

    clients: int
    answered: int
    seconds: float
    p50: float
    p99: float
    mean: float
    rate: float
    errors: dict[str, int]

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        return dict(self.__dict__)


def loopback(url: str) -> tuple[str, int]:
    """The host and port of a URL. Raises ValueError for an address that is not this machine's."""
    parts = urlsplit(url)
    if parts.hostname not in LOOPBACK or not parts.port:
        raise ValueError(f"only a server on this machine is put under load, not {url}")
    return str(parts.hostname), int(parts.port)


def load(
    url: str,
    face: str,
    texts: Sequence[str],
    *,
    clients: int,
    seconds: float,
    requests: int = MOST_REQUESTS,
    warm: float = 1.0,
    model: str = "",
) -> Load:
    """Ask for `seconds`, or until `requests` are answered; what is answered in the first `warm` seconds is not counted.

    Raises ValueError for an address that is not this machine's.
    """
    address = loopback(url)
    seconds, requests = min(seconds, MOST_SECONDS), min(requests, MOST_REQUESTS)
    asked = [request(face, text, "{}:{}".format(*address), model) for text in texts]
    took: list[float] = []
    errors: dict[str, int] = {}
    with selectors.DefaultSelector() as selector:
        sent = 0

        def ask(client: Client) -> None:
            nonlocal sent
            client.send(asked[sent % len(asked)])
            sent += 1

        def renew(client: Client, why: str) -> None:
            errors[why] = errors.get(why, 0) + 1
            selector.unregister(client.connection)
            client.connection.close()
            if sum(errors.values()) < MOST_ERRORS:
                join(client.number)

        def join(number: int) -> None:
            client = Client(address, number, socket.create_connection(address, timeout=STUCK_SECONDS))
            client.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(client.connection, selectors.EVENT_READ, client)
            ask(client)

        for number in range(clients):
            join(number)
        counted = time.perf_counter() + warm
        end = counted + seconds
        while (now := time.perf_counter()) < end and len(took) < requests and sum(errors.values()) < MOST_ERRORS:
            ready = selector.select(timeout=min(1.0, end - now))
            if not ready and any(now - key.data.sent_at > STUCK_SECONDS for key in selector.get_map().values()):
                errors["no answer"] = errors.get("no answer", 0) + 1
                break
            for key, _ in ready:
                client: Client = key.data
                try:
                    status = client.receive()
                    if status is None:
                        continue
                    now = time.perf_counter()
                    if status != 200:
                        errors[str(status)] = errors.get(str(status), 0) + 1
                    elif now >= counted:
                        took.append((now - client.sent_at) * 1e3)
                    ask(client)
                except OSError as error:
                    renew(client, type(error).__name__)
        spent = max(1e-9, time.perf_counter() - counted)
        for key in list(selector.get_map().values()):
            key.data.connection.close()
    took.sort()
    return Load(
        clients=clients,
        answered=len(took),
        seconds=spent,
        p50=percentile(took, 0.50),
        p99=percentile(took, 0.99),
        mean=sum(took) / len(took) if took else float("nan"),
        rate=len(took) / spent if took else 0.0,
        errors=errors,
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which a share of sorted values lies, by nearest rank; NaN of none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else float("nan")


def main() -> int:
    """Print the result as one JSON object. Exit code 1 where nothing was answered."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--face", choices=("classify", "chat", "peer"), default="classify")
    parser.add_argument("--texts", type=Path, required=True, help="texts, one a line; asked in turn")
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--requests", type=int, default=MOST_REQUESTS)
    parser.add_argument("--warm", type=float, default=1.0, help="seconds at the start that are not counted")
    parser.add_argument("--model", default="", help="name of the model, for the face chat")
    given = parser.parse_args()
    texts = given.texts.read_text(encoding="utf-8").splitlines()
    bounds = {"clients": given.clients, "seconds": given.seconds, "requests": given.requests, "warm": given.warm}
    result = load(given.url, given.face, texts, **bounds, model=given.model)
    print(json.dumps(result.json()))
    return 0 if result.answered else 1


if __name__ == "__main__":
    sys.exit(main())
