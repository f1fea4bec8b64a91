"""Texts that are written side by side are read side by side: sources that wait for one another, without a model."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from smidgen.core.errors import RequestError
from smidgen.core.progress import Cancelled, current_cancellation
from smidgen.core.replies import Reply
from smidgen.server.models import GenerationQueue, merged_replies


class Turns:
    """Two sources that write in turn: neither gives its next piece before the other has given its own."""

    def __init__(self, pieces: int) -> None:
        self._pieces = pieces
        self._gates = [threading.Event(), threading.Event()]
        self._gates[0].set()
        self.ended = [0, 0]

    def source(self, number: int) -> Iterator[Reply]:
        try:
            for piece in range(self._pieces):
                assert self._gates[number].wait(10)
                self._gates[number].clear()
                yield Reply(f"{number}:{piece}", 1.0, final=piece == self._pieces - 1)
                self._gates[1 - number].set()
        finally:
            self.ended[number] += 1
            self._gates[1 - number].set()


def test_pieces_come_as_they_are_written() -> None:
    async def read() -> list[tuple[int, str]]:
        turns = Turns(6)
        generation_queue = GenerationQueue("writer", 2, 8)
        generations = generation_queue.begin([lambda: turns.source(0), lambda: turns.source(1)], 10)
        found = [(place, reply.output) async for place, reply in merged_replies(generations)]
        assert generation_queue.depth == 0
        generation_queue.close()
        return found

    found = asyncio.run(read())
    for place in (0, 1):
        assert [output for at, output in found if at == place] == [f"{place}:{piece}" for piece in range(6)]
    outputs = [output for _, output in found]
    # Of two that are there at once either may come first, but none waits for the end of the other.
    assert all(outputs.index(f"1:{piece}") < outputs.index(f"0:{piece + 3}") for piece in range(3))


def test_who_leaves_ends_them_all() -> None:
    turns = Turns(1000)

    async def leave() -> None:
        generation_queue = GenerationQueue("writer", 2, 8)
        generations = generation_queue.begin([lambda: turns.source(0), lambda: turns.source(1)], 10)
        reading = merged_replies(generations)
        for _ in range(4):
            await anext(reading)
        await reading.aclose()  # type: ignore[attr-defined]
        for generation in generations:
            generation.close()
        assert generation_queue.depth == 0
        await asyncio.to_thread(generation_queue.close)
        assert len(asyncio.all_tasks()) == 1, "nobody waits for what nobody reads"

    asyncio.run(leave())
    assert turns.ended == [1, 1]


def test_what_one_raises_ends_the_others() -> None:
    def failing() -> Iterator[Reply]:
        raise RequestError("it cannot be written", value="this", todo="Ask for another.")
        yield

    turns = Turns(1000)

    async def read() -> None:
        generation_queue = GenerationQueue("writer", 2, 8)
        generations = generation_queue.begin([lambda: turns.source(0), failing], 10)
        with pytest.raises(RequestError, match="it cannot be written"):
            async for _ in merged_replies(generations):
                pass
        for generation in generations:
            generation.close()
        turns._gates[0].set()
        await asyncio.to_thread(generation_queue.close)

    asyncio.run(read())
    assert turns.ended == [1, 0]


@pytest.mark.parametrize("late", [False, True])
def test_one_that_has_not_begun_to_come_is_called_off_too(late: bool) -> None:
    """It waits in an engine, or its prompt is read there: no piece comes at which it could be ended."""
    ended, begun = list[str](), threading.Event()

    def waiting() -> Iterator[Reply]:
        errand, heard = current_cancellation(), threading.Event()
        assert errand is not None
        errand.listen(heard.set)
        begun.set()
        assert heard.wait(20)
        ended.append("waiting")
        raise Cancelled
        yield

    def short() -> Iterator[Reply]:
        yield Reply("there", 1.0)

    async def leave() -> None:
        generation_queue = GenerationQueue("writer", 1, 8)
        (first,) = generation_queue.begin([waiting], 0.05 if late else 20)
        (second,) = generation_queue.begin([short], 20)
        await asyncio.to_thread(begun.wait)
        if late:
            with pytest.raises(RequestError, match="not done in time"):
                await anext(first)
        else:
            first.close()
        assert [reply.output async for reply in second] == ["there"], "the place is free"
        assert generation_queue.depth == 0 and [reply async for reply in first] == []
        await asyncio.to_thread(generation_queue.close)

    asyncio.run(leave())
    assert ended == ["waiting"]
