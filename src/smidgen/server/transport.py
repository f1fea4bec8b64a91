"""How bytes get to an upstream: over connections of its own, or, where the machine's settings name a proxy, by httpx's client.

httpx's client does more for each response than a gateway wants: it looks for cookies to keep, which are other people's, and for what is to
be followed, and takes its time for it. And its pool looks at every connection that it has, twice for each request: with 64 of them that
takes more than all the rest of the gateway.

httpcore guards what it has to do when a request is over against anyio's cancelling, and not against that of asyncio, which is how a client
that hangs up ends a request. Cancelled there, a connection counts as busy for good. So one is used again only where its last request came
to a whole end; any other is closed, by a task that nobody cancels.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from urllib.request import getproxies

import httpx

from smidgen.server.connection import Connection

_SCHEMES = ("http", "https", "all")
_MOST = 100
"""Connections, where nothing is said."""
_CLOSING_SECONDS = 5.0
"""How long closing a connection may take; then it is let go as it is."""


def opened(limits: httpx.Limits, local: bool) -> httpx.AsyncBaseTransport:
    """One for one upstream. `local`: it is this machine, which no proxy is asked for."""
    proxies = {} if local else getproxies()
    if not any(proxies.get(scheme) for scheme in _SCHEMES):
        return Straight(limits, trust_env=not local)
    return _Proxied(limits)


class Straight(httpx.AsyncBaseTransport):
    """Connections to one upstream, as many as are needed at a time; the one that was used last is used next, and those that are not needed
    any more, or whose request did not come to its end, are closed.

    Args:
        limits: how many there may be, and after how many seconds without use one is closed.
        trust_env: whether the environment may name certificates to trust.
    """

    def __init__(self, limits: httpx.Limits, trust_env: bool) -> None:
        self._kept = limits.keepalive_expiry
        self._trusted = httpx.create_ssl_context(trust_env=trust_env)
        self._places = asyncio.Semaphore(limits.max_connections or _MOST)
        self._unused: deque[tuple[Connection, float]] = deque()
        self._closing: set[asyncio.Task[None]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The response as soon as its head is there; its place is free again when it is closed. Raises httpx.PoolTimeout where none becomes
        free in time, and as httpx does."""
        await self._tidy()  # before there is anything to lose: whoever is cancelled here has no place yet
        await self._place(request)
        try:
            connection = self._found(request)
        except BaseException:
            self._places.release()
            raise
        try:
            return await connection.ask(request, lambda whole: self._back(connection, whole))
        except BaseException:
            self._back(connection, whole=False)  # whatever it was: httpcore keeps no connection of a request that failed
            raise

    async def aclose(self) -> None:
        """Close those that nobody uses."""
        while self._unused:
            await self._unused.pop()[0].aclose()
        if self._closing:
            await asyncio.wait(self._closing)

    async def _place(self, request: httpx.Request) -> None:
        """A place for one more request. Raises httpx.PoolTimeout where none becomes free in time."""
        if not self._places.locked():
            await self._places.acquire()  # at once: nothing need watch the time
            return
        try:
            async with asyncio.timeout(request.extensions.get("timeout", {}).get("pool")):
                await self._places.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("all connections are taken", request=request) from None

    def _found(self, request: httpx.Request) -> Connection:
        """The one that was used last and can be used again, or a new one."""
        while self._unused:
            connection, _ = self._unused.pop()
            if connection.takes(request):
                return connection
            self._close(connection)
        return Connection(request, self._trusted, self._kept)

    def _back(self, connection: Connection, whole: bool) -> None:
        """Take one back. `whole`: its request came to its end, and it can be used again; else it keeps its place until it is closed, lest
        there be more than there may be. (One that nobody uses has no place, and none while it is closed.)"""
        if whole:
            self._unused.append((connection, time.monotonic()))
            self._places.release()
            return
        self._close(connection).add_done_callback(lambda _: self._places.release())

    def _close(self, connection: Connection) -> asyncio.Task[None]:
        """Close one, by a task that nobody cancels."""
        closing = asyncio.get_running_loop().create_task(_closed(connection))
        self._closing.add(closing)
        closing.add_done_callback(self._done)
        return closing

    def _done(self, closing: asyncio.Task[None]) -> None:
        self._closing.discard(closing)
        if not closing.cancelled():
            closing.exception()  # one that fails at being closed is as gone as any other

    async def _tidy(self) -> None:
        """Close the one that was not used for longest, where that is long enough."""
        if self._unused and self._kept is not None and time.monotonic() - self._unused[0][1] > self._kept:
            await self._unused.popleft()[0].aclose()


async def _closed(connection: Connection) -> None:
    """Close one, in a time that ends. Raises TimeoutError where it does not."""
    async with asyncio.timeout(_CLOSING_SECONDS):
        await connection.aclose()


class _Proxied(httpx.AsyncBaseTransport):
    """httpx's client, which knows `HTTPS_PROXY`, `NO_PROXY` and the rest of it."""

    def __init__(self, limits: httpx.Limits) -> None:
        self._client = httpx.AsyncClient(limits=limits, follow_redirects=False, trust_env=True)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._client.send(request, stream=True)
        self._client.cookies.clear()
        return response

    async def aclose(self) -> None:
        await self._client.aclose()
