"""Turns at slow work: in rotation by client, never all of them to one, and none to who has stopped waiting."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from smidgen.core.errors import EngineError
from smidgen.server.gateway.privacy_guard import FairTurn, FairTurns, WaitingPlaces

LATER = 60.0


def soon() -> float:
    return time.monotonic() + LATER


class Worker(threading.Thread):
    """Takes a turn, says so, and holds it until it is told to go on; `parts` times."""

    def __init__(self, turns: FairTurns, name: str, log: list[str], parts: int = 1) -> None:
        super().__init__(daemon=True)
        self._turns, self._client, self._log, self._parts = turns, name, log, parts
        self.go = threading.Semaphore(0)
        self.entered = threading.Event()

    def run(self) -> None:
        turn = FairTurn(self._turns, self._client, soon())
        with turn.held():
            for part in range(self._parts):
                if part:
                    turn()
                self._log.append(self._client)
                self.entered.set()
                assert self.go.acquire(timeout=LATER)


def waiting(turns: FairTurns, count: int) -> None:
    """Wait until so many stand in the queues."""
    until = soon()
    while sum(map(len, turns._waiting.values())) != count:
        assert time.monotonic() < until
        time.sleep(0.001)


def test_clients_take_turns_however_much_each_asks_for() -> None:
    turns, log = FairTurns(1), []
    workers = [Worker(turns, "greedy", log) for _ in range(4)] + [Worker(turns, name, log) for name in ("b", "c")]
    for number, worker in enumerate(workers):
        worker.start()
        if number == 0:
            assert worker.entered.wait(LATER)
        else:
            waiting(turns, number)
    for worker in workers:
        worker.go.release()
    for worker in workers:
        worker.join(LATER)
    assert sorted(log) == ["b", "c", *["greedy"] * 4] and log[0] == "greedy" and log.index("c") <= 3, log


def test_long_work_lets_others_go_first_between_its_parts() -> None:
    turns, log = FairTurns(1), []
    long, short = Worker(turns, "long", log, parts=3), Worker(turns, "short", log)
    long.start()
    assert long.entered.wait(LATER)
    short.start()
    waiting(turns, 1)
    long.go.release(3)
    short.go.release()
    long.join(LATER)
    short.join(LATER)
    assert log == ["long", "short", "long", "long"]


def test_one_client_never_holds_all_turns() -> None:
    turns, log = FairTurns(4), []
    greedy = [Worker(turns, "greedy", log) for _ in range(3)]
    for worker in greedy:
        worker.start()
    waiting(turns, 1)
    other = Worker(turns, "other", log)
    other.start()
    assert other.entered.wait(LATER), "beside the two of the other client"
    assert log == ["greedy", "greedy", "other"]
    for worker in (*greedy, other):
        worker.go.release()
        worker.join(LATER)
    assert log == ["greedy", "greedy", "other", "greedy"] and turns._running.total() == 0


def test_who_waits_too_long_gets_none_and_takes_none() -> None:
    turns, log = FairTurns(1), []
    holder = Worker(turns, "a", log, parts=2)
    holder.start()
    assert holder.entered.wait(LATER)
    with pytest.raises(EngineError, match="not found in time"), FairTurn(turns, "b", time.monotonic() + 0.01).held():
        raise AssertionError("it has no turn")
    assert not turns._waiting
    holder.go.release(2)
    holder.join(LATER)
    turn = FairTurn(turns, "b", soon())
    with turn.held():
        turn()
        turn.over = True
        with pytest.raises(EngineError):
            turn()
    assert turns._running.total() == 0


def test_a_clients_requests_wait_in_the_loop_and_leave_nothing_behind() -> None:
    async def run() -> list[int]:
        places, together, most = WaitingPlaces(2), {"a": 0, "b": 0}, []

        async def one(client: str) -> None:
            async with places.place(client):
                together[client] += 1
                most.append(max(together.values()))
                await asyncio.sleep(0.001)
                together[client] -= 1

        await asyncio.gather(*(one(client) for client in "aaaaaabb"))
        given_up = asyncio.create_task(one("a"))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        assert places._semaphores == {}
        return most

    assert max(asyncio.run(run())) == 2
