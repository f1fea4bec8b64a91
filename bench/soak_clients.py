"""The soak's clients: they ask for answers of all kinds, say what they think of some, and write down how each request ended."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.gateways import BIG
from bench.soak_world import World

PATIENCE = 60.0
"""Seconds without a byte after which a client says that its request hangs."""
THINK = 0.08
"""Seconds that a client waits between two requests, on average."""
AWAY = 0.5
"""Seconds that a client waits after its connection broke."""
FEEDBACK = 0.15
"""How often a client says something of an answer."""
KINDS = {"local": 0.45, "escalated": 0.25, "passing": 0.15, "local, streamed": 0.05, "escalated, streamed": 0.05, "passing, streamed": 0.05}

ANSWERED, TOLD, CUT, HANGS = "answered", "told", "cut", "hangs"
"""A whole answer; an error in words, as a status or as the last event of a stream; a connection that broke; nothing for a minute."""


@dataclass(frozen=True)
class Ended:
    """How one request ended.

    Attributes:
        kind: what was asked for; `feedback` among them.
        line: the line that was asked; empty for the large model.
        text: what it was about.
        began, ended: seconds of `time.monotonic`.
        how: one of the four ends; `detail`: the status, or what broke.
        headers: of the answer, by their names in small letters.
        content, bundle: what the answer says, and whose it says that it is.
    """

    kind: str
    line: str
    text: str
    began: float
    ended: float
    how: str
    detail: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    content: str = ""
    bundle: str = ""


@dataclass
class Log:
    """What all clients wrote down."""

    ends: list[Ended] = field(default_factory=list)
    stored: dict[str, str] = field(default_factory=dict)
    """Of each request that feedback was acknowledged for, the verdict."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, end: Ended) -> None:
        """Write one down."""
        with self.lock:
            self.ends.append(end)


class Client:
    """One client, in a thread of its own: a request, a pause, the next one."""

    def __init__(self, world: World, log: Log, seed: int) -> None:
        self._world, self._log, self._draw = world, log, random.Random(seed)
        self._connection: http.client.HTTPConnection | None = None

    def run(self, over: threading.Event) -> None:
        """Go on until it is over."""
        kinds, weights = list(KINDS), list(KINDS.values())
        while not over.is_set():
            (kind,) = self._draw.choices(kinds, weights)
            end = self._ask(kind)
            self._log.add(end)
            if end.how == ANSWERED and self._draw.random() < FEEDBACK:
                over.wait(self._draw.uniform(0.1, 1.0))  # nobody judges at once; by then it may be stored
                self._judge(end)
            over.wait(AWAY if end.how == CUT else self._draw.expovariate(1 / THINK))
        self._hang_up()

    def _ask(self, kind: str) -> Ended:
        name, _, streamed = kind.partition(", ")
        line = "" if name == "passing" else self._draw.choice(list(self._world.versions))
        text = self._draw.choice(texts(self._world, line, name))
        model = line or BIG
        body = {"model": model, "messages": [{"role": "user", "content": text}], **({"stream": True} if streamed else {})}
        began = time.monotonic()
        try:
            response, raw = self._post("/v1/chat/completions", body)
        except (OSError, http.client.HTTPException) as error:
            return self._broke(kind, line, text, began, error)
        headers = {key.lower(): value for key, value in response.getheaders()}
        now = time.monotonic()
        if response.status != 200:
            return Ended(kind, line, text, began, now, TOLD if _is_error(raw) else CUT, str(response.status), headers)
        how, content, bundle = read_stream(raw) if streamed else read_whole(raw)
        return Ended(kind, line, text, began, now, how, "200", headers, content, bundle)

    def _judge(self, of: Ended) -> None:
        request_id, verdict = of.headers.get("x-request-id", ""), self._draw.choice(("up", "down"))
        began = time.monotonic()
        try:
            response, raw = self._post("/v1/feedback", {"request_id": request_id, "verdict": verdict})
        except (OSError, http.client.HTTPException) as error:
            self._log.add(self._broke("feedback", of.line, of.text, began, error))
            return
        known = response.status == 200
        if known:
            with self._log.lock:
                self._log.stored[request_id] = verdict
        how = ANSWERED if known else TOLD if _is_error(raw) else CUT
        self._log.add(Ended("feedback", of.line, of.text, began, time.monotonic(), how, str(response.status)))

    def _post(self, path: str, body: Mapping[str, Any]) -> tuple[http.client.HTTPResponse, bytes]:
        """The response, read to its end. Raises OSError or HTTPException where it breaks off."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._world.port, timeout=PATIENCE)
        try:
            self._connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
            response = self._connection.getresponse()
            return response, response.read()
        except (OSError, http.client.HTTPException):
            self._hang_up()
            raise

    def _broke(self, kind: str, line: str, text: str, began: float, error: Exception) -> Ended:
        how = HANGS if isinstance(error, TimeoutError) else CUT
        return Ended(kind, line, text, began, time.monotonic(), how, type(error).__name__)

    def _hang_up(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.close()
        self._connection = None


def texts(world: World, line: str, name: str) -> list[str]:
    """The texts of a kind: those that every version of the line answers alone, those that none does, or any."""
    if not line:
        return list(world.versions[next(iter(world.versions))][0].made.answers)
    sides = [set(version.made.local if name == "local" else version.made.escalated) for version in world.versions[line]]
    return sorted(set.intersection(*sides))


def read_whole(raw: bytes) -> tuple[str, str, str]:
    """How a chat completion ended, what it says, and whose it says that it is."""
    try:
        body = json.loads(raw)
        return ANSWERED, str(body["choices"][0]["message"]["content"]), str(body.get("system_fingerprint") or "")
    except (ValueError, KeyError, IndexError, TypeError):
        return CUT, "", ""


def read_stream(raw: bytes) -> tuple[str, str, str]:
    """The same of a stream of events: whole where it says that it is done, told where its last event is an error, else cut."""
    said, bundle, how = [], "", CUT
    for event in raw.decode("utf-8", "replace").split("\n\n"):
        data = event.strip().removeprefix("data: ")
        if data == "[DONE]":
            how = ANSWERED
            continue
        try:
            body = json.loads(data)
        except ValueError:
            continue
        if "error" in body:
            how = TOLD
        for choice in body.get("choices", ()):
            said.append(str(choice.get("delta", {}).get("content") or ""))
        bundle = str(body.get("system_fingerprint") or bundle)
    return how, "".join(said), bundle


def _is_error(raw: bytes) -> bool:
    """Whether it is OpenAI's shape of an error, with words in it."""
    try:
        return bool(json.loads(raw)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return False
