"""The time that a whole body may take to come: one deadline, which moves on with what has come. On a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from starlette.exceptions import HTTPException

from smidgen.server.request import LimitsMiddleware

SCOPE = {"type": "http", "path": "/v1/files", "headers": []}
SECONDS = 30.0


class Jumping(asyncio.SelectorEventLoop):
    """Its clock jumps to what is due next, so that nobody waits, and nothing is late."""

    now = 0.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        due = [timer.when() for timer in self._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        if due and not self._ready:  # type: ignore[attr-defined]
            self.now = max(self.now, min(due))
        super()._run_once()  # type: ignore[misc]


def sent(pieces: Iterable[tuple[float, bytes]], rest: float = 0.0) -> int:
    """How many bytes the application gets of a body whose pieces come after so many seconds each; it rests before each but the first."""
    coming, got = iter(pieces), list[int]()

    async def receive() -> dict[str, Any]:
        wait, piece = next(coming, (0.0, b""))
        await asyncio.sleep(wait)
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            await asyncio.sleep(rest if got else 0.0)
            message = await receive()
            got.append(len(message["body"]))
            more = message["more_body"]

    async def send(message: Any) -> None:
        raise AssertionError("nothing is sent")

    with asyncio.Runner(loop_factory=Jumping) as runner:
        runner.run(LimitsMiddleware(app, max_concurrent=1, max_body=10**9, seconds=SECONDS)(SCOPE, receive, send))
    return sum(got)


@pytest.mark.parametrize(
    "pieces",
    [
        [(29.0, b"x")] * 500,  # each in time
        [(0.0, b"x" * 1_000_000), (31.0, b"x")],  # it stops
        [(0.0, b"x" * 1_000_000), *[(1.0, b"x" * 5_000)] * 1000],  # it begins fast
    ],
)
def test_a_body_that_comes_too_slowly_is_cut_off(pieces: list[tuple[float, bytes]]) -> None:
    with pytest.raises(HTTPException) as caught:
        sent(pieces)
    assert caught.value.status_code == 408


@pytest.mark.parametrize(
    "pieces",
    [
        [(29.0, b"x"), (0.9, b"x")],
        [(1.0, b"x" * 20_000)] * 500,  # longer than the seconds, and no slower than a body may come
        [(0.0, b"x" * 1_000_000), *[(29.0, b"x")] * 4],
    ],
)
def test_a_body_that_comes_fast_enough_comes_whole(pieces: list[tuple[float, bytes]]) -> None:
    assert sent(pieces) == sum(len(piece) for _, piece in pieces)


def test_the_time_in_which_nobody_takes_what_comes_is_not_the_clients() -> None:
    """A body that flows goes on no faster than its upstream takes it."""
    assert sent([(1.0, b"x")] * 20, rest=600.0) == 20
