"""Connections to MCP servers, kept between calls: few, closed when they are idle, on an error, and at the end.

Each lives in a task of one event loop, which has a thread of its own: a caller may be in an event loop already.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import json
import os
import threading
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from smidgen.core.errors import InputError, MissingExtra
from smidgen.machine.addresses import on_this_machine
from smidgen.tools.definition import McpTarget
from smidgen.tools.environment import expanded
from smidgen.tools.http_calls import OutcomeUnknown

MOST_SECONDS = 15.0
MOST_SESSIONS = 8
IDLE_SECONDS = 300.0
_T = TypeVar("_T")


class NoMcpAnswer(InputError):
    """An MCP server gave no answer."""


class McpSessions:
    """The kept connections. Safe for several threads.

    Args:
        most: most of them; the one that rests longest is closed for another.
        idle: seconds after which one that rests is closed.
    """

    def __init__(self, most: int = MOST_SESSIONS, idle: float = IDLE_SECONDS) -> None:
        self._most, self._idle = most, idle
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._kept: OrderedDict[str, _Session] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, target: McpTarget, environment: Mapping[str, str], work: Callable[[Any], Awaitable[_T]], again: Callable[[], bool]) -> _T:
        """Run work with a client that is connected to a server; returns its result.

        `again`: whether work that failed may be done again, by a fresh connection: a kept one may have ended unseen.

        Raises NoMcpAnswer if the server cannot be asked, and what the work raises.
        """
        try:
            import mcp  # noqa: F401
        except ModuleNotFoundError:
            raise MissingExtra("mcp", "desk") from None
        future = asyncio.run_coroutine_threadsafe(self._worked(target, environment, work, again), self._running())
        try:
            return future.result(2 * MOST_SECONDS + 5)
        except (InputError, OutcomeUnknown):
            raise
        except _faults() as error:
            future.cancel()
            name = type(_first(error)).__name__
            raise NoMcpAnswer("tools.mcp_server_cannot_be_asked", value=_shown(target), name=name) from None

    def close(self) -> None:
        """Close all connections, and end the thread. A later call opens them again."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        with contextlib.suppress(TimeoutError, concurrent.futures.TimeoutError):
            asyncio.run_coroutine_threadsafe(self._close_all(), loop).result(MOST_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(MOST_SECONDS)
        if not thread.is_alive():
            loop.close()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="mcp sessions", daemon=True)
                self._thread.start()
            return self._loop

    # In the loop.

    async def _worked(
        self, target: McpTarget, environment: Mapping[str, str], work: Callable[[Any], Awaitable[_T]], again: Callable[[], bool]
    ) -> _T:
        key = _key(target, environment)
        kept = key in self._kept
        try:
            return await self._once(key, target, environment, work)
        except (InputError, OutcomeUnknown):
            raise
        except _faults():
            task = asyncio.current_task()
            if not kept or not again() or (task is not None and task.cancelling()):
                raise
        return await self._once(key, target, environment, work)

    async def _once(self, key: str, target: McpTarget, environment: Mapping[str, str], work: Callable[[Any], Awaitable[_T]]) -> _T:
        session = self._kept.get(key)
        if session is None:
            session = self._kept[key] = _Session(self._idle)
            task = session.begin(target, environment, lambda: self._forget(key, session))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._kept.move_to_end(key)
        resting = [name for name, one in self._kept.items() if not one.busy and one is not session]
        for name in resting[: max(0, len(self._kept) - self._most)]:
            self._end(name, self._kept[name])
        session.busy += 1
        try:
            async with asyncio.timeout(MOST_SECONDS):
                return await work(await asyncio.shield(session.client))
        except (InputError, OutcomeUnknown):
            raise
        except _faults():
            self._end(key, session)
            raise
        finally:
            session.busy -= 1
            session.used = asyncio.get_running_loop().time()

    def _end(self, key: str, session: _Session) -> None:
        self._forget(key, session)
        session.ending.set()

    def _forget(self, key: str, session: _Session) -> None:
        if self._kept.get(key) is session:
            del self._kept[key]

    async def _close_all(self) -> None:
        for key, session in list(self._kept.items()):
            self._end(key, session)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=MOST_SECONDS / 2)


