"""An open loop of HTTP clients: a request is sent when it is due, whether or not those before it were answered.

A closed loop waits for a slow server, and so asks it less when it is slow. Here a request's time runs from the moment when it was due, so
that one which had to wait for its turn has waited. One thread and raw sockets. Bounded in time and count.

    python -m bench.pacing http://127.0.0.1:8080 --face chat --model big --texts texts.txt --rate 100 --seconds 15
"""

from __future__ import annotations

import argparse
import json
import random
import selectors
import socket
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.load import MOST_ERRORS, MOST_SECONDS, STUCK_SECONDS, Client, loopback, percentile, request

MOST_RATE = 2000.0
MOST_CONNECTIONS = 500
"""A `select` takes fewer than 1,024 files; unlike `epoll`, it waits for less than a millisecond where that is asked."""


@dataclass(frozen=True)
class Paced:
    """What came of it: milliseconds from when requests were due to the end of their answers, `late` of that until they were sent (at the
    99th of a hundred: how well the clients kept time), and what went wrong by kind."""

    rate: float
    answered: int
    seconds: float
    p50: float
    p99: float
    mean: float
    late: float
    at_once: int
    errors: dict[str, int]

    def json(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


def moments(rate: float, seconds: float, seed: int = 0) -> list[float]:
    """When requests are due: one at a random moment of each `1 / rate` seconds, so that they fall on no beat of the server's."""
    draw = random.Random(seed)
    return [(number + draw.random()) / rate for number in range(int(rate * seconds))]


class Pacer:
    """The connections, and what came of the requests sent over them."""

    def __init__(self, address: tuple[str, int], warm: float) -> None:
        self.took: list[float] = []
        self.late: list[float] = []
        self.errors: Counter[str] = Counter()
        self.at_once = 0
        self.busy = 0
        self._address, self._warm = address, warm
        self._idle: list[Client] = []
        self._due: dict[Client, tuple[float, bool]] = {}
        self._selector = selectors.SelectSelector()

    @property
    def full(self) -> bool:
        """Whether no other request can be sent now."""
        return self.busy >= MOST_CONNECTIONS

    def send(self, data: bytes, due: float, counted: bool) -> None:
        """Send a request that was due at this moment of the clock."""
        try:
            client = self._idle.pop() if self._idle else self._joined()
        except OSError as error:
            self.errors[type(error).__name__] += 1
            return
        self._due[client] = due, counted
        self.busy += 1
        self.at_once = max(self.at_once, self.busy)
        try:
            client.send(data)
            if counted:
                self.late.append((client.sent_at - due) * 1e3)
        except OSError as error:
            self._lost(client, error)

    def wait(self, seconds: float) -> None:
        """Take in what comes, for so long at most."""
        for key, _ in self._selector.select(timeout=max(0.0, seconds)):
            client: Client = key.data
            try:
                status = client.receive()
            except OSError as error:
                self._lost(client, error)
                continue
            if status is not None:
                self._answered(client, status)

    def close(self) -> None:
        """Hang up. What is not answered by now is an error."""
        if self.busy:
            self.errors["no answer"] += self.busy
        for key in list(self._selector.get_map().values()):
            key.data.connection.close()
        self._selector.close()

    def _answered(self, client: Client, status: int) -> None:
        due, counted = self._due.pop(client)
        self.busy -= 1
        if status != 200:
            self.errors[str(status)] += 1
        elif counted:
            self.took.append((time.perf_counter() - due) * 1e3)
        self._idle.append(client)

    def _joined(self) -> Client:
        client = Client(self._address, 0, socket.create_connection(self._address, timeout=STUCK_SECONDS))
        client.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(client.connection, selectors.EVENT_READ, client)
        return client

    def _lost(self, client: Client, error: OSError) -> None:
        """A connection that is no more. One that nobody waits at may be closed by the server at any time."""
        self._selector.unregister(client.connection)
        client.connection.close()
        if client in self._idle:
            self._idle.remove(client)
        elif self._due.pop(client, None) is not None:
            self.busy -= 1
            self.errors[type(error).__name__] += 1


def pace(
    url: str, face: str, texts: Sequence[str], *, rate: float, seconds: float, warm: float = 1.0, model: str = "", seed: int = 0
) -> Paced:
    """Ask `rate` times a second for `warm` and then `seconds`; only what was due after `warm` is counted.

    Raises ValueError for an address that is not this machine's.
    """
    address = loopback(url)
    seconds, rate = min(seconds, MOST_SECONDS), min(rate, MOST_RATE)
    asked = [request(face, text, "{}:{}".format(*address), model) for text in texts]
    due = moments(rate, warm + seconds, seed)
    pacer = Pacer(address, warm)
    began = time.perf_counter()
    sent = 0
    try:
        while (sent < len(due) or pacer.busy) and sum(pacer.errors.values()) < MOST_ERRORS:
            now = time.perf_counter() - began
            while sent < len(due) and due[sent] <= now and not pacer.full:
                pacer.send(asked[sent % len(asked)], began + due[sent], due[sent] >= warm)
                sent += 1
                now = time.perf_counter() - began
            if now > warm + seconds + STUCK_SECONDS:
                break
            pacer.wait(due[sent] - now if sent < len(due) and not pacer.full else 0.1)
    finally:
        pacer.close()
    took, late = sorted(pacer.took), sorted(pacer.late)
    return Paced(
        rate=rate,
        answered=len(took),
        seconds=seconds,
        p50=percentile(took, 0.50),
        p99=percentile(took, 0.99),
        mean=sum(took) / len(took) if took else float("nan"),
        late=percentile(late, 0.99),
        at_once=pacer.at_once,
        errors=dict(pacer.errors),
    )


def main() -> int:
    """Print the result as one JSON object. Exit code 1 where nothing was answered."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--face", choices=("classify", "chat", "peer"), default="chat")
    parser.add_argument("--texts", type=Path, required=True, help="texts, one a line; asked in turn")
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--warm", type=float, default=2.0, help="seconds at the start that are not counted")
    parser.add_argument("--model", default="", help="name of the model, for the face chat")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    given = parser.parse_args()
    texts = given.texts.read_text(encoding="utf-8").splitlines()
    bounds = {"rate": given.rate, "seconds": given.seconds, "warm": given.warm}
    result = pace(given.url, given.face, texts, **bounds, model=given.model, seed=given.seed)
    print(json.dumps(result.json()))
    return 0 if result.answered else 1


if __name__ == "__main__":
    sys.exit(main())
