"""The desk of the model's process: who waits in line there, and who has left it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from smidgen.engines.llama_worker import RequestQueue


class Busy:
    """A server that answers when it is let, and notes the slots that it was asked in."""

    def __init__(self) -> None:
        self.let, self.slots = threading.Semaphore(0), list[int]()

    def handle_completions(self, body: str, take: Callable[[str], bool]) -> None:
        self.slots.append(json.loads(body)["id_slot"])
        assert self.let.acquire(timeout=20)
        take(json.dumps({"choices": [{"text": "Hi", "finish_reason": "length"}]}))


class Said:
    """What the process says."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def say(self, message: dict[str, Any]) -> None:
        self.messages.append(message)

    def ended(self) -> list[int]:
        return [message["id"] for message in self.messages if "end" in message]


def test_one_that_is_cancelled_in_line_is_never_asked_and_takes_no_slot_of_another() -> None:
    server, said = Busy(), Said()
    desk = RequestQueue(server, said, slots=1, lines=2)  # type: ignore[arg-type]

    def write(number: int, adapter: int) -> None:
        scales = [{"id": at, "scale": float(at == adapter)} for at in range(3)]
        desk._take({"id": number, "do": "write", "body": {"lora": scales}})

    def until(wanted: list[int]) -> None:
        latest = time.monotonic() + 20
        while said.ended() != wanted and time.monotonic() < latest:
            time.sleep(0.005)
        assert said.ended() == wanted

    for number, adapter in ((1, 0), (2, 1), (3, 2), (4, 0), (5, 1)):
        write(number, adapter)
    desk._take({"do": "cancel", "id": 3})
    for _ in range(4):
        server.let.release()
    until([1, 2, 4, 5])
    assert server.slots == [0, 1, 0, 1], "each adapter came back to what it had read"
    assert [message["id"] for message in said.messages if message["id"] == 3] == []