class _Session:
    """A connection: a task that opens it, and closes it once `ending` is set or it has rested for long."""

    def __init__(self, idle: float) -> None:
        loop = asyncio.get_running_loop()
        self.client: asyncio.Future[Any] = loop.create_future()
        self.ending = asyncio.Event()
        self.busy, self.used = 0, loop.time()
        self._idle = idle

    def begin(self, target: McpTarget, environment: Mapping[str, str], ended: Callable[[], None]) -> asyncio.Task[None]:
        """Open it, in a task; `ended` is called when it is closed, or closes."""
        return asyncio.create_task(self._live(target, environment, ended))

    async def _live(self, target: McpTarget, environment: Mapping[str, str], ended: Callable[[], None]) -> None:
        try:
            async with _client(target, environment) as client:
                self.client.set_result(client)
                while not self.ending.is_set():
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self.ending.wait(), self._idle)
                    if not self.busy and asyncio.get_running_loop().time() - self.used >= self._idle:
                        break
                ended()  # no call may begin with it while it closes
        except InputError as error:
            self._failed(error)
        except _faults() as error:
            self._failed(_first(error))
        finally:
            ended()
            self._failed(ConnectionError("the connection is closed"))

    def _failed(self, error: BaseException) -> None:
        """Tell whoever waits for the client. A connection that fails later is only gone: its calls fail by themselves."""
        if not self.client.done():
            self.client.set_exception(error)
            self.client.exception()  # nobody may be waiting any more


def _key(target: McpTarget, environment: Mapping[str, str]) -> str:
    """Tells servers apart: their address with all secrets filled in."""
    told = [*target.command, target.plan, target.url, *target.headers.values(), *target.env.values()]
    names = [*target.headers, *target.env]
    return json.dumps([names, [expanded(text, environment) for text in told], target.folder])


def _faults() -> tuple[type[BaseException], ...]:
    """The errors by which a client says that a server gave no answer."""
    import anyio
    import httpx2
    from mcp import MCPError

    gone = (asyncio.CancelledError, concurrent.futures.CancelledError, BaseExceptionGroup)
    broken = (httpx2.HTTPError, anyio.ClosedResourceError, anyio.BrokenResourceError, anyio.EndOfStream)
    return (MCPError, OSError, TimeoutError, ValueError, RuntimeError, *broken, *gone)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _shown(target: McpTarget) -> str:
    return target.url or target.plan or Path(target.command[0]).name


@contextlib.asynccontextmanager
async def _client(target: McpTarget, environment: Mapping[str, str]) -> AsyncIterator[Any]:
    """A client that answers no question of the server: no sampling, no roots, no elicitation."""
    from mcp import Client, StdioServerParameters, stdio_client

    if target.started:
        command = [expanded(part, environment) for part in target.started]
        env = {name: expanded(text, environment) for name, text in target.env.items()}
        if target.plan:  # always this program: no variable of the tool file may put another in its place
            env = {"PYTHONPATH": str(Path(__file__).parents[2])}
        parameters = StdioServerParameters(command=command[0], args=command[1:], env=env, cwd=target.folder)
        with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123 (a stream, not a file)
            async with Client(stdio_client(parameters, errlog=nowhere), read_timeout_seconds=MOST_SECONDS) as client:
                yield client
        return
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    url = expanded(target.url, environment)
    parts = httpx2.URL(url)
    if parts.userinfo or not (parts.scheme == "https" or (parts.scheme == "http" and on_this_machine(parts.host))):
        raise InputError("tools.mcp_server_address_must_be_https", value=parts.scheme)
    headers = {name: expanded(text, environment) for name, text in target.headers.items()}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=MOST_SECONDS, trust_env=False) as http,
        Client(streamable_http_client(url, http_client=http), read_timeout_seconds=MOST_SECONDS) as client,
    ):
        yield client
